import { ConfigMap, findCondition, isNotFound, Namespace, Pod, ReplicaSet, Secret } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane, playedPods } from '../../testing/index.js';
import { replicaSets } from '../replica-set/replica-sets.js';
import { namespaces } from './namespaces.js';

const spec = { containers: [{ name: 'main', image: 'x' }] };
type Plane = Awaited<ReturnType<typeof createTestControlPlane>>;
const isGone = async ({ client }: Plane, name: string) => {
  try {
    await client.get(Namespace, { name });
    return false;
  } catch (error) {
    return isNotFound(error);
  }
};

it('empties the namespace, of all kinds, then lets it go; others are not touched', async () => {
  await using plane = await createTestControlPlane({
    controllers: [namespaces({ recheckMs: 20 }), replicaSets(), playedPods()],
  });
  const { client, eventually } = plane;
  for (const name of ['doomed', 'doomed2']) {
    await client.create(Namespace, { metadata: { name }, spec: {} });
    await client.create(ConfigMap, { metadata: { name: 'config', namespace: name } });
    await client.create(Secret, { metadata: { name: 'secret', namespace: name } });
    await client.create(ReplicaSet, {
      metadata: { name: 'web', namespace: name },
      spec: {
        replicas: 2,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec },
      },
    });
  }
  await eventually(async () => (await client.list(Pod, { namespace: 'doomed' })).items.length === 2);
  await client.delete(Namespace, { name: 'doomed' });
  await eventually(() => isGone(plane, 'doomed'));
  for (const kind of [ConfigMap, Secret, ReplicaSet, Pod]) {
    expect((await client.list<any>(kind, { namespace: 'doomed' })).items).toEqual([]);
  }
  expect((await client.list(ConfigMap, { namespace: 'doomed2' })).items.length).toBe(1);
  expect((await client.list(Pod, { namespace: 'doomed2' })).items.length).toBe(2);
  // The name can be used again.
  await client.create(Namespace, { metadata: { name: 'doomed' }, spec: {} });
  await client.create(ConfigMap, { metadata: { name: 'config', namespace: 'doomed' } });
});

it('pods go first; what they use stays until they are gone, and conditions say what is left', async () => {
  await using plane = await createTestControlPlane({ controllers: [namespaces({ recheckMs: 20 })] });
  const { client, eventually } = plane;
  await client.create(Namespace, { metadata: { name: 'doomed' }, spec: {} });
  await client.create(Secret, { metadata: { name: 'used', namespace: 'doomed' } });
  await client.create(Pod, { metadata: { name: 'graceful', namespace: 'doomed' }, spec: { ...spec, nodeName: 'n1' } });
  await client.delete(Namespace, { name: 'doomed' });
  const { status } = await eventually(async () => {
    const namespace = await client.get(Namespace, { name: 'doomed' });
    return findCondition(namespace.status.conditions, 'NamespaceContentRemaining')?.status === 'True' && namespace;
  });
  expect(status.phase).toBe('Terminating');
  expect(findCondition(status.conditions, 'NamespaceContentRemaining')?.message).toContain(
    'pods. has 1 resource instances',
  );
  expect((await client.get(Pod, { name: 'graceful', namespace: 'doomed' })).metadata.deletionTimestamp).toBeDefined();
  await client.get(Secret, { name: 'used', namespace: 'doomed' });
  await client.delete(Pod, { name: 'graceful', namespace: 'doomed' }, { gracePeriodSeconds: 0 });
  await eventually(() => isGone(plane, 'doomed'));
});

it('waits for finalizers and names them', async () => {
  await using plane = await createTestControlPlane({ controllers: [namespaces({ recheckMs: 20 })] });
  const { client, eventually } = plane;
  await client.create(Namespace, { metadata: { name: 'doomed' }, spec: {} });
  const held = await client.create(ConfigMap, {
    metadata: { name: 'held', namespace: 'doomed', finalizers: ['example.com/hold'] },
  });
  await client.delete(Namespace, { name: 'doomed' });
  await eventually(async () => {
    const { status } = await client.get(Namespace, { name: 'doomed' });
    return findCondition(status.conditions, 'NamespaceFinalizersRemaining')?.message?.includes('example.com/hold in 1');
  });
  await client.patch(ConfigMap, held.metadata, { type: 'merge', patch: { metadata: { finalizers: null } } });
  await eventually(() => isGone(plane, 'doomed'));
});
