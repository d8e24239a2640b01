import { type batchv1, Event, findCondition, Job, Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { isTracked } from './job-pods.js';
import { jobs } from './jobs.js';

const namespace = 'default';
const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'orbitkit/echo' }] } };

async function start(spec: Partial<batchv1.JobSpec> = {}) {
  const plane = await createTestControlPlane({ controllers: [jobs()] });
  const { client, eventually } = plane;
  const job = await client.create(Job, { metadata: { name: 'work', namespace }, spec: { template, ...spec } });
  const pods = async (phase?: string) => {
    const { items } = await client.list(Pod, { namespace });
    return items.filter(
      pod => (phase ? pod.status.phase === phase : pod.status.phase === 'Pending') && !pod.metadata.deletionTimestamp,
    );
  };
  const running = (count: number) =>
    eventually(async () => {
      const now = await pods();
      return now.length === count && now;
    });
  const end = async (pod: Pod, phase: 'Succeeded' | 'Failed', exitCode = phase === 'Failed' ? 1 : 0) => {
    // Long ago: a failed pod is replaced at once.
    const times = { startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:00:01Z' };
    const containerStatuses = [
      {
        name: 'main',
        image: 'x',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { terminated: { exitCode, ...times } },
      },
    ];
    const fresh = await client.get(Pod, pod.metadata);
    await client.updateStatus(Pod, { ...fresh, status: { ...fresh.status, phase, containerStatuses } });
  };
  const read = () => client.get(Job, job.metadata);
  const until = (type: string) =>
    eventually(async () => {
      const now = await read();
      return findCondition(now.status.conditions, type)?.status === 'True' && now;
    });
  return { plane, ...plane, job, pods, running, end, read, until };
}

it('runs to completion, and every pod is let go', async () => {
  const { plane, client, running, end, until, eventually } = await start({ completions: 3, parallelism: 2 });
  await using _plane = plane;
  for (const pod of await running(2)) await end(pod, 'Succeeded');
  for (const pod of await running(1)) await end(pod, 'Succeeded');
  const { status } = await until('Complete');
  expect(status).toMatchObject({ succeeded: 3 });
  expect(status.completionTime).toBeDefined();
  expect(status.active ?? 0).toBe(0);
  await eventually(async () => !(await client.list(Pod, { namespace })).items.some(isTracked));
  await eventually(async () => {
    const { items } = await client.list(Event, { namespace });
    return items.some(({ reason }) => reason === 'Completed');
  });
});

it('replaces what fails until the limit, then fails', async () => {
  const { plane, running, end, until, pods } = await start({ backoffLimit: 1 });
  await using _plane = plane;
  await end((await running(1))[0]!, 'Failed');
  await end((await running(1))[0]!, 'Failed');
  const { status } = await until('Failed');
  expect(findCondition(status.conditions, 'Failed')).toMatchObject({ reason: 'BackoffLimitExceeded' });
  expect([status.failed, (await pods()).length]).toEqual([2, 0]);
});

it('Indexed: one pod an index, and which have succeeded', async () => {
  const { plane, running, end, until } = await start({ completionMode: 'Indexed', completions: 3, parallelism: 3 });
  await using _plane = plane;
  const pods = await running(3);
  expect(pods.map(pod => pod.spec.hostname).sort()).toEqual(['work-0', 'work-1', 'work-2']);
  for (const pod of pods) await end(pod, 'Succeeded');
  expect((await until('Complete')).status).toMatchObject({ completedIndexes: '0-2', succeeded: 3 });
});

it('suspending ends its pods, resuming starts anew', async () => {
  const { plane, client, job, running, until } = await start();
  await using _plane = plane;
  await running(1);
  await client.patch(Job, job.metadata, { type: 'merge', patch: { spec: { suspend: true } } });
  await until('Suspended');
  await running(0);
  await client.patch(Job, job.metadata, { type: 'merge', patch: { spec: { suspend: false } } });
  await running(1);
  const said = async () => (await client.list(Event, { namespace: job.metadata.namespace })).items.map(e => e.reason);
  await plane.eventually(async () => (await said()).includes('Suspended') && (await said()).includes('Resumed'));
});

it('leaves a Job to whom its managedBy names', async () => {
  const { plane, client, job, running } = await start({ managedBy: 'example.com/queue' });
  await using _plane = plane;
  // One of ours, made later, has its pod.
  await client.create(Job, { metadata: { name: 'ours', namespace }, spec: { template } });
  const [pod] = await running(1);
  expect(pod?.metadata.ownerReferences?.[0]?.name).toBe('ours');
  expect((await client.get(Job, job.metadata)).status).toEqual({});
});

it('counts nothing twice, however often its manager is killed', async () => {
  const { plane, client, running, end, until, job } = await start({ completions: 4, parallelism: 4 });
  const pods = await running(4);
  await using _plane = plane;
  for (const pod of pods) await end(pod, 'Succeeded');
  // Another manager works on the same Job at the same time: the worst case of a restart.
  const { controllerManager } = await import('../../controller-manager.js');
  const { compose } = await import('@orbitkit/core');
  for (let i = 0; i < 5; i++) {
    const other = compose(
      { client: user => plane.clientFor(user) },
      controllerManager([jobs()], { name: `other-${i}` }),
    );
    other.run().catch(() => {});
    await other.ready;
    await other[Symbol.asyncDispose]();
  }
  expect((await until('Complete')).status.succeeded).toBe(4);
  expect((await client.get(Job, job.metadata)).status.failed ?? 0).toBe(0);
});

it('a pod that lost its Job is let go', async () => {
  const { plane, client, job, running, eventually } = await start();
  await using _plane = plane;
  await running(1);
  await client.delete(Job, job.metadata, { propagationPolicy: 'Background' });
  await eventually(async () => (await client.list(Pod, { namespace })).items.length === 0);
});
