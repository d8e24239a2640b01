/** Claims, volumes and storage classes, as the volume plugins read them. */
import type { corev1, KubeObject, Pod, storagev1 } from '@orbitkit/core';
import type { ClusterObjects } from './cluster-objects.js';

export type Claim = KubeObject & {
  kind: 'PersistentVolumeClaim';
  spec: corev1.PersistentVolumeClaimSpec;
  status?: corev1.PersistentVolumeClaimStatus;
};
export type Volume = KubeObject & {
  kind: 'PersistentVolume';
  spec: corev1.PersistentVolumeSpec;
  status?: corev1.PersistentVolumeStatus;
};
export type StorageClass = KubeObject &
  Omit<storagev1.StorageClass, 'metadata' | 'apiVersion' | 'kind'> & { kind: 'StorageClass' };

/** Names of the claims a pod uses; a generic ephemeral volume's claim is called after pod and volume. */
export function claimsOf(pod: Pod): string[] {
  const names: string[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.persistentVolumeClaim) names.push(volume.persistentVolumeClaim.claimName);
    else if (volume.ephemeral) names.push(`${pod.metadata.name}-${volume.name}`);
  }
  return names;
}

/** Both pods use a claim of that name in one namespace. */
export function shareClaim(a: Pod, b: Pod): boolean {
  if (a.metadata.namespace !== b.metadata.namespace) return false;
  const names = claimsOf(a);
  return claimsOf(b).some(name => names.includes(name));
}

/** Changes when anything does that decides where a pod's volumes can be. */
export const claimsVersion = (objects: ClusterObjects): number =>
  objects.version('PersistentVolumeClaim') + objects.version('PersistentVolume') + objects.version('StorageClass');
