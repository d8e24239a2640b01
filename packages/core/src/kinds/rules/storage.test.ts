import { describe, expect, test } from 'vitest';
import * as kinds from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x' };
const ofSpec =
  (kind: Kind<any>, base: object, meta: object = metadata) =>
  (more: object, previous?: object, status?: object): string[] =>
    faults(
      kind,
      { metadata: meta, spec: { ...base, ...more }, ...(status ? { status } : {}) },
      previous && { metadata: meta, spec: { ...base, ...previous }, ...(status ? { status } : {}) },
    );

describe('volumes', () => {
  const pv = ofSpec(kinds.PersistentVolume, {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: '/x' },
  });
  test.each<[object, string[]]>([
    [{}, []],
    [{ accessModes: [] }, ['spec.accessModes: Required value: at least 1 access mode is required']],
    [
      { accessModes: ['ReadWriteOnce', 'ReadWriteOncePod'] },
      ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
    ],
    [{ accessModes: ['Sometimes'] }, [expect.stringContaining('spec.accessModes[0]: Unsupported value: "Sometimes"')]],
    [{ capacity: {} }, ['spec.capacity: Required value']],
    [{ capacity: { storage: '0' } }, ['spec.capacity[storage]: Invalid value: "0": must be greater than zero']],
    [{ hostPath: undefined }, ['spec: Required value: must specify a volume type']],
    [{ nfs: { server: 's', path: '/p' } }, ['spec.nfs: Forbidden: may not specify more than 1 volume type']],
    [{ hostPath: { path: '/a/../b' } }, ['spec.hostPath.path: Invalid value: "/a/../b": must not contain \'..\'']],
    [
      { hostPath: undefined, local: { path: '/x' } },
      ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
    ],
    [
      { persistentVolumeReclaimPolicy: 'Burn' },
      [expect.stringContaining('spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn"')],
    ],
    [{ storageClassName: 'Bad_Name' }, [expect.stringContaining('spec.storageClassName: Invalid value: "Bad_Name"')]],
  ])('%j', (more, expected) => expect(pv(more)).toEqual(expected));
  test('where it lies stays; who has it changes', () => {
    expect(pv({ claimRef: { name: 'c', namespace: 'n' }, capacity: { storage: '2Gi' } }, {})).toEqual([]);
    expect(pv({ hostPath: { path: '/y' } }, {})).toEqual([
      'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation',
    ]);
    expect(pv({ volumeMode: 'Block' }, {})).toEqual(['spec.volumeMode: Invalid value: "Block": field is immutable']);
  });
});

describe('claims', () => {
  const resources = (storage: string) => ({ resources: { requests: { storage } } });
  const pvc = ofSpec(
    kinds.PersistentVolumeClaim,
    { accessModes: ['ReadWriteOnce'], ...resources('1Gi') },
    { name: 'x', namespace: 'default' },
  );
  const bound = { phase: 'Bound', capacity: { storage: '1Gi' } };
  test.each<[object, string[]]>([
    [{}, []],
    [{ accessModes: undefined }, ['spec.accessModes: Required value: at least 1 access mode is required']],
    [{ resources: {} }, ['spec.resources[storage]: Required value']],
    [resources('0'), ['spec.resources[storage]: Invalid value: "0": must be greater than zero']],
    [
      { dataSource: { kind: 'Pod', name: 'p' } },
      [
        'spec.dataSource: Invalid value: "Pod": must be PersistentVolumeClaim when referencing the default apiGroup',
        'spec.dataSourceRef: Invalid value: "Pod": must be PersistentVolumeClaim when referencing the default apiGroup',
      ],
    ],
  ])('%j', (more, expected) => expect(pvc(more)).toEqual(expected));
  const fixed =
    'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims; changed: ';
  test('it is bound once', () => {
    expect(pvc({ volumeName: 'v' }, {})).toEqual([]);
    expect(pvc({ volumeName: 'w' }, { volumeName: 'v' })).toEqual([`${fixed}spec.volumeName`]);
    expect(pvc({ accessModes: ['ReadOnlyMany'] }, {})).toEqual([`${fixed}spec.accessModes`]);
    expect(pvc({ storageClassName: 'given' }, {})).toEqual([]);
    expect(pvc({ storageClassName: 'b' }, { storageClassName: 'a' })).toEqual([`${fixed}spec.storageClassName`]);
  });
  test('a bound claim grows', () => {
    expect(pvc(resources('2Gi'), {})).toEqual([`${fixed}spec.resources`]);
    expect(pvc(resources('2Gi'), {}, bound)).toEqual([]);
    expect(pvc(resources('500Mi'), {}, bound)).toEqual([
      'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    ]);
    expect(pvc(resources('2Gi'), resources('5Gi'), bound)).toEqual([]);
  });
});

test('storage classes', () => {
  const of = (more: object, previous?: object): string[] =>
    faults(
      kinds.StorageClass,
      { metadata, provisioner: 'p', ...more },
      previous && { metadata, provisioner: 'p', ...previous },
    );
  expect(of({})).toEqual([]);
  expect(of({ provisioner: '' })).toEqual(['provisioner: Required value']);
  expect(of({ reclaimPolicy: 'Recycle' })).toEqual([
    'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
  ]);
  expect(of({ volumeBindingMode: 'Soon' })).toEqual([
    'volumeBindingMode: Unsupported value: "Soon": supported values: "Immediate", "WaitForFirstConsumer"',
  ]);
  expect(
    of({ provisioner: 'q', reclaimPolicy: 'Retain', parameters: { a: 'b' }, allowVolumeExpansion: true }, {}),
  ).toEqual([
    'parameters: Forbidden: updates to parameters are forbidden.',
    'provisioner: Forbidden: updates to provisioner are forbidden.',
    'reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.',
  ]);
  expect(of({ volumeBindingMode: 'WaitForFirstConsumer' }, {})).toEqual([
    'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
  ]);
});

test('attachments', () => {
  const of = ofSpec(kinds.VolumeAttachment, { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } });
  expect(of({})).toEqual([]);
  expect(of({ attacher: '', nodeName: '', source: {} })).toEqual([
    'spec.attacher: Required value',
    'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    'spec.nodeName: Required value',
  ]);
  expect(of({ nodeName: 'm' }, {})).toEqual([expect.stringMatching('^spec: Invalid value: .*: field is immutable$')]);
});

test('drivers', () => {
  const of = ofSpec(kinds.CSIDriver, {});
  expect(of({})).toEqual([]);
  expect(
    of({ fsGroupPolicy: 'Odd', volumeLifecycleModes: ['Odd'], tokenRequests: [{ audience: 'a' }, { audience: 'a' }] }),
  ).toEqual([
    'spec.fsGroupPolicy: Unsupported value: "Odd": supported values: "File", "None", "ReadWriteOnceWithFSType"',
    'spec.volumeLifecycleModes[0]: Unsupported value: "Odd": supported values: "Ephemeral", "Persistent"',
    'spec.tokenRequests[1].audience: Duplicate value: "a"',
  ]);
  expect(of({ attachRequired: false }, {})).toEqual(['spec.attachRequired: Invalid value: false: field is immutable']);
  const node = ofSpec(kinds.CSINode, {});
  const driver = { name: 'd', nodeID: 'i' };
  expect(node({ drivers: [driver] })).toEqual([]);
  expect(node({ drivers: [driver, { ...driver, nodeID: '' }] })).toEqual([
    'spec.drivers[1].nodeID: Required value',
    'spec.drivers[1].name: Duplicate value: "d"',
  ]);
  expect(node({ drivers: [{ ...driver, nodeID: 'j' }] }, { drivers: [driver] })).toHaveLength(1);
});

test('storage capacities', () => {
  const of = (more: object, previous?: object): string[] => {
    const meta = { name: 'x', namespace: 'default' };
    return faults(
      kinds.CSIStorageCapacity,
      { metadata: meta, storageClassName: 's', ...more },
      previous && { metadata: meta, storageClassName: 's', ...previous },
    );
  };
  expect(of({ capacity: '1Gi' })).toEqual([]);
  expect(of({ storageClassName: '', capacity: '-1' })).toEqual([
    'storageClassName: Required value',
    'capacity: Invalid value: "-1": must be greater than or equal to 0',
  ]);
  expect(of({ storageClassName: 't' }, {})).toEqual(['storageClassName: Invalid value: "t": field is immutable']);
});
