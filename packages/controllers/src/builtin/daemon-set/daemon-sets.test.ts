import { ControllerRevision, DaemonSet, Node, Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller } from '../../controller-builder.js';
import { createTestControlPlane } from '../../testing/index.js';
import { nodeOf } from './daemon-pods.js';
import { daemonSets } from './daemon-sets.js';

const namespace = 'default';
const labels = { app: 'agent' };

/** Binds a pod to the node that it names and reports it ready: a scheduler and a node in one. */
const played = () =>
  controller(Pod)
    .named('played')
    .reconcile(async ({ object: pod, client }) => {
      const { name, uid } = pod.metadata;
      if (pod.metadata.deletionTimestamp) {
        await client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0, preconditions: { uid } });
      } else if (!pod.spec.nodeName) {
        const target = { kind: 'Node', name: nodeOf(pod)! };
        await client.createSubresource(Pod, pod.metadata, 'binding', { metadata: { name, namespace }, target });
      } else if (pod.status.phase === 'Pending') {
        const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: new Date().toISOString() }];
        await client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase: 'Running', conditions } });
      }
    });

async function start(nodes: readonly string[], image = 'orbitkit/echo:1') {
  const plane = await createTestControlPlane({ controllers: [daemonSets(), played()] });
  const { client, eventually } = plane;
  for (const name of nodes) await client.create(Node, { metadata: { name } });
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image }] } };
  const set = await client.create(DaemonSet, {
    metadata: { name: 'agent', namespace },
    spec: { selector: { matchLabels: labels }, template },
  });
  const until = (check: (set: DaemonSet) => boolean) =>
    eventually(async () => {
      const now = await client.get(DaemonSet, set.metadata);
      return check(now) && now;
    });
  const pods = async () => (await client.list(Pod, { namespace })).items.filter(pod => !pod.metadata.deletionTimestamp);
  return { plane, client, eventually, set, until, pods };
}

it('runs on every node, on new ones too, and not where the node is gone', async () => {
  const { plane, client, until, pods, eventually } = await start(['n1', 'n2']);
  await using _plane = plane;
  const two = await until(({ status }) => status.numberReady === 2);
  expect(two.status).toMatchObject({
    desiredNumberScheduled: 2,
    updatedNumberScheduled: 2,
    numberAvailable: 2,
    observedGeneration: 1,
  });
  await client.create(Node, { metadata: { name: 'n3' } });
  await until(({ status }) => status.numberReady === 3);
  await client.delete(Node, { name: 'n1' });
  await eventually(async () => (await pods()).map(nodeOf).sort().join() === 'n2,n3');
});

it('rolls a change out, keeps its history, and goes back', async () => {
  const { plane, client, set, until, pods, eventually } = await start(['n1', 'n2', 'n3']);
  await using _plane = plane;
  await until(({ status }) => status.numberReady === 3);
  const image = (tag: string) => {
    const patch = { spec: { template: { spec: { containers: [{ name: 'main', image: `orbitkit/echo:${tag}` }] } } } };
    return client.patch(DaemonSet, set.metadata, { type: 'strategic', patch });
  };
  const rolled = (tag: string) =>
    eventually(async () => {
      const { status, metadata } = await client.get(DaemonSet, set.metadata);
      const images = (await pods()).map(pod => pod.spec.containers[0]!.image);
      const done = status.updatedNumberScheduled === 3 && status.numberAvailable === 3;
      return (
        done &&
        status.observedGeneration === metadata.generation &&
        images.every(each => each === `orbitkit/echo:${tag}`)
      );
    });
  await image('2');
  await rolled('2');
  const revisions = async () =>
    (await client.list(ControllerRevision, { namespace })).items.map(({ revision }) => revision).sort();
  expect(await revisions()).toEqual([1, 2]);
  await image('1');
  await rolled('1');
  // The first template is the newest again, not a third one.
  expect(await revisions()).toEqual([2, 3]);
});

it('leaves alone a set that selects everything', async () => {
  const { plane, client, pods } = await start(['n1']);
  await using _plane = plane;
  await expect(
    client.create(DaemonSet, {
      metadata: { name: 'all', namespace },
      spec: { selector: {}, template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'x' }] } } },
    }),
  ).rejects.toMatchObject({ reason: 'Invalid' });
  expect((await pods()).every(pod => pod.metadata.name.startsWith('agent-'))).toBe(true);
});
