import { CronJob, controllerReference, Event, formatTime, Job, manualClock } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { cronJobs } from './cron-jobs.js';

const namespace = 'default';
const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'orbitkit/echo' }] } };

async function start(spec: Partial<CronJob['spec']> = {}) {
  // The server stamps creation with the system's time, so the controller's clock starts there.
  const clock = manualClock(Date.now());
  const plane = await createTestControlPlane({ controllers: [cronJobs()], clock });
  const cronJob = await plane.client.create(CronJob, {
    metadata: { name: 'tick', namespace },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template } }, ...spec },
  });
  const jobs = async () => {
    const { items } = await plane.client.list(Job, { namespace });
    return items.filter(job => !job.metadata.deletionTimestamp).map(job => job.metadata.name);
  };
  const minutes = async (count: number) => {
    // The controller's informers first hear of what was written; that is real time, and its timers are not.
    for (let i = 0; i < count * 12; i++) {
      await clock.advance(5_000);
      await new Promise(resolve => setImmediate(resolve));
    }
  };
  const finish = async (name: string, type: 'Complete' | 'Failed') => {
    const job = await plane.client.get(Job, { name, namespace });
    const now = formatTime(clock.now());
    const conditions = [
      { type: type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget', status: 'True', lastTransitionTime: now },
      { type, status: 'True', lastTransitionTime: now },
    ];
    const status = {
      ...job.status,
      startTime: now,
      conditions,
      ...(type === 'Complete' ? { completionTime: now } : {}),
    };
    await plane.client.updateStatus(Job, { ...job, status });
  };
  const read = () => plane.client.get(CronJob, cronJob.metadata);
  return { ...plane, plane, clock, jobs, minutes, finish, read };
}

it('makes a Job a minute, named after it, and says which run', async () => {
  const { plane, minutes, jobs, eventually, read, clock } = await start();
  await using _plane = plane;
  await minutes(1);
  const [name] = await eventually(async () => {
    const made = await jobs();
    return made.length >= 1 && made;
  });
  expect(name).toMatch(/^tick-\d+$/);
  const { status } = await eventually(async () => {
    const now = await read();
    return now.status.lastScheduleTime !== undefined && now;
  });
  expect(status.active?.[0]).toMatchObject({ kind: 'Job', name });
  expect(Math.abs(Date.parse(status.lastScheduleTime!) - clock.now())).toBeLessThan(120_000);
});

it('Forbid waits for the one that runs', async () => {
  const { plane, minutes, jobs, eventually, finish, client } = await start({ concurrencyPolicy: 'Forbid' });
  await using _plane = plane;
  await minutes(1);
  const [first] = await eventually(async () => {
    const made = await jobs();
    return made.length === 1 && made;
  });
  await minutes(2);
  expect(await jobs()).toEqual([first]);
  await eventually(async () => {
    const { items } = await client.list(Event, { namespace });
    return items.some(event => event.reason === 'JobAlreadyActive');
  });
  await finish(first!, 'Complete');
  await eventually(async () => {
    await minutes(1);
    return (await jobs()).length === 2;
  });
});

it('Replace deletes the one that runs', async () => {
  const { plane, minutes, jobs, eventually } = await start({ concurrencyPolicy: 'Replace' });
  await using _plane = plane;
  await minutes(1);
  const [first] = await eventually(async () => {
    const made = await jobs();
    return made.length === 1 && made;
  });
  await eventually(async () => {
    await minutes(1);
    const made = await jobs();
    return made.length === 1 && made[0] !== first;
  });
});

it('keeps as many finished Jobs as it is told, and notes the last success', async () => {
  const { plane, minutes, jobs, eventually, finish, read } = await start({
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 0,
  });
  await using _plane = plane;
  await eventually(async () => {
    await minutes(1);
    return (await jobs()).length >= 3;
  });
  const made = await jobs();
  await finish(made[0]!, 'Complete');
  await finish(made[1]!, 'Complete');
  await finish(made[2]!, 'Failed');
  await eventually(async () => {
    await minutes(1);
    const left = await jobs();
    return !left.includes(made[0]!) && left.includes(made[1]!) && !left.includes(made[2]!);
  });
  expect((await read()).status.lastSuccessfulTime).toBeDefined();
});

it('the run is told in the time of its zone; an unknown zone and a Job of others are told', async () => {
  const { plane, client, minutes, jobs, eventually, read, clock } = await start({ timeZone: 'Asia/Kolkata' });
  await using _plane = plane;
  const said = async () => (await client.list(Event, { namespace })).items.map(({ reason }) => reason);
  const name = await eventually(async () => {
    await minutes(1);
    return (await jobs())[0];
  });
  const { annotations } = (await client.get(Job, { name, namespace })).metadata;
  expect(annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp']).toMatch(/^\d{4}-.*:00\+05:30$/);
  const owner = await read();
  await client.create(Job, {
    metadata: { name: 'by-hand', namespace, ownerReferences: [controllerReference(owner)] },
    spec: { template } as never,
  });
  await eventually(async () => {
    await clock.advance(5_000);
    return (await said()).includes('UnexpectedJob');
  });
  expect(await said()).not.toContain('UnknownTimeZone');
});

it('makes nothing while it is suspended', async () => {
  const { plane, minutes, jobs } = await start({ suspend: true });
  await using _plane = plane;
  await minutes(3);
  expect(await jobs()).toEqual([]);
});
