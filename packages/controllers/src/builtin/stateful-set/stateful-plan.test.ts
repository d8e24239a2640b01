import type { PersistentVolumeClaim, Pod, StatefulSet } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { planStateful } from './stateful-plan.js';
import { claimOwners, claimsFor, claimTrouble, isClaimOf, ordinalOf, podFor } from './stateful-pods.js';

const now = Date.parse('2026-01-01T01:00:00Z');
const setWith = (spec: object = {}): StatefulSet =>
  ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default', uid: 'set' },
    spec: {
      ...{ replicas: 3, serviceName: 'db', selector: { matchLabels: { app: 'db' } } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [] } },
      ...spec,
    },
    status: {},
  }) as never;
interface PodWish {
  revision?: string;
  ready?: boolean;
  phase?: string;
  deleting?: boolean;
}
const pod = (ordinal: number, { revision = 'v1', ready = true, phase = 'Running', deleting }: PodWish = {}): Pod =>
  ({
    metadata: {
      ...{ name: `db-${ordinal}`, uid: `u${ordinal}`, namespace: 'default' },
      labels: { 'controller-revision-hash': revision },
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {},
    status: {
      phase,
      conditions: ready ? [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:59:30Z' }] : [],
    },
  }) as never;
const plan = (set: StatefulSet, pods: Pod[], update = 'v1') => {
  const { create, delete: gone, counts } = planStateful({ set, pods, current: 'v1', update, now });
  return {
    create: create.map(({ ordinal, revision }) => `${ordinal}${revision}`),
    gone: gone.map(each => each.metadata.name),
    counts,
  };
};

describe('in order', () => {
  it.each<[string, Pod[], string[], string[]]>([
    ['the first', [], ['0v1'], []],
    ['the next when the one before is ready', [pod(0)], ['1v1'], []],
    ['waits for it', [pod(0, { ready: false })], [], []],
    ['and for one that goes', [pod(0, { deleting: true })], [], []],
    ['what is missing before what is too much', [pod(0), pod(2), pod(3)], ['1v1'], []],
    ['a failed one is made again', [pod(0), pod(1, { phase: 'Failed', ready: false }), pod(2)], [], ['db-1']],
    ['too many: the highest', [pod(0), pod(1), pod(2), pod(3), pod(4)], [], ['db-4']],
    ['one at a time', [pod(0), pod(1), pod(2), pod(3), pod(4, { deleting: true })], [], []],
    ['not while another is unwell', [pod(0), pod(1, { ready: false }), pod(2), pod(3)], [], []],
    [
      'of those that go, one that is unwell waits for a lower one that is',
      [pod(0), pod(1), pod(2), pod(3, { ready: false }), pod(4, { ready: false })],
      [],
      [],
    ],
    ['which goes when it is alone', [pod(0), pod(1), pod(2), pod(3, { ready: false })], [], ['db-3']],
    ['one that is well does not wait', [pod(0), pod(1), pod(2), pod(3, { ready: false }), pod(4)], [], ['db-4']],
    ['all is well', [pod(0), pod(1), pod(2)], [], []],
  ])('%s', (_title, pods, create, gone) => {
    expect(plan(setWith(), pods)).toMatchObject({ create, gone });
  });

  it('ordinals start where the set says', () => {
    expect(plan(setWith({ ordinals: { start: 5 }, replicas: 2 }), [pod(0), pod(5)])).toMatchObject({
      create: ['6v1'],
      gone: [],
    });
    expect(plan(setWith({ ordinals: { start: 5 }, replicas: 1 }), [pod(0), pod(5)]).gone).toEqual(['db-0']);
  });

  it('a pod counts when it has been ready for long enough', () => {
    expect(plan(setWith({ minReadySeconds: 60 }), [pod(0)]).create).toEqual([]);
    expect(plan(setWith({ minReadySeconds: 20 }), [pod(0)]).create).toEqual(['1v1']);
  });
});

describe('Parallel', () => {
  const parallel = setWith({ podManagementPolicy: 'Parallel' });
  it('all at once', () => {
    expect(plan(parallel, [pod(1, { ready: false })]).create).toEqual(['0v1', '2v1']);
    expect(plan(parallel, [pod(0), pod(1), pod(2), pod(3), pod(4)]).gone).toEqual(['db-4', 'db-3']);
  });
});

describe('updates', () => {
  it.each<[string, object, Pod[], string[], string[]]>([
    ['from the highest', {}, [pod(0), pod(1), pod(2)], [], ['db-2']],
    ['which comes back new', {}, [pod(0), pod(1)], ['2v2'], []],
    ['the next when it is ready', {}, [pod(0), pod(1), pod(2, { revision: 'v2' })], [], ['db-1']],
    ['not before', {}, [pod(0), pod(1), pod(2, { revision: 'v2', ready: false })], [], []],
    ['one that vanished below comes back old', {}, [pod(0), pod(2)], ['1v1'], []],
    ['down to the partition', rolling(2), [pod(0), pod(1), pod(2, { revision: 'v2' })], [], []],
    ['below it they come back old', rolling(2), [pod(1), pod(2, { revision: 'v2' })], ['0v1'], []],
    ['OnDelete leaves them alone', { updateStrategy: { type: 'OnDelete' } }, [pod(0), pod(1), pod(2)], [], []],
    ['and makes new ones new', { updateStrategy: { type: 'OnDelete' } }, [pod(0), pod(1)], ['2v2'], []],
  ])('%s', (_title, spec, pods, create, gone) => {
    expect(plan(setWith(spec), pods, 'v2')).toMatchObject({ create, gone });
  });

  const fresh = (ordinal: number) => pod(ordinal, { revision: 'v2' });
  it.each<[string, number | string, object, Pod[], string[]]>([
    ['as many at once', 2, {}, [pod(0), pod(1), pod(2)], ['db-2', 'db-1']],
    ['a part is rounded down', '70%', {}, [pod(0), pod(1), pod(2)], ['db-2', 'db-1']],
    ['and is at least one', '10%', {}, [pod(0), pod(1), pod(2)], ['db-2']],
    ['not below the partition', 3, { partition: 2 }, [pod(0), pod(1), pod(2)], ['db-2']],
    ['less those that lack anyway', 2, {}, [pod(0), pod(1), pod(2, { revision: 'v2', ready: false })], ['db-1']],
    ['old ones that lack count too', 2, {}, [pod(0, { ready: false }), pod(1), pod(2)], ['db-2']],
    ['none when enough lack', 1, {}, [pod(0), pod(1), pod(2, { deleting: true })], []],
    ['the next when all are well', 2, {}, [pod(0), fresh(1), fresh(2)], ['db-0']],
  ])('maxUnavailable: %s', (_title, maxUnavailable, more, pods, gone) => {
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable, ...more } };
    expect(plan(setWith({ updateStrategy, podManagementPolicy: 'Parallel' }), pods, 'v2').gone).toEqual(gone);
  });

  it('maxUnavailable in order: not while one is awaited', () => {
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 2 } };
    const inOrder = setWith({ updateStrategy });
    expect(plan(inOrder, [pod(0), pod(1), pod(2)], 'v2').gone).toEqual(['db-2', 'db-1']);
    expect(plan(inOrder, [pod(0)], 'v2')).toMatchObject({ create: ['1v2'], gone: [] });
  });

  it('counts both versions', () => {
    const { counts } = plan(setWith(), [pod(0), pod(1, { ready: false }), pod(2, { revision: 'v2' })], 'v2');
    expect(counts).toEqual({
      replicas: 3,
      readyReplicas: 2,
      availableReplicas: 2,
      currentReplicas: 2,
      updatedReplicas: 1,
    });
  });
});

describe('pods and claims', () => {
  const claimed = setWith({
    volumeClaimTemplates: [
      { metadata: { name: 'data', labels: { tier: 'x' } }, spec: { accessModes: ['ReadWriteOnce'] } },
    ],
  });
  it('have the names of their ordinal', () => {
    const made = podFor(claimed, 2, claimed.spec.template, 'v1');
    expect(made.metadata).toMatchObject({
      name: 'db-2',
      labels: {
        app: 'db',
        'statefulset.kubernetes.io/pod-name': 'db-2',
        'apps.kubernetes.io/pod-index': '2',
        'controller-revision-hash': 'v1',
      },
    });
    expect(made.spec).toMatchObject({
      hostname: 'db-2',
      subdomain: 'db',
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-db-2' } }],
    });
    expect(claimsFor(claimed, 2)).toMatchObject([
      { metadata: { name: 'data-db-2', labels: { app: 'db', tier: 'x' } } },
    ]);
    expect(['data-db-7', 'data-db-x', 'data-dbx-7', 'other-db-7'].map(name => isClaimOf(claimed, name))).toEqual([
      true,
      ...[false, false, false],
    ]);
    expect([ordinalOf(claimed, 'db-07'), ordinalOf(claimed, 'db-7'), ordinalOf(claimed, 'dbx-7')]).toEqual([
      undefined,
      7,
      undefined,
    ]);
  });

  it.each<[string, object, boolean, string[] | undefined]>([
    ['stay by default', {}, false, undefined],
    ['belong to the set', { whenDeleted: 'Delete' }, false, ['set']],
    ['belong to a pod that goes', { whenScaled: 'Delete' }, true, ['u1']],
    ['not to one that stays', { whenScaled: 'Delete' }, false, undefined],
  ])('claims %s', (_title, policy, condemned, owners) => {
    const set = setWith({ persistentVolumeClaimRetentionPolicy: policy });
    const held = { metadata: { name: 'data-db-1', namespace: 'default' } } as PersistentVolumeClaim;
    expect(claimOwners(set, held, pod(1), condemned)?.map(({ uid }) => uid)).toEqual(owners);
  });

  it.each<[string, object, object, string | undefined]>([
    ['may be used', {}, {}, undefined],
    ['is on its way out', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }, 'is being deleted'],
    ['goes with the pod before', { whenScaled: 'Delete' }, owned('Pod', 'db-1', 'old'), 'goes with an earlier pod'],
    ['goes with a set before', { whenScaled: 'Delete' }, owned('StatefulSet', 'db', 'old'), 'goes with an earlier pod'],
    ['belongs to the set', { whenScaled: 'Delete' }, owned('StatefulSet', 'db', 'set'), undefined],
    ['is kept by the policy', {}, owned('Pod', 'db-1', 'old'), undefined],
  ])('a claim for a new pod %s', (_title, policy, metadata, trouble) => {
    const set = setWith({ persistentVolumeClaimRetentionPolicy: policy });
    const held = { metadata: { name: 'data-db-1', ...metadata } } as PersistentVolumeClaim;
    const found = claimTrouble(set, held, 'db-1');
    if (trouble === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(trouble);
  });

  it('claims that another controller has are its own', () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: 'x', controller: true }];
    const held = { metadata: { name: 'data-db-1', namespace: 'default', ownerReferences } } as PersistentVolumeClaim;
    const set = setWith({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } });
    expect(claimOwners(set, held, pod(1), false)).toBeUndefined();
  });

  it('claims lose an owner that the policy no longer wants, and keep others', () => {
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'set' },
      { apiVersion: 'v1', kind: 'X', name: 'x', uid: 'x' },
    ];
    const held = { metadata: { name: 'data-db-1', namespace: 'default', ownerReferences } } as PersistentVolumeClaim;
    expect(claimOwners(setWith(), held, pod(1), false)?.map(({ uid }) => uid)).toEqual(['x']);
  });
});

function rolling(partition: number) {
  return { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition } } };
}
function owned(kind: string, name: string, uid: string) {
  return { ownerReferences: [{ apiVersion: 'v1', kind, name, uid }] };
}
