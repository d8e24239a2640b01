import { ConfigMap, Deployment, type KubeObject, manualClock, ReplicaSet, Service } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller } from './controller-builder.js';
import { annotationsChanged, anyOf, type ChangeEvent, generationChanged, labelsChanged } from './predicates.js';
import { createTestControlPlane } from './testing/index.js';

const namespace = 'default';
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const deployment = (name: string) => ({
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { a: 'b' } }, template },
});

it('reports status only where it changes, and times only where a condition changes', async () => {
  const clock = manualClock();
  const calls: string[] = [];
  let reason = 'Starting';
  let status: 'True' | 'False' = 'False';
  const subject = controller(Deployment)
    .named('subject')
    .reconcile(async ({ object, reportStatus, clock }) => {
      await reportStatus({
        replicas: 2,
        conditions: [{ type: 'Available', status, reason, message: `at ${clock.now() % 1}` }],
      });
      await reportStatus({ conditions: [{ type: 'Progressing', status: 'True', reason: 'Always' }] });
      calls.push(object.metadata.resourceVersion);
    });
  let patches = 0;
  await using plane = await createTestControlPlane({
    controllers: [subject],
    clock,
    intercept: {
      patch: (next, ...call) => {
        patches += 1;
        return next(...call);
      },
    },
  });
  const { client, eventually } = plane;
  await client.create(Deployment, deployment('d'));
  const touch = (value: string) =>
    client.patch(Deployment, { name: 'd', namespace }, { type: 'merge', patch: { metadata: { labels: { value } } } });
  const conditions = async () => (await client.get(Deployment, { name: 'd', namespace })).status.conditions ?? [];
  const first = await eventually(async () => ((await conditions()).length === 2 ? conditions() : undefined), { clock });
  // Conditions of Deployments have no observedGeneration, and no message where it is empty.
  expect(first.map(({ lastTransitionTime: _, ...rest }) => rest)).toEqual([
    { type: 'Available', status: 'False', reason: 'Starting', message: 'at 0' },
    { type: 'Progressing', status: 'True', reason: 'Always' },
  ]);
  expect(patches).toBe(2);
  await clock.advance(60_000);
  // Nothing to say: no call.
  const before = calls.length;
  await touch('1');
  await eventually(() => calls.length > before + 1, { clock });
  expect(patches).toBe(2);
  reason = 'Waiting';
  await touch('2');
  await eventually(async () => (await conditions())[0]!.reason === 'Waiting', { clock });
  expect((await conditions())[0]!.lastTransitionTime).toBe(first[0]!.lastTransitionTime);
  status = 'True';
  await touch('3');
  await eventually(async () => (await conditions())[0]!.status === 'True', { clock });
  expect((await conditions())[0]!.lastTransitionTime).not.toBe(first[0]!.lastTransitionTime);
  expect((await conditions())[1]!.lastTransitionTime).toBe(first[1]!.lastTransitionTime);
});

it('applies as itself, into the namespace of the object, and owns the kinds it declared', async () => {
  const subject = controller(ConfigMap)
    .named('subject')
    .owns(Service)
    .predicate(({ object }) => object.metadata.name === 'a')
    .reconcile(async ({ apply, object }) => {
      await apply(Service, { metadata: { name: 'web' }, spec: { ports: [{ port: 80 }], selector: object.data ?? {} } });
      await apply(ReplicaSet, { metadata: { name: 'loose' }, spec: deployment('x').spec });
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  const owner = await plane.client.create(ConfigMap, { metadata: { name: 'a', namespace }, data: { app: 'web' } });
  const service = await plane.eventually(() => plane.client.get(Service, { name: 'web', namespace }));
  expect(service.metadata.ownerReferences).toMatchObject([{ uid: owner.metadata.uid, controller: true }]);
  expect(service.metadata.managedFields).toMatchObject([{ manager: 'subject', operation: 'Apply' }]);
  const loose = await plane.eventually(() => plane.client.get(ReplicaSet, { name: 'loose', namespace }));
  expect(loose.metadata.ownerReferences).toBeUndefined();
  // What it leaves out the next time goes.
  await plane.client.update(ConfigMap, { ...owner, data: { tier: 'front' } });
  await plane.eventually(async () => {
    expect((await plane.client.get(Service, { name: 'web', namespace })).spec.selector).toEqual({ tier: 'front' });
    return true;
  });
});

it('predicates judge updates by what changed', () => {
  const object = (metadata: object) => ({ apiVersion: 'v1', kind: 'X', metadata: { name: 'x', ...metadata } }) as never;
  const update = (previous: object, next: object): ChangeEvent<KubeObject> => ({
    type: 'update',
    previous: object(previous),
    object: object(next),
  });
  const same = update({ generation: 1, labels: { a: '1' } }, { generation: 1, labels: { a: '1' } });
  const labels = update({ generation: 1, labels: { a: '1' } }, { generation: 1, labels: { a: '2' } });
  const annotations = update({ generation: 1 }, { generation: 1, annotations: { a: '2' } });
  const going = update({ generation: 1 }, { generation: 1, deletionTimestamp: 'now' });
  const all = [same, labels, annotations, going];
  expect(all.map(labelsChanged)).toEqual([false, true, false, false]);
  expect(all.map(annotationsChanged)).toEqual([false, false, true, false]);
  expect(all.map(generationChanged)).toEqual([false, false, false, true]);
  expect(all.map(anyOf(labelsChanged, annotationsChanged))).toEqual([false, true, true, false]);
  expect(anyOf(labelsChanged)({ type: 'delete', object: object({}) })).toBe(true);
});
