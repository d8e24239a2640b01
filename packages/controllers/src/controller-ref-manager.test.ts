import { labelSet, Pod, ReplicaSet } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { claim } from './controller-ref-manager.js';
import { createTestControlPlane } from './testing/index.js';

const namespace = 'default';
const spec = { containers: [{ name: 'main', image: 'x' }] };

async function world() {
  // Owners that are gone, and pods of theirs, are what is tested here.
  const plane = await createTestControlPlane({ housekeeping: false });
  const { client } = plane;
  const owner = await client.create(ReplicaSet, {
    metadata: { name: 'web', namespace, finalizers: ['example.com/hold'] },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec },
    },
  });
  const pod = (name: string, app: string, ownerReferences: Pod['metadata']['ownerReferences'] = []) =>
    client.create(Pod, { metadata: { name, namespace, labels: { app }, ownerReferences }, spec });
  const controlled = (uid: string) => [
    { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid, controller: true },
  ];
  const claimFor = (objects: Pod[], by = owner) =>
    claim({ client, kind: Pod, ownerKind: ReplicaSet, owner: by, selector: labelSet({ app: 'web' }), objects });
  return { plane, client, owner, pod, controlled, claimFor };
}

it('keeps, adopts, releases and leaves alone', async () => {
  const { plane, client, owner, pod, controlled, claimFor } = await world();
  await using _ = plane;
  const plain = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'other', uid: 'other' }];
  const pods = [
    await pod('kept', 'web', controlled(owner.metadata.uid)),
    await pod('orphan', 'web', plain),
    await pod('moved', 'debug', [...controlled(owner.metadata.uid), ...plain]),
    await pod('strangers', 'web', controlled('somebody-else')),
    await pod('unrelated', 'db'),
  ];
  const claimed = await claimFor(pods);
  expect(claimed.map(each => each.metadata.name)).toEqual(['kept', 'orphan']);
  const refs = async (name: string) => (await client.get(Pod, { name, namespace })).metadata.ownerReferences ?? [];
  expect((await refs('orphan')).map(ref => [ref.name, ref.controller ?? false])).toEqual([
    ['other', false],
    ['web', true],
  ]);
  expect((await refs('moved')).map(ref => ref.name)).toEqual(['other']);
  expect((await refs('strangers'))[0]!.uid).toBe('somebody-else');
  expect(await refs('unrelated')).toEqual([]);
});

it('does not write what changed since it was read', async () => {
  const { plane, client, pod, claimFor } = await world();
  await using _ = plane;
  const stale = await pod('orphan', 'web');
  await client.patch(Pod, stale.metadata, { type: 'merge', patch: { metadata: { labels: { app: 'debug' } } } });
  await expect(claimFor([stale])).rejects.toMatchObject({ reason: 'Conflict' });
  expect((await client.get(Pod, stale.metadata)).metadata.ownerReferences ?? []).toEqual([]);
});

it('an owner that is deleted, or was replaced, does not adopt although its cached copy looks alive', async () => {
  const { plane, client, owner, pod, claimFor } = await world();
  await using _ = plane;
  const orphan = await pod('orphan', 'web');
  await client.delete(ReplicaSet, owner.metadata);
  await expect(claimFor([orphan])).rejects.toThrow(/is being deleted; it cannot adopt/);
  const imposter = { ...owner, metadata: { ...owner.metadata, uid: 'old' } };
  await expect(claimFor([orphan], imposter)).rejects.toThrow(/was replaced/);
  const dying = await client.get(ReplicaSet, owner.metadata);
  expect(await claimFor([orphan], dying)).toEqual([]);
  expect((await client.get(Pod, orphan.metadata)).metadata.ownerReferences ?? []).toEqual([]);
});
