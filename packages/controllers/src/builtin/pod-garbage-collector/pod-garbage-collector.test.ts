import { manualClock, Node, Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { podGarbageCollector } from './pod-garbage-collector.js';

const namespace = 'default';
const spec = { containers: [{ name: 'main', image: 'x' }] };
type Plane = Awaited<ReturnType<typeof createTestControlPlane>>;
const names = async ({ client }: Plane) =>
  (await client.list(Pod, { namespace })).items.map(pod => pod.metadata.name).sort();

it('deletes the oldest of too many pods that are over, and none that run', async () => {
  const clock = manualClock();
  await using plane = await createTestControlPlane({
    controllers: [podGarbageCollector({ terminatedPodThreshold: 2 })],
    clock,
  });
  const { client, eventually } = plane;
  for (const [i, phase] of (['Failed', 'Succeeded', 'Running', 'Failed', 'Succeeded'] as const).entries()) {
    const pod = await client.create(Pod, { metadata: { name: `p${i}`, namespace }, spec });
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase } });
  }
  await eventually(async () => {
    await clock.advance(20_000);
    return (await names(plane)).length === 3;
  });
  expect(await names(plane)).toContain('p2');
});

it('deletes evicted pods before older ones, and the oldest of the rest', async () => {
  const clock = manualClock();
  await using plane = await createTestControlPlane({
    controllers: [podGarbageCollector({ terminatedPodThreshold: 2 })],
    clock,
  });
  const { client, eventually } = plane;
  const over = [
    ['a-first', {}],
    ['b-evicted', { reason: 'Evicted' }],
    ['c-other', { reason: 'DeadlineExceeded' }],
    ['d-evicted', { reason: 'Evicted' }],
  ] as const;
  for (const [name, more] of over) {
    const pod = await client.create(Pod, { metadata: { name, namespace }, spec });
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase: 'Failed', ...more } });
  }
  await eventually(async () => {
    await clock.advance(20_000);
    return (await names(plane)).length === 2;
  });
  expect(await names(plane)).toEqual(['a-first', 'c-other']);
});

it('deletes pods of a node that is gone, but only after it was gone for a while', async () => {
  const clock = manualClock();
  await using plane = await createTestControlPlane({ controllers: [podGarbageCollector()], clock });
  const { client, eventually } = plane;
  await client.create(Node, { metadata: { name: 'alive' }, spec: {} });
  await client.create(Node, { metadata: { name: 'lost' }, spec: {} });
  for (const nodeName of ['alive', 'lost']) {
    await client.create(Pod, { metadata: { name: `on-${nodeName}`, namespace }, spec: { ...spec, nodeName } });
  }
  await clock.advance(60_000);
  await client.delete(Node, { name: 'lost' });
  await client.create(Pod, { metadata: { name: 'unbound', namespace }, spec });
  // A round sees it missing for the first time; two more, and 40 s are over.
  for (let i = 0; i < 2; i++) {
    await clock.advance(19_000);
    expect(await names(plane)).toEqual(['on-alive', 'on-lost', 'unbound']);
  }
  await eventually(async () => {
    await clock.advance(20_000);
    return (await names(plane)).join() === 'on-alive,unbound';
  });
});

it('finishes pods that are being deleted and that no agent will ever see', async () => {
  const clock = manualClock();
  await using plane = await createTestControlPlane({ controllers: [podGarbageCollector()], clock });
  const { client, eventually } = plane;
  const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' as const }];
  await client.create(Node, { metadata: { name: 'dead' }, spec: { taints } });
  await client.create(Node, { metadata: { name: 'alive' }, spec: {} });
  for (const nodeName of ['dead', 'alive']) {
    await client.create(Pod, { metadata: { name: `on-${nodeName}`, namespace }, spec: { ...spec, nodeName } });
    await client.delete(Pod, { name: `on-${nodeName}`, namespace });
  }
  await eventually(async () => {
    await clock.advance(20_000);
    return (await names(plane)).join() === 'on-alive';
  });
});
