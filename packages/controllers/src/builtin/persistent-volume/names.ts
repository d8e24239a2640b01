/** Annotations and finalizers by which the parts that bind, make and protect volumes talk to each other. Source: component-helpers `storage/volume` (v0.33). */
import type { corev1, PersistentVolume, PersistentVolumeClaim, StorageClass } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export type VolumeView = DeepReadonly<PersistentVolume>;
export type ClaimView = DeepReadonly<PersistentVolumeClaim>;
export type ClassView = DeepReadonly<StorageClass>;

export const annotations = {
  /** On a claim: its binding is complete; what is missing from now on is lost. */
  bindCompleted: 'pv.kubernetes.io/bind-completed',
  /** On a claim or volume: the binder wrote the binding, so the binder may undo it. */
  boundByController: 'pv.kubernetes.io/bound-by-controller',
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  /** On a claim of a class that waits for its first consumer: where that will run. */
  selectedNode: 'volume.kubernetes.io/selected-node',
  /** On a claim: who should make its volume. */
  storageProvisioner: 'volume.kubernetes.io/storage-provisioner',
  betaStorageProvisioner: 'volume.beta.kubernetes.io/storage-provisioner',
  /** On a claim: who should make its volume larger. */
  storageResizer: 'volume.kubernetes.io/storage-resizer',
  betaStorageClass: 'volume.beta.kubernetes.io/storage-class',
} as const;

export const finalizers = {
  claim: 'kubernetes.io/pvc-protection',
  volume: 'kubernetes.io/pv-protection',
  /** The provisioner's: the volume's object goes only after what it stands for. */
  provisioned: 'external-provisioner.volume.kubernetes.io/finalizer',
} as const;

/** The class of a volume or claim; none and the empty name are the same here. */
export const classOf = ({ metadata, spec }: VolumeView | ClaimView): string =>
  metadata.annotations?.[annotations.betaStorageClass] ?? spec.storageClassName ?? '';

export const waitsForConsumer = (storageClass: ClassView | undefined): boolean =>
  storageClass?.volumeBindingMode === 'WaitForFirstConsumer';

export const annotationOf = (object: VolumeView | ClaimView, name: string): string | undefined =>
  object.metadata.annotations?.[name];

export const requestOf = (claim: ClaimView): string | number => claim.spec.resources?.requests?.['storage'] ?? 0;

/** `namespace/name` of the claim that a volume refers to. */
export const claimKeyOf = ({ spec }: VolumeView): string | undefined =>
  spec.claimRef?.name ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : undefined;

/** A volume bound to a claim, also one that was reserved for its name before the claim was there. */
export function isBoundTo(volume: VolumeView, claim: ClaimView): boolean {
  const ref = volume.spec.claimRef;
  if (!ref || ref.name !== claim.metadata.name || ref.namespace !== claim.metadata.namespace) return false;
  return !ref.uid || ref.uid === claim.metadata.uid;
}

export function referenceTo(claim: ClaimView): corev1.ObjectReference {
  const { name, namespace, uid, resourceVersion } = claim.metadata;
  return {
    kind: 'PersistentVolumeClaim',
    apiVersion: 'v1',
    namespace,
    name,
    uid,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}
