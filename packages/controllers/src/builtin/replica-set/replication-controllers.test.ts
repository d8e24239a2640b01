import { ConfigMap, controllerOf, controllerReference, Pod, ReplicationController } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { replicaSets, replicationControllers } from './replica-sets.js';

it('a replication controller keeps its pods, beside replica sets that select the same', async () => {
  await using plane = await createTestControlPlane({ controllers: [replicationControllers(), replicaSets()] });
  const { client, eventually } = plane;
  const labels = { app: 'old' };
  const spec = { containers: [{ name: 'main', image: 'orbitkit/echo' }] };
  // Without a selector it is its template's labels.
  const made = await client.create(ReplicationController, {
    metadata: { name: 'old', namespace: 'default' },
    spec: { replicas: 2, template: { metadata: { labels }, spec } },
  });
  expect(made.spec.selector).toEqual(labels);
  const pods = async () => (await client.list(Pod)).items.filter(pod => !pod.metadata.deletionTimestamp);
  const owned = await eventually(async () => {
    const now = await pods();
    return now.length === 2 && now;
  });
  expect(owned.map(pod => controllerOf(pod)?.kind)).toEqual(['ReplicationController', 'ReplicationController']);
  await client.patch(ReplicationController, made.metadata, { type: 'merge', patch: { spec: { replicas: 0 } } });
  await eventually(async () => (await pods()).length === 0);
  await eventually(async () => (await client.get(ReplicationController, made.metadata)).status.replicas === 0);
});

describe('a pod that its selector chooses', () => {
  const labels = { app: 'old' };
  const spec = { containers: [{ name: 'main', image: 'orbitkit/echo' }] };
  it.each<[string, Record<string, string>, boolean, boolean]>([
    // what, the pod's labels, whether somebody else controls it, whether it becomes the controller's
    ['and nobody controls is adopted', labels, false, true],
    ['with more labels than that is adopted', { ...labels, more: 'x' }, false, true],
    ['but another controls is left to that one', labels, true, false],
    ['by no label is left alone', { app: 'new' }, false, false],
  ])('%s', async (_, own, taken, adopted) => {
    await using plane = await createTestControlPlane({ controllers: [replicationControllers()] });
    const { client, eventually } = plane;
    const other = await client.create(ConfigMap, { metadata: { name: 'other', namespace: 'default' } });
    const ownerReferences = taken ? [controllerReference(other)] : [];
    const metadata = { name: 'found', namespace: 'default', ownerReferences };
    await client.create(Pod, { metadata: { ...metadata, labels: own }, spec });
    const mine = await client.create(ReplicationController, {
      metadata: { name: 'old', namespace: 'default' },
      spec: { replicas: 1, selector: labels, template: { metadata: { labels }, spec } },
    });
    await eventually(async () => (await client.get(ReplicationController, mine.metadata)).status.replicas === 1);
    const { items } = await client.list(Pod);
    const owned = items.filter(pod => controllerOf(pod)?.uid === mine.metadata.uid).map(pod => pod.metadata.name);
    expect(owned.includes('found')).toBe(adopted);
    expect(owned).toHaveLength(1);
    if (taken) expect(controllerOf(await client.get(Pod, metadata))?.uid).toBe(other.metadata.uid);
  });
});
