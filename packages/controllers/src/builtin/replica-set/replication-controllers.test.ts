import { controllerOf, Pod, ReplicationController } from '@orbitkit/core';
import { expect, it } from 'vitest';
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
