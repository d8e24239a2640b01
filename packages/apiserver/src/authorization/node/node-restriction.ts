/**
 * What a node agent may write: its own Node (not its taints, its owner or labels that others trust), the status of pods bound to it, its
 * lease and CSINode, mirror pods, tokens for its pods, requests for its own certificates. The node authorizer has looked at names; here the objects are looked at.
 *
 * An admission plugin that the server adds to every chain. Source and texts: upstream `plugin/pkg/admission/noderestriction`.
 */
import {
  type authenticationv1,
  type certificatesv1,
  type corev1,
  type DynamicObject,
  StatusError,
} from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from '../../admission/contract.js';
import { readCertificateRequest } from '../../pki/certificate-request.js';
import { sameJson } from '../../registry/json-value.js';
import { nodeOf, nodesGroup } from './node-authorizer.js';

const pods = { group: '', plural: 'pods' };
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const restrictedPrefix = 'node-restriction.kubernetes.io';

const nodeSigners = new Set(['kubernetes.io/kube-apiserver-client-kubelet', 'kubernetes.io/kubelet-serving']);

/** Labels of Kubernetes' own domains that an agent sets for itself. */
const agentLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
]);
const agentDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

const inDomain = (domain: string, of: string): boolean => domain === of || domain.endsWith(`.${of}`);

function forbiddenLabel(key: string): boolean {
  const slash = key.indexOf('/');
  if (slash < 0) return false;
  const domain = key.slice(0, slash);
  if (inDomain(domain, restrictedPrefix)) return true;
  if (!inDomain(domain, 'kubernetes.io') && !inDomain(domain, 'k8s.io')) return false;
  return !agentLabels.has(key) && !agentDomains.some(each => inDomain(domain, each));
}

type Labels = Readonly<Record<string, string>> | undefined;

function changedLabels(before: Labels, after: Labels): string[] {
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  return [...keys].filter(key => before?.[key] !== after?.[key]).sort();
}

export function nodeRestriction(): AdmissionPlugin {
  function refuse(request: AdmissionRequest, why: string): never {
    const { kind, name } = request;
    const resource = kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
    throw new StatusError('Forbidden', `${resource} ${JSON.stringify(name)} is forbidden: ${why}`, {
      details: { name, ...(kind.group ? { group: kind.group } : {}), kind: kind.plural },
    });
  }

  async function ownPod(request: AdmissionRequest, reader: AdmissionReader, node: string, what: string): Promise<void> {
    const pod = request.oldObject ?? (await podOf(request, reader));
    if (pod === undefined) return;
    if ((pod['spec'] as corev1.PodSpec | undefined)?.nodeName !== node)
      refuse(request, `node ${JSON.stringify(node)} can only ${what} with spec.nodeName set to itself`);
  }

  async function podOf({ namespace, name, signal }: AdmissionRequest, reader: AdmissionReader) {
    return (await reader.read(pods, { namespace, name }, signal))?.object();
  }

  async function pod(request: AdmissionRequest, reader: AdmissionReader, node: string): Promise<void> {
    const { operation, object, oldObject } = request;
    switch (request.subresource) {
      case undefined: {
        if (operation === 'DELETE') return ownPod(request, reader, node, 'delete pods');
        if (operation === 'UPDATE')
          return refuse(
            request,
            `unexpected operation "UPDATE", node ${JSON.stringify(node)} can only create and delete mirror pods`,
          );
        const created = object as unknown as corev1.Pod;
        if (created.metadata.annotations?.[mirrorAnnotation] === undefined)
          refuse(
            request,
            `pod does not have "${mirrorAnnotation}" annotation, node ${JSON.stringify(node)} can only create mirror pods`,
          );
        if (created.spec.nodeName !== node)
          refuse(request, `node ${JSON.stringify(node)} can only create pods with spec.nodeName set to itself`);
        const owners = created.metadata.ownerReferences ?? [];
        if (owners.length > 1 || owners.some(owner => owner.kind !== 'Node' || owner.name !== node))
          refuse(request, `node ${JSON.stringify(node)} can only create pods with an owner reference set to itself`);
        if (created.spec.serviceAccountName)
          refuse(request, `node ${JSON.stringify(node)} can not create pods that reference a service account`);
        if (
          (created.spec.volumes ?? []).some(
            each => each.secret ?? each.configMap ?? each.persistentVolumeClaim ?? each.projected,
          )
        )
          refuse(
            request,
            `node ${JSON.stringify(node)} can not create pods that reference secrets, configmaps, claims or tokens`,
          );
        return;
      }
      case 'status': {
        await ownPod(request, reader, node, 'update pod status for pods');
        if (changedLabels(oldObject?.metadata.labels, object?.metadata.labels).length > 0)
          refuse(request, `node ${JSON.stringify(node)} cannot update labels through pod status`);
        return;
      }
      case 'eviction':
        return ownPod(request, reader, node, 'evict pods');
      default:
        return refuse(
          request,
          `unexpected pod subresource ${JSON.stringify(request.subresource)}, only 'status' and 'eviction' are allowed`,
        );
    }
  }

  function nodeObject(request: AdmissionRequest, node: string): void {
    const { operation, object, oldObject } = request;
    const name = object?.metadata.name ?? request.name;
    if (name !== node)
      refuse(request, `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(name)}`);
    if (operation === 'DELETE' || object === undefined) return;
    const labels = changedLabels(oldObject?.metadata.labels, object.metadata.labels).filter(forbiddenLabel);
    if (labels.length > 0)
      refuse(request, `is not allowed to ${operation === 'CREATE' ? 'set' : 'modify'} labels: ${labels.join(', ')}`);
    if (operation === 'CREATE') {
      if ((object.metadata.ownerReferences ?? []).length > 0)
        refuse(request, `node ${JSON.stringify(node)} is not allowed to set ownerReferences`);
      return;
    }
    if (!sameJson(object.metadata.ownerReferences ?? [], oldObject?.metadata.ownerReferences ?? []))
      refuse(request, `node ${JSON.stringify(node)} is not allowed to modify ownerReferences`);
    const taints = (of: Readonly<DynamicObject> | undefined) =>
      (of?.['spec'] as corev1.NodeSpec | undefined)?.taints ?? [];
    if (!sameJson(taints(object), taints(oldObject)))
      refuse(request, `node ${JSON.stringify(node)} is not allowed to modify taints`);
  }

  /** A token for a pod of its own, for audiences that the pod asks for. */
  async function token(request: AdmissionRequest, reader: AdmissionReader, node: string): Promise<void> {
    if (request.subresource !== 'token') return;
    const { spec } = request.object as unknown as authenticationv1.TokenRequest;
    const ref = spec.boundObjectRef;
    if (ref?.kind !== 'Pod' || ref.apiVersion !== 'v1' || !ref.name)
      return refuse(request, 'node requested token not bound to a pod');
    if (!ref.uid) return refuse(request, 'node requested token with a pod binding without a uid');
    const found = await reader.read(pods, { namespace: request.namespace, name: ref.name }, request.signal);
    const pod = found?.object() as unknown as corev1.Pod | undefined;
    if (pod === undefined || pod.metadata.uid !== ref.uid)
      return refuse(request, 'node requested token bound to a pod that is not there');
    if (pod.spec.nodeName !== node)
      return refuse(request, 'node requested token bound to a pod scheduled on a different node');
    const asked = new Set(
      (pod.spec.volumes ?? []).flatMap(({ projected }) =>
        (projected?.sources ?? []).flatMap(source => source.serviceAccountToken?.audience ?? []),
      ),
    );
    for (const audience of spec.audiences ?? [])
      if (!asked.has(audience)) refuse(request, `audience ${JSON.stringify(audience)} not found in pod spec volume`);
  }

  /**
   * A certificate for itself alone. Its organization is looked at by who approves and signs; a request that cannot be read has an
   * answer of its own (422).
   */
  async function certificate(request: AdmissionRequest, node: string): Promise<void> {
    if (request.operation !== 'CREATE' || request.subresource !== undefined) return;
    const { spec } = request.object as unknown as certificatesv1.CertificateSigningRequest;
    if (!nodeSigners.has(spec.signerName)) return;
    const facts = await readCertificateRequest(Buffer.from(spec.request ?? '', 'base64').toString()).catch(
      () => undefined,
    );
    const own = `system:node:${node}`;
    if (facts !== undefined && facts.commonName !== own) refuse(request, `can only create a node CSR with CN=${own}`);
  }

  function named(request: AdmissionRequest, node: string, what: string): void {
    const name = request.object?.metadata.name ?? request.name;
    if (name !== node) refuse(request, `can only access ${what} with the same name as the requesting node`);
  }

  return {
    name: 'NodeRestriction',
    validate(request, reader) {
      if (!request.user.groups.includes(nodesGroup) || !request.user.username.startsWith('system:node:')) return;
      const node = nodeOf(request.user);
      if (node === undefined) return refuse(request, 'could not determine node from user');
      switch (request.kind.group === '' ? request.kind.plural : `${request.kind.group}/${request.kind.plural}`) {
        case 'pods':
          return pod(request, reader, node);
        case 'nodes':
          return nodeObject(request, node);
        case 'serviceaccounts':
          return token(request, reader, node);
        case 'certificates.k8s.io/certificatesigningrequests':
          return certificate(request, node);
        case 'coordination.k8s.io/leases':
          return named(request, node, 'node lease');
        case 'storage.k8s.io/csinodes':
          return named(request, node, 'CSINode');
        default:
          return;
      }
    },
  };
}
