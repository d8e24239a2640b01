/**
 * CertificateSigningRequests: who asked is who the server saw asking; who approves needs the right to `approve` the signer, who signs the
 * right to `sign` it; nobody asks the cluster's own signer for a member of `system:masters`. Sources and texts: upstream plugins
 * `certificates/approval`, `signing`, `subjectrestriction` and the kind's strategies.
 */
import { type certificatesv1, type DynamicObject, invalid, StatusError, type UserInfo } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionRequest } from '../../admission/contract.js';
import { readCertificateRequest } from '../../pki/certificate-request.js';
import { sameJson } from '../../registry/json-value.js';
import type { Strategy } from '../../registry/strategy.js';
import { type Authorizer, mastersGroup } from '../authorizer.js';

type Request = certificatesv1.CertificateSigningRequest;
type Condition = certificatesv1.CertificateSigningRequestCondition;

const group = 'certificates.k8s.io';
const plural = 'certificatesigningrequests';
const clientSigner = 'kubernetes.io/kube-apiserver-client';
const approvals = new Set(['Approved', 'Denied']);

const conditionsOf = (object: Readonly<DynamicObject> | undefined): Condition[] =>
  (object as unknown as Request | undefined)?.status?.conditions ?? [];

/** What approves may write: Approved and Denied. What signs: everything else of the status. */
export function certificateRequestStrategy(now: () => string): Strategy {
  const stamped = (conditions: readonly Condition[], old: readonly Condition[]): Condition[] =>
    conditions.map(condition => {
      const before = old.find(each => each.type === condition.type);
      const same = before?.status === condition.status;
      return {
        ...condition,
        lastUpdateTime: condition.lastUpdateTime ?? now(),
        lastTransitionTime: (same ? before?.lastTransitionTime : undefined) ?? condition.lastTransitionTime ?? now(),
      };
    });
  return {
    generation: false,
    prepareUpdate(object, old) {
      object['spec'] = old['spec'];
    },
    parts: {
      approval: (given, current) => {
        const old = conditionsOf(current);
        const status = (current['status'] ?? {}) as Request['status'];
        return { ...current, status: { ...status, conditions: stamped(conditionsOf(given), old) } };
      },
      status: (given, current) => {
        const old = conditionsOf(current);
        const kept = old.filter(({ type }) => approvals.has(type));
        const others = conditionsOf(given).filter(({ type }) => !approvals.has(type));
        return {
          ...current,
          status: { ...(given['status'] as object), conditions: stamped([...kept, ...others], old) },
        };
      },
    },
  };
}

export function certificateRequests(authorizer: Authorizer): AdmissionPlugin {
  function refuse({ name }: AdmissionRequest, why: string): never {
    throw new StatusError('Forbidden', `${plural}.${group} ${JSON.stringify(name)} is forbidden: ${why}`, {
      details: { name, group, kind: plural },
    });
  }

  /** Of this signer, or of all of its domain. */
  async function may(user: UserInfo, verb: 'approve' | 'sign', signer: string): Promise<boolean> {
    const domain = `${signer.split('/')[0]}/*`;
    for (const name of [signer, domain]) {
      const { decision } = await authorizer.authorize({
        user,
        verb,
        isResource: true,
        path: '',
        group,
        version: '*',
        namespace: undefined,
        resource: 'signers',
        subresource: undefined,
        name,
      });
      if (decision === 'allow') return true;
    }
    return false;
  }

  async function checkNew(request: AdmissionRequest, { spec }: Request): Promise<void> {
    const facts = await readCertificateRequest(Buffer.from(spec.request ?? '', 'base64').toString()).catch(
      (error: Error) => {
        throw invalid({ group, kind: 'CertificateSigningRequest' }, request.name, [
          {
            field: 'spec.request',
            type: 'FieldValueInvalid',
            message: `Invalid value: unable to parse: ${error.message}`,
          },
        ]);
      },
    );
    if (spec.signerName === clientSigner && facts.organizations.includes(mastersGroup))
      refuse(request, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`);
  }

  const ours = ({ kind }: AdmissionRequest) => kind.group === group && kind.plural === plural;

  return {
    name: 'CertificateRequests',
    admit(request) {
      if (!ours(request) || request.operation !== 'CREATE' || request.subresource !== undefined) return;
      const { spec } = request.object as unknown as Request;
      const { username, uid, groups, extra } = request.user;
      spec.username = username;
      spec.groups = [...groups];
      delete spec.uid;
      delete spec.extra;
      if (uid) spec.uid = uid;
      if (extra) spec.extra = Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));
    },
    async validate(request) {
      if (!ours(request) || request.object === undefined) return;
      const object = request.object as unknown as Request;
      const { operation, subresource, oldObject } = request;
      if (operation === 'CREATE') return subresource === undefined ? checkNew(request, object) : undefined;
      const signer = object.spec.signerName;
      if (subresource === 'approval' && !(await may(request.user, 'approve', signer)))
        refuse(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
      const status = (of: Readonly<DynamicObject> | undefined) => (of as unknown as Request | undefined)?.status ?? {};
      if (subresource === 'status' && !sameJson(status(request.object), status(oldObject))) {
        if (!(await may(request.user, 'sign', signer)))
          refuse(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
      }
    },
  };
}
