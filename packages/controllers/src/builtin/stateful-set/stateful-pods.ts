/** Pods and claims of a stateful set: their names, what they are made of, and whether they are as they should be. Source: kube-controller-manager `stateful_set_utils.go`. */
import {
  controllerReference,
  type corev1,
  type Draft,
  isDeleting,
  type KubeObject,
  type OwnerReference,
  type PersistentVolumeClaim,
  type Pod,
  type StatefulSet,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { PodView } from '../../pods/pod-state.js';
import type { PodTemplateSpec } from '../../pods/pod-template.js';
import { revisionLabel } from '../revision-history/revision-history.js';

export type StatefulSetView = DeepReadonly<StatefulSet>;

const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export const firstOrdinal = (set: StatefulSetView): number => set.spec.ordinals?.start ?? 0;
export const podNameOf = (set: StatefulSetView, ordinal: number): string => `${set.metadata.name}-${ordinal}`;
const claimNameOf = (set: StatefulSetView, claim: string, ordinal: number): string =>
  `${claim}-${podNameOf(set, ordinal)}`;

/** Undefined when the name is not one of the set's. */
export function ordinalOf(set: StatefulSetView, name: string): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

/** Whether a claim of this name would be one of the set's. */
export const isClaimOf = (set: StatefulSetView, name: string): boolean =>
  (set.spec.volumeClaimTemplates ?? []).some(
    ({ metadata }) =>
      name.startsWith(`${metadata.name}-`) && ordinalOf(set, name.slice(metadata.name!.length + 1)) !== undefined,
  );

/** Volumes of the set's claims; they take the place of the template's of the same name. */
function volumesOf(set: StatefulSetView, ordinal: number, template: readonly corev1.Volume[]): corev1.Volume[] {
  const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => ({
    name: metadata.name,
    persistentVolumeClaim: { claimName: claimNameOf(set, metadata.name, ordinal), readOnly: false },
  }));
  return [...claims, ...template.filter(({ name }) => !claims.some(claim => claim.name === name))];
}

/** By which services and people find the pod of an ordinal. */
const identityOf = (podName: string, ordinal: number): Record<string, string> => ({
  [podNameLabel]: podName,
  [podIndexLabel]: `${ordinal}`,
});

/** The labels that an adopted pod lacks; undefined: it has its name. */
export function missingIdentity(set: StatefulSetView, { metadata }: PodView): Record<string, string> | undefined {
  const ordinal = ordinalOf(set, metadata.name);
  if (ordinal === undefined || metadata.labels?.[podNameLabel] === metadata.name) return undefined;
  return identityOf(metadata.name, ordinal);
}

export function podFor(set: StatefulSetView, ordinal: number, template: PodTemplateSpec, revision: string): Draft<Pod> {
  const { metadata, spec = { containers: [] } } = mutableCopy<corev1.PodTemplateSpec>(template);
  const name = podNameOf(set, ordinal);
  const volumes = volumesOf(set, ordinal, spec.volumes ?? []);
  return {
    metadata: {
      name,
      namespace: set.metadata.namespace,
      labels: { ...metadata?.labels, ...identityOf(name, ordinal), [revisionLabel]: revision },
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ...(metadata?.finalizers ? { finalizers: metadata.finalizers } : {}),
      ownerReferences: [controllerReference(set as unknown as KubeObject)],
    },
    spec: {
      ...spec,
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
  };
}

/** The claims that a pod needs. */
export function claimsFor(set: StatefulSetView, ordinal: number): Draft<PersistentVolumeClaim>[] {
  return (
    mutableCopy<StatefulSet>(set).spec.volumeClaimTemplates?.map(({ metadata, spec }) => ({
      metadata: {
        name: claimNameOf(set, metadata.name, ordinal),
        namespace: set.metadata.namespace,
        labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
        ...(metadata.annotations ? { annotations: metadata.annotations } : {}),
      },
      spec,
    })) ?? []
  );
}

/**
 * Why a pod must not be made with a claim that is there: it is on its way out, or will be, since its owner under `whenScaled: Delete` was an earlier pod
 * of the name. Undefined: it may.
 */
export function claimTrouble(
  set: StatefulSetView,
  claim: DeepReadonly<PersistentVolumeClaim>,
  podName: string,
): string | undefined {
  if (isDeleting(claim)) return `the claim ${claim.metadata.name} of pod ${podName} is being deleted`;
  if (set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled !== 'Delete') return undefined;
  const goes = claim.metadata.ownerReferences?.some(
    ({ kind, name, uid }) =>
      (kind === 'Pod' && name === podName) ||
      (kind === 'StatefulSet' && name === set.metadata.name && uid !== set.metadata.uid),
  );
  return goes ? `the claim ${claim.metadata.name} goes with an earlier pod ${podName}` : undefined;
}

/**
 * Who owns a claim under the retention policy, so that garbage collection deletes it with its owner: the set (`whenDeleted: Delete`), a pod that
 * is condemned (`whenScaled: Delete`), or nobody of ours. Undefined when the references are right already, or the claim has another controller.
 */
export function claimOwners(
  set: StatefulSetView,
  claim: DeepReadonly<PersistentVolumeClaim>,
  pod: PodView | undefined,
  condemned: boolean,
): OwnerReference[] | undefined {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const now = (mutableCopy<PersistentVolumeClaim>(claim).metadata.ownerReferences ?? []) as OwnerReference[];
  const ours = new Set([set.metadata.uid, ...(pod ? [pod.metadata.uid] : [])]);
  const others = now.filter(
    ({ uid, kind, name }) => !ours.has(uid) && !(kind === 'Pod' && name === pod?.metadata.name),
  );
  if (others.some(({ controller }) => controller)) return undefined;
  const wanted = [...others];
  const reference = (owner: unknown, apiVersion: string, kind: string): OwnerReference => {
    const { name, uid } = (owner as KubeObject).metadata;
    return { apiVersion, kind, name, uid };
  };
  if (condemned && whenScaled === 'Delete' && pod) wanted.push(reference(pod, 'v1', 'Pod'));
  else if (whenDeleted === 'Delete') wanted.push(reference(set, 'apps/v1', 'StatefulSet'));
  const key = (list: readonly OwnerReference[]) =>
    list
      .map(({ uid }) => uid)
      .sort()
      .join();
  return key(now) === key(wanted) ? undefined : wanted;
}
