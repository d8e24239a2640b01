/** Defaults of PersistentVolumes and claims, and of group storage.k8s.io. Source: core/v1 and storage/v1 defaults (v0.33). */
import type { corev1, storagev1 } from '../generated/types/index.js';
import { sourceDefaults } from './pod.js';

export function defaultVolume(volume: corev1.PersistentVolume): void {
  const { spec } = volume;
  volume.status ??= {};
  volume.status.phase ||= 'Pending';
  spec.persistentVolumeReclaimPolicy ??= 'Retain';
  spec.volumeMode ??= 'Filesystem';
  for (const name of ['hostPath', 'iscsi', 'rbd', 'azureDisk', 'scaleIO'] as const)
    if (spec[name]) sourceDefaults[name]!(spec as unknown as corev1.Volume);
}

export function defaultClaim(claim: corev1.PersistentVolumeClaim): void {
  claim.status ??= {};
  claim.status.phase ||= 'Pending';
  claim.spec.volumeMode ??= 'Filesystem';
  mirrorSource(claim.spec);
}

/** The older field and the newer one say the same of what both can say (core registry `NormalizeDataSources`). */
function mirrorSource(spec: corev1.PersistentVolumeClaimSpec): void {
  const { dataSource, dataSourceRef } = spec;
  if (dataSource && !dataSourceRef) spec.dataSourceRef = { ...dataSource };
  else if (dataSourceRef && !dataSource && !dataSourceRef.namespace) {
    const { apiGroup, kind, name } = dataSourceRef;
    spec.dataSource = { ...(apiGroup === undefined ? {} : { apiGroup }), kind, name };
  }
}

export function defaultStorageClass(storageClass: storagev1.StorageClass): void {
  storageClass.reclaimPolicy ??= 'Delete';
  storageClass.volumeBindingMode ??= 'Immediate';
}

export function defaultCsiDriver({ spec }: storagev1.CSIDriver): void {
  spec.attachRequired ??= true;
  spec.podInfoOnMount ??= false;
  spec.storageCapacity ??= false;
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType';
  if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent'];
  spec.requiresRepublish ??= false;
  spec.seLinuxMount ??= false;
}
