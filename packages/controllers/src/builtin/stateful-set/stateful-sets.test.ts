import { PersistentVolumeClaim, Pod, StatefulSet } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane, playedPods } from '../../testing/index.js';
import { statefulSets } from './stateful-sets.js';

const namespace = 'default';
const labels = { app: 'db' };

async function start(spec: object = {}) {
  const plane = await createTestControlPlane({ controllers: [statefulSets(), playedPods()] });
  const { client, eventually } = plane;
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'orbitkit/echo:1' }] } };
  const set = await client.create(StatefulSet, {
    metadata: { name: 'db', namespace },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: labels },
      template,
      ...spec,
    } as StatefulSet['spec'],
  });
  const pods = async () => (await client.list(Pod, { namespace })).items.filter(pod => !pod.metadata.deletionTimestamp);
  const names = async () =>
    (await pods())
      .map(({ metadata }) => metadata.name)
      .sort()
      .join();
  const until = (check: (set: StatefulSet) => boolean) =>
    eventually(async () => {
      const now = await client.get(StatefulSet, set.metadata);
      return check(now) && now;
    });
  const patch = (change: object) => client.patch(StatefulSet, set.metadata, { type: 'strategic', patch: change });
  const image = (tag: string) =>
    patch({ spec: { template: { spec: { containers: [{ name: 'main', image: `orbitkit/echo:${tag}` }] } } } });
  const images = async () =>
    (await pods())
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .map(pod => (pod.spec.containers[0]?.image ?? '').split(':')[1]);
  return { plane, client, eventually, set, pods, names, until, patch, image, images };
}

it('grows upwards, shrinks from the top, and a pod comes back under its name', async () => {
  const { plane, client, until, names, patch, eventually } = await start();
  await using _plane = plane;
  await until(({ status }) => status.availableReplicas === 3);
  expect(await names()).toBe('db-0,db-1,db-2');
  const before = await client.get(Pod, { name: 'db-1', namespace });
  await client.delete(Pod, before.metadata, { gracePeriodSeconds: 0 });
  await eventually(async () => {
    const again = await client.get(Pod, { name: 'db-1', namespace });
    return again.metadata.uid !== before.metadata.uid;
  });
  await patch({ spec: { replicas: 1 } });
  await until(({ status }) => status.replicas === 1);
  expect(await names()).toBe('db-0');
});

it('rolls out to the partition, then to all, and then it is the current revision', async () => {
  const { plane, until, image, images, patch, eventually } = await start({
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
  });
  await using _plane = plane;
  await until(({ status }) => status.availableReplicas === 3);
  await image('2');
  await until(
    ({ status }) =>
      status.updatedReplicas === 1 &&
      status.availableReplicas === 3 &&
      status.currentRevision !== status.updateRevision,
  );
  expect(await images()).toEqual(['1', '1', '2']);
  await patch({ spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
  await eventually(async () => (await images()).join() === '2,2,2');
  const done = await until(
    ({ status }) => status.currentRevision === status.updateRevision && status.availableReplicas === 3,
  );
  expect(done.status).toMatchObject({ currentReplicas: 3, updatedReplicas: 3 });
});

it('makes a claim a pod, keeps it when it shrinks, and gives it back', async () => {
  const volumeClaimTemplates = [
    {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ];
  const { plane, client, until, patch, eventually } = await start({ volumeClaimTemplates, replicas: 2 });
  await using _plane = plane;
  await until(({ status }) => status.availableReplicas === 2);
  const claims = async () =>
    (await client.list(PersistentVolumeClaim, { namespace })).items.map(({ metadata }) => [
      metadata.name,
      metadata.uid,
    ]);
  const two = await claims();
  expect(two.map(([name]) => name)).toEqual(['data-db-0', 'data-db-1']);
  await patch({ spec: { replicas: 1 } });
  await until(({ status }) => status.replicas === 1);
  expect(await claims()).toEqual(two);
  await patch({ spec: { replicas: 2 } });
  await until(({ status }) => status.availableReplicas === 2);
  expect(await claims()).toEqual(two);
  // Now the claim of a pod that goes, goes with it.
  await patch({
    spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' }, replicas: 1 },
  });
  await eventually(async () => {
    const claim = (await client.list(PersistentVolumeClaim, { namespace })).items.find(
      ({ metadata }) => metadata.name === 'data-db-1',
    );
    return !claim || claim.metadata.deletionTimestamp !== undefined;
  });
});

it('a claim that goes is waited for, and a pending pod gets its claim again', async () => {
  const volumeClaimTemplates = [
    {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ];
  const claim = { name: 'data-db-0', namespace };
  await using plane = await createTestControlPlane({ controllers: [statefulSets()] });
  const { client, eventually, consistently } = plane;
  const held = await client.create(PersistentVolumeClaim, {
    metadata: { ...claim, finalizers: ['example.com/hold'] },
    spec: volumeClaimTemplates[0]!.spec as never,
  });
  await client.delete(PersistentVolumeClaim, claim);
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'x' }] } };
  const selector = { matchLabels: labels };
  await client.create(StatefulSet, {
    metadata: { name: 'db', namespace },
    spec: { replicas: 1, serviceName: 'db', selector, template, volumeClaimTemplates } as never,
  });
  const pods = async () => (await client.list(Pod, { namespace })).items.length;
  await consistently(async () => (await pods()) === 0);
  await client.patch(PersistentVolumeClaim, claim, { type: 'merge', patch: { metadata: { finalizers: null } } });
  await eventually(async () => (await pods()) === 1);
  const second = await client.get(PersistentVolumeClaim, claim);
  expect(second.metadata.uid).not.toBe(held.metadata.uid);
  // Nobody has bound the pod; its claim is deleted under it, and nothing else protects that.
  await client.patch(PersistentVolumeClaim, claim, { type: 'merge', patch: { metadata: { finalizers: null } } });
  const version = async () => (await client.get(StatefulSet, { name: 'db', namespace })).metadata.resourceVersion;
  const settled = await eventually(async () => {
    const { status, metadata } = await client.get(StatefulSet, { name: 'db', namespace });
    return status.replicas === 1 && metadata.resourceVersion;
  });
  await consistently(async () => (await version()) === settled, { forMs: 100 });
  await client.delete(PersistentVolumeClaim, claim);
  await eventually(async () => (await client.get(PersistentVolumeClaim, claim)).metadata.uid !== second.metadata.uid);
});

it('a pod that is adopted is told who it is; one whose name is no ordinal is nobody’s', async () => {
  await using plane = await createTestControlPlane({ controllers: [statefulSets()] });
  const { client, eventually } = plane;
  const spec = { containers: [{ name: 'main', image: 'x' }] };
  for (const name of ['db-0', 'db-old']) await client.create(Pod, { metadata: { name, namespace, labels }, spec });
  const template = { metadata: { labels }, spec };
  const selector = { matchLabels: labels };
  const set = { replicas: 1, serviceName: 'db', selector, template };
  await client.create(StatefulSet, { metadata: { name: 'db', namespace }, spec: set });
  const adopted = await eventually(async () => {
    const pod = await client.get(Pod, { name: 'db-0', namespace });
    return pod.metadata.labels?.['statefulset.kubernetes.io/pod-name'] === 'db-0' && pod;
  });
  expect(adopted.metadata.labels).toMatchObject({ ...labels, 'apps.kubernetes.io/pod-index': '0' });
  expect(adopted.metadata.ownerReferences?.[0]?.name).toBe('db');
  const stranger = await client.get(Pod, { name: 'db-old', namespace });
  expect([stranger.metadata.ownerReferences, stranger.metadata.labels]).toEqual([undefined, labels]);
});
