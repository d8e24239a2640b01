/** Which volume a claim gets, and what comes next otherwise, case by case, after the documentation of persistent volumes and storage classes. */
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { type BindingWorld, type Consumer, decideClaim, decideVolume } from './binding.js';
import { annotations, claimKeyOf, classOf } from './names.js';
import { claimDraft, classDraft, volumeDraft } from './testing/drafts.js';

type ClaimSpec = Partial<PersistentVolumeClaim['spec']>;
type VolumeSpec = Partial<PersistentVolume['spec']>;
type Marks = Partial<Record<keyof typeof annotations, string>>;

const marked = (marks: Marks) =>
  Object.fromEntries(Object.entries(marks).map(([mark, value]) => [annotations[mark as keyof Marks], value]));
/** `data` asks for 2Gi. */
const claimOf = (spec: ClaimSpec = {}, marks: Marks = {}): PersistentVolumeClaim => {
  const { metadata, ...rest } = claimDraft('data', '2Gi', spec);
  return { ...rest, metadata: { ...metadata, uid: 'claim', annotations: marked(marks) }, status: {} } as never;
};
interface VolumeWish {
  size?: string;
  spec?: VolumeSpec;
  phase?: string;
  labels?: Record<string, string>;
  deleting?: boolean;
  marks?: Marks;
}
const volumeOf = (name: string, { size = '2Gi', spec, phase, labels, deleting, marks }: VolumeWish = {}) =>
  ({
    ...volumeDraft(name, size, spec),
    metadata: {
      ...{ name, uid: name, labels, annotations: marked(marks ?? {}) },
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    status: { phase: phase ?? 'Available' },
  }) as unknown as PersistentVolume;
const forClaim = (name = 'data', uid?: string): VolumeSpec => ({
  claimRef: { namespace: 'default', name, ...(uid ? { uid } : {}) },
});

interface Given {
  volumes?: Record<string, VolumeWish>;
  classes?: Record<string, Partial<StorageClass>>;
  defaultClass?: string;
  consumer?: Consumer;
}
function worldOf({ volumes = {}, classes = {}, defaultClass, consumer }: Given): BindingWorld {
  const all = Object.entries(volumes).map(([name, wish]) => volumeOf(name, wish));
  return {
    volume: name => all.find(({ metadata }) => metadata.name === name),
    candidates: claim =>
      all.filter(volume => {
        const key = claimKeyOf(volume);
        return key === undefined ? classOf(volume) === classOf(claim) : key === `default/${claim.metadata.name}`;
      }),
    storageClass: name => {
      const more = classes[name];
      return more && (classDraft(name, 'example.com/disk', more) as StorageClass);
    },
    defaultClass: () => defaultClass,
    consumer: () => consumer,
  };
}

describe('a claim without a class gets', () => {
  const plain: ClaimSpec = { storageClassName: '' };
  it.each<[string, ClaimSpec, Record<string, VolumeWish>, string | undefined]>([
    ['the smallest that is large enough', {}, { a: { size: '8Gi' }, b: { size: '3Gi' }, c: { size: '1Gi' } }, 'b'],
    ['of equals the first by name', {}, { b: {}, a: {} }, 'a'],
    ['one with fewer access modes before a smaller one', {}, fewer(), 'large'],
    ['none that is too small', {}, { a: { size: '1Gi' } }, undefined],
    ['none of another mode', {}, { a: { spec: { volumeMode: 'Block' } } }, undefined],
    ['one of its mode', { volumeMode: 'Block' }, { a: {}, b: { spec: { volumeMode: 'Block' } } }, 'b'],
    ['none that lacks an access mode', { accessModes: ['ReadWriteMany'] }, { a: {} }, undefined],
    ['none of a class', {}, { a: { spec: { storageClassName: 'fast' } } }, undefined],
    [
      'one that its selector chooses',
      { selector: { matchLabels: { t: 'x' } } },
      { a: {}, b: { labels: { t: 'x' } } },
      'b',
    ],
    ['none that is on its way out', {}, { a: { deleting: true } }, undefined],
    ['none that was released', {}, { a: { phase: 'Released' } }, undefined],
    ['none of another claim', {}, { a: { spec: forClaim('other') } }, undefined],
    ['the one that is reserved for it, before a smaller one', {}, { a: {}, b: { size: '9Gi', spec: forClaim() } }, 'b'],
    ['not if it is too small', {}, { a: {}, b: { size: '1Gi', spec: forClaim() } }, 'a'],
    ['nor if it was for an earlier claim of the name', {}, { a: {}, b: { spec: forClaim('data', 'earlier') } }, 'a'],
  ])('%s', (_what, spec, volumes, expected) => {
    const decision = decideClaim(claimOf({ ...plain, ...spec }), worldOf({ volumes }));
    expect(decision.do === 'bind' ? decision.volume.metadata.name : undefined).toBe(expected);
  });
});
function fewer(): Record<string, VolumeWish> {
  return { small: { spec: { accessModes: ['ReadWriteOnce', 'ReadWriteMany'] } }, large: { size: '9Gi' } };
}

describe('of a claim', () => {
  const waits = { fast: { volumeBindingMode: 'WaitForFirstConsumer' as const } };
  const node = { metadata: { name: 'n1', labels: { zone: 'east' } }, spec: {}, status: {} } as unknown as Node;
  const placed = { pod: 'web', nodeName: 'n1', node };
  const bound: Marks = { bindCompleted: 'yes' };
  it.each<[string, ClaimSpec, Marks, Given, string]>([
    ['no class at all', { storageClassName: '' }, {}, {}, 'wait FailedBinding'],
    ['no class, and a default one', {}, {}, { defaultClass: 'fast' }, 'assign-class fast'],
    ['the empty class is a choice', { storageClassName: '' }, {}, { defaultClass: 'fast' }, 'wait FailedBinding'],
    ['a class that is not there', { storageClassName: 'fast' }, {}, {}, 'wait ProvisioningFailed'],
    ['a class', { storageClassName: 'fast' }, {}, { classes: { fast: {} } }, 'provision fast'],
    [
      'a class whose provisioner was part of Kubernetes',
      { storageClassName: 'fast' },
      {},
      { classes: { fast: { provisioner: 'kubernetes.io/gce-pd' } } },
      'wait ProvisioningFailed',
    ],
    [
      'a class that waits, and no pod',
      { storageClassName: 'fast' },
      {},
      { classes: waits },
      'wait WaitForFirstConsumer',
    ],
    [
      'a class that waits, and a pod without a node',
      { storageClassName: 'fast' },
      {},
      { classes: waits, consumer: { pod: 'web' } },
      'wait WaitForPodScheduled',
    ],
    [
      'a class that waits, and a pod on a node',
      { storageClassName: 'fast' },
      {},
      { classes: waits, consumer: placed },
      'select-node n1',
    ],
    [
      'a class that waits, and a node that the scheduler chose',
      { storageClassName: 'fast' },
      { selectedNode: 'n1' },
      { classes: waits },
      'provision fast',
    ],
    [
      'a class that waits, and a volume that could be had',
      { storageClassName: 'fast' },
      {},
      { classes: waits, volumes: { v: { spec: { storageClassName: 'fast' } } } },
      'wait WaitForFirstConsumer',
    ],
    [
      'a class that waits, and a volume that is reserved for it',
      { storageClassName: 'fast' },
      {},
      { classes: waits, volumes: { v: { spec: { storageClassName: 'fast', ...forClaim() } } } },
      'bind v',
    ],
    ['a volume that it names', { volumeName: 'v' }, {}, { volumes: { v: {} } }, 'bind v'],
    ['a volume that it names, not there', { volumeName: 'v' }, {}, {}, 'wait '],
    [
      'a volume that it names, too small',
      { volumeName: 'v' },
      {},
      { volumes: { v: { size: '1Gi' } } },
      'wait VolumeMismatch',
    ],
    [
      'a volume that it names, of another class',
      { volumeName: 'v' },
      {},
      { volumes: { v: { spec: { storageClassName: 'fast' } } } },
      'wait VolumeMismatch',
    ],
    [
      'a volume that it names, of another claim',
      { volumeName: 'v' },
      {},
      { volumes: { v: { spec: forClaim('other') } } },
      'wait FailedBinding',
    ],
    ['bound, and well', { volumeName: 'v' }, bound, { volumes: { v: { spec: forClaim('data', 'claim') } } }, 'bind v'],
    ['bound, and its volume forgot it', { volumeName: 'v' }, bound, { volumes: { v: {} } }, 'bind v'],
    ['bound, and its volume is gone', { volumeName: 'v' }, bound, {}, 'lost ClaimLost'],
    ['bound, and it forgot its volume', {}, bound, {}, 'lost ClaimLost'],
    [
      'bound, and its volume is another’s',
      { volumeName: 'v' },
      bound,
      { volumes: { v: { spec: forClaim('data', 'another') } } },
      'lost ClaimMisbound',
    ],
  ])('%s', (_what, spec, marks, given, expected) => {
    const decision = decideClaim(claimOf(spec, marks), worldOf(given));
    const what = {
      bind: () => decision.do === 'bind' && decision.volume.metadata.name,
      wait: () => (decision.do === 'wait' && decision.note?.reason) || '',
      lost: () => decision.do === 'lost' && decision.note.reason,
      'assign-class': () => decision.do === 'assign-class' && decision.name,
      'select-node': () => decision.do === 'select-node' && decision.nodeName,
      provision: () => decision.do === 'provision' && decision.storageClass.metadata.name,
    }[decision.do]();
    expect(`${decision.do} ${what}`).toBe(expected);
  });
});

describe('a volume', () => {
  const made = {
    marks: { provisionedBy: 'example.com/disk' },
    spec: { persistentVolumeReclaimPolicy: 'Delete' as const },
  };
  it.each<[string, VolumeWish, ClaimSpec | undefined, object]>([
    ['that is free', {}, undefined, { do: 'phase', phase: 'Available' }],
    ['that is reserved by name', { spec: forClaim() }, undefined, { do: 'phase', phase: 'Available' }],
    ['whose claim is gone', { spec: forClaim('data', 'claim') }, undefined, { do: 'release', confirm: true }],
    ['whose claim is another now', { spec: forClaim('data', 'earlier') }, {}, { do: 'release', confirm: true }],
    [
      'of a claim that has it',
      { spec: forClaim('data', 'claim') },
      { volumeName: 'v' },
      { do: 'phase', phase: 'Bound' },
    ],
    ['of a claim that does not say so yet', { spec: forClaim('data', 'claim') }, {}, { do: 'claim' }],
    ['of a claim of another mode', { spec: forClaim('data', 'claim') }, { volumeMode: 'Block' }, { do: 'mismatch' }],
    ['of a claim that took another', { spec: forClaim('data', 'claim') }, { volumeName: 'w' }, { do: 'unbind' }],
    [
      'that was made for a claim that took another',
      { ...made, spec: { ...made.spec, ...forClaim('data', 'claim') } },
      { volumeName: 'w' },
      { do: 'release', confirm: false },
    ],
  ])('%s', (_what, wish, claim, expected) => {
    expect(decideVolume(volumeOf('v', wish), claim && claimOf(claim))).toMatchObject(expected);
  });
});
