/** What the volume plugins ask of events: whether a claim, a volume or a class is one of the pod's, or may become so. */
import type { Pod } from '@orbitkit/core';
import type { HintedInterest } from '../framework/event.js';
import { onObject } from '../framework/queueing-hints.js';
import { type Claim, claimsOf, type StorageClass, type Volume } from '../snapshot/volumes.js';

/** A claim of the pod came or changed. */
export const onOwnClaim: HintedInterest[] = onObject<Claim>(
  'PersistentVolumeClaim',
  (pod, claim) => claim !== undefined && isOf(pod, claim.metadata.namespace, claim.metadata.name),
);

/** A volume came or changed that is the pod's already, or nobody's. */
export const onUsableVolume: HintedInterest[] = onObject<Volume>('PersistentVolume', (pod, volume) => {
  if (!volume) return false;
  const { claimRef } = volume.spec;
  return !claimRef?.name || isOf(pod, claimRef.namespace, claimRef.name);
});

/** A class came or changed that a claim of the pod asks for. */
export const onOwnClass: HintedInterest[] = onObject<StorageClass>('StorageClass', (pod, given, _before, snapshot) => {
  if (!given) return false;
  if (!snapshot) return true;
  const { namespace } = pod.metadata;
  return claimsOf(pod).some(name => {
    const claim = snapshot.objects.get<Claim>('PersistentVolumeClaim', namespace, name);
    return claim?.spec.storageClassName === given.metadata.name;
  });
});

const isOf = (pod: Pod, namespace: string | undefined, name: string): boolean =>
  pod.metadata.namespace === namespace && claimsOf(pod).includes(name);
