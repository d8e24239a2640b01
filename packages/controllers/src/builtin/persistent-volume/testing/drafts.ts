/** Short forms of volumes, claims, classes and pods for the tests of this folder. */
import type { Draft, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '@orbitkit/core';

export const namespace = 'default';

export const claimDraft = (
  name: string,
  size = '1Gi',
  spec: Partial<PersistentVolumeClaim['spec']> = {},
): Draft<PersistentVolumeClaim> & { metadata: { name: string; namespace: string } } => ({
  metadata: { name, namespace },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } }, ...spec },
});

export const volumeDraft = (
  name: string,
  size = '1Gi',
  spec: Partial<PersistentVolume['spec']> = {},
): Draft<PersistentVolume> & { metadata: { name: string } } => ({
  metadata: { name },
  spec: {
    capacity: { storage: size },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: `/data/${name}` },
    ...spec,
  },
});

export const classDraft = (
  name: string,
  provisioner: string,
  more: Partial<StorageClass> = {},
): Draft<StorageClass> => ({ metadata: { name }, provisioner, ...more });

export const podDraft = (name: string, claimName: string, spec: Partial<Pod['spec']> = {}): Draft<Pod> => ({
  metadata: { name, namespace },
  spec: {
    containers: [{ name: 'main', image: 'orbitkit/echo:1' }],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    ...spec,
  },
});
