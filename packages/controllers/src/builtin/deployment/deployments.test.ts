import {
  controllerOf,
  Deployment,
  Event,
  findCondition,
  isNotFound,
  type Patch,
  Pod,
  ReplicaSet,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane, type PlayedPodsOptions, playedPods } from '../../testing/index.js';
import { replicaSets } from '../replica-set/replica-sets.js';
import { deployments } from './deployments.js';
import { desiredReplicasAnnotation, revisionAnnotation } from './revision.js';
import { templateHashLabel } from './template.js';

const namespace = 'default';
const draft = (replicas: number, image = 'v1', more: Partial<Deployment['spec']> = {}) => ({
  metadata: { name: 'web', namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } },
    ...more,
  },
});
const start = (played: PlayedPodsOptions = {}) =>
  createTestControlPlane({ controllers: [deployments(), replicaSets(), playedPods(played)] });
type Plane = Awaited<ReturnType<typeof start>>;
const web = { name: 'web', namespace };

const setsOf = async ({ client }: Plane) => (await client.list(ReplicaSet, { namespace })).items;
const imageOf = (set: ReplicaSet) => set.spec.template!.spec!.containers[0]!.image;
const setWith = async (plane: Plane, image: string) => (await setsOf(plane)).find(set => imageOf(set) === image);
const setImage = ({ client }: Plane, image: string) =>
  client.patch(Deployment, web, {
    type: 'json',
    patch: [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: image }],
  });
/** What `kubectl rollout status` waits for. */
const rolledOut = (plane: Plane) =>
  plane.eventually(async () => {
    const deployment = await plane.client.get(Deployment, web);
    const { spec, status, metadata } = deployment;
    return (
      (status.observedGeneration ?? 0) >= metadata.generation! &&
      status.updatedReplicas === spec.replicas &&
      status.replicas === status.updatedReplicas &&
      status.availableReplicas === status.updatedReplicas &&
      deployment
    );
  });

it('makes a replica set named by the template hash, with revision, and reports the rollout', async () => {
  await using plane = await start();
  await plane.client.create(Deployment, draft(3));
  const deployment = await rolledOut(plane);
  expect(deployment.metadata.annotations?.[revisionAnnotation]).toBe('1');
  const [set, ...none] = await setsOf(plane);
  expect(none).toEqual([]);
  const hash = set!.metadata.labels![templateHashLabel]!;
  expect(set!.metadata.name).toBe(`web-${hash}`);
  expect(set!.spec.selector.matchLabels).toEqual({ app: 'web', [templateHashLabel]: hash });
  expect(controllerOf(set!)?.uid).toBe(deployment.metadata.uid);
  expect(set!.metadata.annotations?.[desiredReplicasAnnotation]).toBe('3');
  await plane.eventually(async () => {
    const { status } = await plane.client.get(Deployment, web);
    return findCondition(status.conditions, 'Progressing')?.reason === 'NewReplicaSetAvailable' && status;
  });
  const { status } = await plane.client.get(Deployment, web);
  expect(findCondition(status.conditions, 'Available')?.status).toBe('True');
  expect(status.unavailableReplicas ?? 0).toBe(0);
  const { items: events } = await plane.client.list(Event, { namespace });
  expect(events.map(event => event.message)).toContain(`Scaled up replica set ${set!.metadata.name} from 0 to 3`);
});

it('a rolling update stays within its limits all the way', async () => {
  await using plane = await start({
    readyAfterMs: pod => 5 + (pod.metadata.name.charCodeAt(pod.metadata.name.length - 1) % 30),
  });
  const { client } = plane;
  const rollingUpdate = { maxSurge: 2, maxUnavailable: 1 };
  await client.create(Deployment, draft(6, 'v1', { strategy: { type: 'RollingUpdate', rollingUpdate } }));
  await rolledOut(plane);
  const stop = new AbortController();
  let least = 6;
  let most = 0;
  const watching = (async () => {
    const pods = new Map<string, Pod>();
    for await (const event of client.watch(Pod, { namespace, signal: stop.signal })) {
      if (event.type === 'BOOKMARK') continue;
      if (event.type === 'DELETED' || event.object.metadata.deletionTimestamp) pods.delete(event.object.metadata.uid);
      else pods.set(event.object.metadata.uid, event.object);
      if (pods.size < 5) continue;
      most = Math.max(most, pods.size);
      least = Math.min(
        least,
        [...pods.values()].filter(pod => findCondition(pod.status.conditions, 'Ready')?.status === 'True').length,
      );
    }
  })().catch(() => {});
  await setImage(plane, 'v2');
  await rolledOut(plane);
  stop.abort();
  await watching;
  expect(least).toBeGreaterThanOrEqual(5);
  expect(most).toBeLessThanOrEqual(8);
  expect(most).toBeGreaterThan(6);
  expect((await setWith(plane, 'v1'))?.spec.replicas).toBe(0);
});

it('undo: an older template comes back, its set is found again and gets the next revision', async () => {
  await using plane = await start();
  await plane.client.create(Deployment, draft(2));
  await rolledOut(plane);
  await setImage(plane, 'v2');
  await rolledOut(plane);
  const before = await setWith(plane, 'v1');
  // What kubectl sends: the template of that revision without its hash label.
  const template = structuredClone(before!.spec.template!);
  delete template.metadata!.labels![templateHashLabel];
  const undo: Patch = { type: 'json', patch: [{ op: 'replace', path: '/spec/template', value: template }] };
  await plane.client.patch(Deployment, web, undo);
  const deployment = await rolledOut(plane);
  await plane.eventually(async () => (await setWith(plane, 'v2'))?.spec.replicas === 0);
  const sets = await setsOf(plane);
  expect(sets.length).toBe(2);
  const after = sets.find(set => set.metadata.uid === before!.metadata.uid)!;
  expect(after.spec.replicas).toBe(2);
  expect(after.metadata.annotations?.[revisionAnnotation]).toBe('3');
  expect(after.metadata.annotations?.['deployment.kubernetes.io/revision-history']).toBe('1');
  expect(deployment.metadata.annotations?.[revisionAnnotation]).toBe('3');
});

it('Recreate: no new pod before the last old one is gone', async () => {
  await using plane = await start({ stopAfterMs: 40 });
  const { client } = plane;
  await client.create(Deployment, draft(3, 'v1', { strategy: { type: 'Recreate' } }));
  await rolledOut(plane);
  const overlaps: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    const images = new Map<string, string>();
    for await (const event of client.watch(Pod, { namespace, signal: stop.signal })) {
      if (event.type === 'BOOKMARK') continue;
      if (event.type === 'DELETED') images.delete(event.object.metadata.uid);
      else images.set(event.object.metadata.uid, event.object.spec.containers[0]!.image!);
      if (new Set(images.values()).size > 1) overlaps.push(event.object.metadata.name);
    }
  })().catch(() => {});
  await setImage(plane, 'v2');
  await rolledOut(plane);
  stop.abort();
  await watching;
  expect(overlaps).toEqual([]);
});

it('paused: nothing rolls out, but it can be resized; resumed: it goes on', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(Deployment, draft(2));
  await rolledOut(plane);
  await client.patch(Deployment, web, { type: 'merge', patch: { spec: { paused: true } } });
  await setImage(plane, 'v2');
  await client.patch(Deployment, web, { type: 'merge', patch: { spec: { replicas: 4 } } });
  await eventually(async () => (await setWith(plane, 'v1'))?.status.availableReplicas === 4);
  await eventually(async () => {
    const { status, metadata } = await client.get(Deployment, web);
    const progressing = findCondition(status.conditions, 'Progressing');
    return status.observedGeneration === metadata.generation && progressing?.reason === 'DeploymentPaused';
  });
  expect((await setsOf(plane)).length).toBe(1);
  await client.patch(Deployment, web, { type: 'merge', patch: { spec: { paused: false } } });
  await rolledOut(plane);
  expect((await setWith(plane, 'v2'))?.spec.replicas).toBe(4);
});

it('a rollout that does not get on is reported after its deadline, and is well again when it does', async () => {
  let stuck = true;
  await using plane = await start({
    readyAfterMs: pod => (stuck && pod.spec.containers[0]!.image === 'bad' ? undefined : 0),
  });
  const { client, eventually } = plane;
  await client.create(Deployment, draft(2, 'v1', { progressDeadlineSeconds: 1, minReadySeconds: 0 }));
  await rolledOut(plane);
  await setImage(plane, 'bad');
  const condition = await eventually(async () => {
    const progressing = findCondition((await client.get(Deployment, web)).status.conditions, 'Progressing');
    return progressing?.reason === 'ProgressDeadlineExceeded' && progressing;
  });
  expect(condition).toMatchObject({ status: 'False', message: expect.stringContaining('has timed out progressing.') });
  expect((await setWith(plane, 'v1'))!.spec.replicas).toBeGreaterThan(0);
  stuck = false;
  await setImage(plane, 'v3');
  await rolledOut(plane);
  await eventually(async () => {
    const progressing = findCondition((await client.get(Deployment, web)).status.conditions, 'Progressing');
    return progressing?.status === 'True' && progressing.reason === 'NewReplicaSetAvailable';
  });
});

it('keeps as many old revisions as asked for', async () => {
  await using plane = await start();
  await plane.client.create(Deployment, draft(1, 'v1', { revisionHistoryLimit: 1 }));
  await rolledOut(plane);
  for (const image of ['v2', 'v3', 'v4']) {
    await setImage(plane, image);
    await rolledOut(plane);
  }
  const left = await plane.eventually(async () => {
    const sets = await setsOf(plane);
    return sets.length === 2 && sets;
  });
  expect(left.map(imageOf).sort()).toEqual(['v3', 'v4']);
});

it('adopts a replica set that matches, and takes the next name when its own is taken by a stranger', async () => {
  await using plane = await start();
  const { client } = plane;
  await client.create(Deployment, draft(1, 'first'));
  await rolledOut(plane);
  const [set] = await setsOf(plane);
  await client.delete(Deployment, web);
  // The collector may have been faster.
  await client.delete(ReplicaSet, set!.metadata).catch(error => {
    if (!isNotFound(error)) throw error;
  });
  // A stranger with the very name that the template's hash gives.
  const { name } = set!.metadata;
  await client.create(ReplicaSet, {
    metadata: { name, namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'stranger' } },
      template: { metadata: { labels: { app: 'stranger' } }, spec: { containers: [{ name: 'x', image: 'x' }] } },
    },
  });
  await client.create(Deployment, draft(1, 'first'));
  const deployment = await rolledOut(plane);
  expect(deployment.status.collisionCount).toBe(1);
  const sets = await setsOf(plane);
  expect(sets.length).toBe(2);
  expect(sets.find(each => each.metadata.name !== name)?.spec.replicas).toBe(1);
});
