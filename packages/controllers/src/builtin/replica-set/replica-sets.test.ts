import { type AdmissionPlugin, defaultAdmission } from '@orbitkit/apiserver';
import { controllerOf, Event, Pod, ReplicaSet, StatusError } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { Gate, lagging } from '../../testing/lagging.js';
import { replicaSets } from './replica-sets.js';

const namespace = 'default';
const spec = { containers: [{ name: 'main', image: 'orbitkit/echo' }] };
const setNamed = (name: string, replicas: number, app = name) => ({
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app } },
    template: { metadata: { labels: { app } }, spec },
  },
});
const start = () => createTestControlPlane({ controllers: [replicaSets()] });
type Plane = Awaited<ReturnType<typeof start>>;

const podsOf = async ({ client }: Plane, name: string) => {
  const { items } = await client.list(Pod, { namespace });
  return items.filter(pod => controllerOf(pod)?.name === name && !pod.metadata.deletionTimestamp);
};
const report = async (
  { client }: Plane,
  pod: Pod,
  status: { phase: 'Running' | 'Failed' | 'Succeeded'; ready?: boolean },
) => {
  const conditions = [
    { type: 'Ready', status: status.ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ];
  return client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase: status.phase, conditions } });
};

it('adopts a pod that is there already and creates the rest', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(Pod, { metadata: { name: 'first', namespace, labels: { app: 'web' } }, spec });
  const set = await client.create(ReplicaSet, setNamed('web', 3));
  const pods = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 3 && owned;
  });
  expect(pods.filter(pod => pod.metadata.name === 'first').length).toBe(1);
  expect(pods.filter(pod => pod.metadata.name.startsWith('web-')).length).toBe(2);
  for (const pod of pods) {
    expect(pod.metadata.ownerReferences).toEqual([
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'web',
        uid: set.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
  }
  await eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.replicas === 3);
  const { items: events } = await client.list(Event, { namespace });
  expect(events.filter(event => event.reason === 'SuccessfulCreate').length).toBe(2);
});

it('a pod that is relabelled is released, keeps running, and is replaced', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(ReplicaSet, setNamed('web', 2));
  const [pod] = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 2 && owned;
  });
  await client.patch(Pod, pod!.metadata, { type: 'merge', patch: { metadata: { labels: { app: 'debug' } } } });
  await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 2 && !owned.some(each => each.metadata.name === pod!.metadata.name);
  });
  const released = await client.get(Pod, pod!.metadata);
  expect(released.metadata.ownerReferences ?? []).toEqual([]);
  expect(released.metadata.deletionTimestamp).toBeUndefined();
});

it('a pod that failed, or is gone, is replaced; one that succeeded too', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(ReplicaSet, setNamed('web', 3));
  const pods = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 3 && owned;
  });
  await report(plane, pods[0]!, { phase: 'Failed' });
  await report(plane, pods[1]!, { phase: 'Succeeded' });
  await client.delete(Pod, pods[2]!.metadata, { gracePeriodSeconds: 0 });
  const old = new Set(pods.map(pod => pod.metadata.name));
  await eventually(async () => (await podsOf(plane, 'web')).filter(pod => !old.has(pod.metadata.name)).length === 3);
});

it('surplus pods are deleted, those that serve nobody first', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  const set = await client.create(ReplicaSet, setNamed('web', 4));
  const pods = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 4 && owned;
  });
  for (const pod of pods.slice(0, 2)) {
    const bound = { metadata: { name: pod.metadata.name, namespace }, target: { kind: 'Node', name: 'n1' } };
    await client.createSubresource(Pod, pod.metadata, 'binding', bound);
    await report(plane, await client.get(Pod, pod.metadata), { phase: 'Running', ready: true });
  }
  await eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.readyReplicas === 2);
  await client.patch(ReplicaSet, set.metadata, { type: 'merge', patch: { spec: { replicas: 2 } } });
  const left = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 2 && owned;
  });
  expect(left.map(pod => pod.metadata.name).sort()).toEqual(
    pods
      .slice(0, 2)
      .map(pod => pod.metadata.name)
      .sort(),
  );
});

it('reports status, and writes it only when it changed', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  const set = await client.create(ReplicaSet, setNamed('web', 2));
  const pods = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 2 && owned;
  });
  for (const pod of pods) await report(plane, pod, { phase: 'Running', ready: true });
  const settled = await eventually(async () => {
    const current = await client.get(ReplicaSet, set.metadata);
    return current.status.availableReplicas === 2 && current;
  });
  expect(settled.status).toMatchObject({
    replicas: 2,
    readyReplicas: 2,
    fullyLabeledReplicas: 2,
    observedGeneration: settled.metadata.generation,
  });
  // A change of a pod that the status does not show.
  await client.patch(Pod, pods[0]!.metadata, { type: 'merge', patch: { metadata: { annotations: { note: 'x' } } } });
  const probe = await client.create(ReplicaSet, setNamed('probe', 0));
  await eventually(async () => (await client.get(ReplicaSet, probe.metadata)).status.observedGeneration === 1);
  const after = await client.get(ReplicaSet, set.metadata);
  expect(after.metadata.resourceVersion).toBe(settled.metadata.resourceVersion);
});

it('tells nothing of the pods from before it made some, also when the watch is ahead of the answer', async () => {
  await using plane = await createTestControlPlane({
    controllers: [replicaSets()],
    intercept: {
      async create(next, kind, object, options) {
        const made = await next(kind, object, options);
        // Long enough for the watch to bring the pod; a slower one makes this test weaker, not wrong.
        if ((kind as { kind: string }).kind === 'Pod') await new Promise(resolve => setTimeout(resolve, 100));
        return made;
      },
    },
  });
  const { client, eventually } = plane;
  const stop = new AbortController();
  const told: string[] = [];
  const watching = (async () => {
    for await (const event of client.watch(ReplicaSet, { namespace, signal: stop.signal }))
      if (event.type === 'MODIFIED') told.push(`${event.object.status.replicas}`);
  })().catch(error => {
    if (!stop.signal.aborted) throw error;
  });
  const set = await client.create(ReplicaSet, setNamed('web', 2));
  await eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.replicas === 2);
  await eventually(() => told.includes('2'));
  stop.abort();
  await watching;
  expect(told).toEqual(['2']);
});

it('a set that is being deleted neither adopts nor creates', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  const draft = setNamed('web', 1);
  const set = await client.create(ReplicaSet, {
    ...draft,
    metadata: { ...draft.metadata, finalizers: ['example.com/hold'] },
  });
  const [pod] = await eventually(async () => {
    const owned = await podsOf(plane, 'web');
    return owned.length === 1 && owned;
  });
  await client.delete(ReplicaSet, set.metadata);
  await client.create(Pod, { metadata: { name: 'orphan', namespace, labels: { app: 'web' } }, spec });
  await client.delete(Pod, pod!.metadata, { gracePeriodSeconds: 0 });
  const probe = await client.create(ReplicaSet, setNamed('probe', 1));
  await eventually(async () => (await client.get(ReplicaSet, probe.metadata)).status.replicas === 1);
  expect((await podsOf(plane, 'web')).length).toBe(0);
  expect((await client.get(Pod, { name: 'orphan', namespace })).metadata.ownerReferences ?? []).toEqual([]);
});

it('two sets with the same selector do not take pods from each other', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(ReplicaSet, setNamed('one', 2, 'shared'));
  await client.create(ReplicaSet, setNamed('two', 3, 'shared'));
  await eventually(async () => (await podsOf(plane, 'one')).length === 2 && (await podsOf(plane, 'two')).length === 3);
  const { items } = await client.list(Pod, { namespace });
  expect(items.length).toBe(5);
});

it('an empty selector is refused by the API', async () => {
  await using plane = await start();
  const draft = setNamed('all', 1);
  const refused = plane.client.create(ReplicaSet, { ...draft, spec: { ...draft.spec, selector: {} } });
  await expect(refused).rejects.toMatchObject({ reason: 'Invalid' });
});

it('a failure to create is reported as a condition and an event, tried again with one pod at first, and forgotten', async () => {
  let refused = 0;
  let refuse = true;
  const quota: AdmissionPlugin = {
    name: 'quota',
    validate(request) {
      if (request.kind.kind !== 'Pod' || request.operation !== 'CREATE' || !refuse) return;
      refused += 1;
      throw new StatusError('Forbidden', 'exceeded quota');
    },
  };
  await using plane = await createTestControlPlane({
    controllers: [replicaSets()],
    server: { admission: [...defaultAdmission(), quota] },
  });
  const { client, eventually } = plane;
  const set = await client.create(ReplicaSet, setNamed('web', 100));
  const failing = await eventually(async () => {
    const current = await client.get(ReplicaSet, set.metadata);
    return current.status.conditions?.length === 1 && current;
  });
  expect(failing.status.conditions![0]).toMatchObject({
    type: 'ReplicaFailure',
    status: 'True',
    reason: 'FailedCreate',
    message: expect.stringContaining('exceeded quota'),
  });
  // One call learns it, not a hundred: a dozen attempts make a dozen calls.
  expect(refused).toBeLessThan(20);
  refuse = false;
  await eventually(async () => (await podsOf(plane, 'web')).length === 100);
  await eventually(async () => {
    const { status } = await client.get(ReplicaSet, set.metadata);
    return status.replicas === 100 && (status.conditions ?? []).length === 0;
  });
  const { items: events } = await client.list(Event, { namespace });
  expect(events.some(event => event.reason === 'FailedCreate' && event.type === 'Warning')).toBe(true);
});

it('while its cache lags it acts once: no surplus pods, no further deletions', async () => {
  const gate = new Gate();
  await using plane = await createTestControlPlane({ controllers: [lagging(replicaSets(), Pod, gate)] });
  const { client, eventually } = plane;
  gate.close();
  const set = await client.create(ReplicaSet, setNamed('web', 3));
  await eventually(async () => (await podsOf(plane, 'web')).length === 3);
  // Each of these makes it look again, with a cache that still shows no pod.
  for (let i = 0; i < 5; i++) {
    const patch = { metadata: { annotations: { touched: String(i) } } };
    await client.patch(ReplicaSet, set.metadata, { type: 'merge', patch });
  }
  const probe = await client.create(ReplicaSet, setNamed('probe', 0));
  await eventually(async () => (await client.get(ReplicaSet, probe.metadata)).status.observedGeneration === 1);
  expect((await podsOf(plane, 'web')).length).toBe(3);
  gate.open();
  await eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.replicas === 3);

  gate.close();
  await client.patch(ReplicaSet, set.metadata, { type: 'merge', patch: { spec: { replicas: 2 } } });
  await eventually(async () => (await podsOf(plane, 'web')).length === 2);
  for (let i = 0; i < 5; i++) {
    const patch = { metadata: { annotations: { touched: `again ${i}` } } };
    await client.patch(ReplicaSet, set.metadata, { type: 'merge', patch });
  }
  const second = await client.create(ReplicaSet, setNamed('second', 0));
  await eventually(async () => (await client.get(ReplicaSet, second.metadata)).status.observedGeneration === 1);
  gate.open();
  await eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.replicas === 2);
  expect((await podsOf(plane, 'web')).length).toBe(2);
});
