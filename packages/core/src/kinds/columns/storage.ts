/** Columns of volumes and claims, and of group storage.k8s.io. Rules: data/printer-columns.json. */
import type { corev1, storagev1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import { ageColumn, column, nameColumn, none } from './column.js';

const shortModes: readonly (readonly [mode: string, short: string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

/** `RWO,ROX`: each once, in their order. */
const modesText = (modes: readonly string[] | undefined): string =>
  shortModes
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');

const unset = '<unset>';
const betaClassAnnotation = 'volume.beta.kubernetes.io/storage-class';

function classOf({ metadata, spec }: corev1.PersistentVolume | corev1.PersistentVolumeClaim): string {
  return metadata.annotations?.[betaClassAnnotation] ?? spec.storageClassName ?? '';
}

const phaseOf = ({ metadata, status }: corev1.PersistentVolume | corev1.PersistentVolumeClaim): string =>
  metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '');

const amountText = (amount: string | number | undefined): string => (amount === undefined ? '0' : String(amount));

export const persistentVolumeColumns: readonly Column<corev1.PersistentVolume>[] = [
  nameColumn,
  column('Capacity', 'How much it holds.', ({ spec }) => amountText(spec.capacity?.['storage'])),
  column('Access Modes', 'How it can be mounted.', ({ spec }) => modesText(spec.accessModes)),
  column(
    'Reclaim Policy',
    'What becomes of it when its claim has gone.',
    ({ spec }) => spec.persistentVolumeReclaimPolicy ?? '',
  ),
  column('Status', 'Whether it is free, bound or released.', phaseOf),
  column('Claim', 'What it is bound to.', ({ spec }) =>
    spec.claimRef ? `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}` : '',
  ),
  column('StorageClass', 'What made it.', classOf),
  column('VolumeAttributesClass', 'Its attributes.', ({ spec }) => spec.volumeAttributesClassName ?? unset),
  column('Reason', 'Why it failed.', ({ status }) => status?.reason ?? ''),
  ageColumn,
  column('VolumeMode', 'File system or block device.', ({ spec }) => spec.volumeMode ?? unset, { wide: true }),
];

export const persistentVolumeClaimColumns: readonly Column<corev1.PersistentVolumeClaim>[] = [
  nameColumn,
  column('Status', 'Whether it is bound.', phaseOf),
  column('Volume', 'What it is bound to.', ({ spec }) => spec.volumeName ?? ''),
  column('Capacity', 'How much it got.', ({ spec, status }) =>
    spec.volumeName ? amountText(status?.capacity?.['storage']) : '',
  ),
  column('Access Modes', 'How it can be mounted.', ({ spec, status }) =>
    spec.volumeName ? modesText(status?.accessModes) : '',
  ),
  column('StorageClass', 'What makes its volume.', classOf),
  column('VolumeAttributesClass', 'Its attributes.', ({ spec }) => spec.volumeAttributesClassName ?? unset),
  ageColumn,
  column('VolumeMode', 'File system or block device.', ({ spec }) => spec.volumeMode ?? unset, { wide: true }),
];

const defaultClassAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

export const storageClassColumns: readonly Column<storagev1.StorageClass>[] = [
  {
    ...nameColumn,
    cell: ({ metadata }) =>
      defaultClassAnnotations.some(name => metadata.annotations?.[name] === 'true')
        ? `${metadata.name} (default)`
        : metadata.name,
  },
  column('Provisioner', 'What makes volumes.', ({ provisioner }) => provisioner),
  column(
    'ReclaimPolicy',
    'What becomes of volumes when their claim has gone.',
    ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete',
  ),
  column('VolumeBindingMode', 'When volumes are made.', ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate'),
  column(
    'AllowVolumeExpansion',
    'Whether volumes may grow.',
    ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false,
  ),
  ageColumn,
];

export const volumeAttachmentColumns: readonly Column<storagev1.VolumeAttachment>[] = [
  nameColumn,
  column('Attacher', 'Who attaches it.', ({ spec }) => spec.attacher, { format: 'name' }),
  column('PV', 'The volume.', ({ spec }) => spec.source?.persistentVolumeName ?? ''),
  column('Node', 'To which node.', ({ spec }) => spec.nodeName),
  column('Attached', 'Whether it is.', ({ status }) => status?.attached ?? false, { type: 'boolean' }),
  ageColumn,
];

export const csiDriverColumns: readonly Column<storagev1.CSIDriver>[] = [
  nameColumn,
  column('AttachRequired', 'Whether volumes are attached first.', ({ spec }) => spec.attachRequired ?? true, {
    type: 'boolean',
  }),
  column('PodInfoOnMount', 'Whether it is told about the pod.', ({ spec }) => spec.podInfoOnMount ?? false, {
    type: 'boolean',
  }),
  column('StorageCapacity', 'Whether it says how much is left.', ({ spec }) => spec.storageCapacity ?? false, {
    type: 'boolean',
  }),
  column('TokenRequests', 'Audiences of the tokens that it gets.', ({ spec }) =>
    spec.tokenRequests === undefined ? unset : spec.tokenRequests.map(({ audience }) => audience).join(','),
  ),
  column('RequiresRepublish', 'Whether volumes are published again.', ({ spec }) => spec.requiresRepublish ?? false, {
    type: 'boolean',
  }),
  column('Modes', 'Life cycles of its volumes.', ({ spec }) => spec.volumeLifecycleModes?.join(',') || none),
  ageColumn,
];

export const csiNodeColumns: readonly Column<storagev1.CSINode>[] = [
  nameColumn,
  column('Drivers', 'How many drivers the node has.', ({ spec }) => spec.drivers?.length ?? 0, { type: 'integer' }),
  ageColumn,
];
