/** What the volume plugins ask of events: whether a claim, a volume or a class is one of the pod's, or may become so. */
import type { Pod } from '@orbitkit/core';
import type { HintedInterest } from '../framework/event.js';
import { onObject } from '../framework/queueing-hints.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { type Claim, claimsOf, type StorageClass, type Volume } from '../snapshot/volumes.js';

/** A claim of the pod came or changed. */
export const onOwnClaim: HintedInterest[] = onObject<Claim>(
  'PersistentVolumeClaim',
  (pod, claim) => claim !== undefined && isOf(pod, claim.metadata.namespace, claim.metadata.name),
);

/** A volume came or changed that is the pod's already, by its own word or the claim's, or nobody's. */
export const onUsableVolume: HintedInterest[] = onObject<Volume>(
  'PersistentVolume',
  (pod, volume, _before, snapshot) => {
    if (!volume) return false;
    const { claimRef } = volume.spec;
    if (!snapshot || !claimRef?.name || isOf(pod, claimRef.namespace, claimRef.name)) return true;
    return ownClaims(pod, snapshot).some(claim => claim?.spec.volumeName === volume.metadata.name);
  },
);

/** A class came or changed that a claim of the pod asks for. */
export const onOwnClass: HintedInterest[] = onObject<StorageClass>('StorageClass', (pod, given, _before, snapshot) => {
  if (!given) return false;
  if (!snapshot) return true;
  return ownClaims(pod, snapshot).some(claim => claim?.spec.storageClassName === given.metadata.name);
});

const ownClaims = (pod: Pod, { objects }: Snapshot): (Claim | undefined)[] =>
  claimsOf(pod).map(name => objects.get<Claim>('PersistentVolumeClaim', pod.metadata.namespace, name));

const isOf = (pod: Pod, namespace: string | undefined, name: string): boolean =>
  pod.metadata.namespace === namespace && claimsOf(pod).includes(name);
