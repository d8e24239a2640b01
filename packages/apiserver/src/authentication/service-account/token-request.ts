/**
 * `POST serviceaccounts/NAME/token`: a token for an account, for some audiences and some time, perhaps bound to a pod, secret or node,
 * with whose end it ends. Source and texts: upstream `registry/core/serviceaccount/storage/token.go`.
 */
import {
  type authenticationv1,
  badRequest,
  type corev1,
  type DynamicObject,
  formatTime,
  invalid,
  type Kind,
  notFound,
  StatusError,
  TokenRequest,
} from '@orbitkit/core';
import type { SubresourceAction } from '../../registry/strategy.js';
import { longestTokenMs } from './signing-keys.js';
import type { BoundClaims, ObjectReader, ObjectRef, ServiceAccountTokens } from './tokens.js';

const shortestSeconds = 600;
const largestSeconds = 2 ** 32;

type Request = authenticationv1.TokenRequest;

export function tokenRequest(tokens: ServiceAccountTokens, objects: ObjectReader): SubresourceAction {
  const body = TokenRequest as unknown as Kind;
  return {
    body,
    async answer(account, given) {
      body.applyDefaults(given);
      const request = given as unknown as Request;
      const seconds = checkedSeconds(request);
      const { name, namespace, uid } = account.metadata as { name: string; namespace: string; uid: string };
      const audiences = request.spec.audiences?.length ? request.spec.audiences : tokens.apiAudiences;
      const { token, expirationTimestamp } = await tokens.issue({
        namespace,
        serviceAccount: { name, uid },
        audiences,
        expirationSeconds: seconds,
        ...(await boundTo(request, name, namespace)),
      });
      return {
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { name, namespace, creationTimestamp: null },
        spec: { ...request.spec, audiences, expirationSeconds: seconds },
        status: { token, expirationTimestamp: formatTime(expirationTimestamp) },
      };
    },
  };

  async function boundTo({ spec }: Request, account: string, namespace: string): Promise<BoundClaims> {
    const ref = spec.boundObjectRef;
    if (ref === undefined) return {};
    const { kind = '', apiVersion = '', name = '' } = ref;
    if (apiVersion !== 'v1' || (kind !== 'Pod' && kind !== 'Secret' && kind !== 'Node'))
      throw badRequest(`cannot bind token to object of type ${apiVersion === '' ? '' : `${apiVersion}, `}Kind=${kind}`);
    const plural = `${kind.toLowerCase()}s`;
    const read = async (resource: string, of: string): Promise<DynamicObject | undefined> => {
      const key = resource === 'nodes' ? { name: of } : { namespace, name: of };
      return (await objects.read({ group: '', plural: resource }, key))?.object() as DynamicObject | undefined;
    };
    const object = await read(plural, name);
    if (object === undefined) throw notFound({ group: '', plural }, name);
    if (ref.uid && ref.uid !== object.metadata.uid) {
      throw new StatusError(
        'Conflict',
        `Operation cannot be fulfilled on ${plural} ${JSON.stringify(name)}: the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
        { details: { name, kind: plural } },
      );
    }
    const bound: ObjectRef = { name, uid: object.metadata.uid };
    if (kind === 'Secret') return { secret: bound };
    if (kind === 'Node') return { node: bound };
    const pod = object as unknown as corev1.Pod;
    if (pod.spec.serviceAccountName !== account)
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
      );
    const { nodeName } = pod.spec;
    const node = nodeName ? await read('nodes', nodeName) : undefined;
    return { pod: bound, ...(node ? { node: { name: node.metadata.name, uid: node.metadata.uid } } : {}) };
  }

  /** @throws StatusError Invalid */
  function checkedSeconds({ spec }: Request): number {
    const seconds = spec.expirationSeconds ?? 3600;
    const why =
      seconds < shortestSeconds
        ? 'may not specify a duration less than 10 minutes'
        : seconds > largestSeconds
          ? 'may not specify a duration larger than 2^32 seconds'
          : undefined;
    if (why !== undefined) {
      const message = `Invalid value: ${seconds}: ${why}`;
      throw invalid(body, '', [{ field: 'spec.expirationSeconds', type: 'FieldValueInvalid', message }]);
    }
    return Math.min(seconds, Math.floor(longestTokenMs / 1000));
  }
}
