/** Which Jobs are made, case by case, after the documentation of CronJobs. It is half past a minute; each row has a namespace of its own. */
import {
  type Client,
  CronJob,
  controllerReference,
  type Draft,
  Event,
  formatTime,
  Job,
  manualClock,
  Namespace,
} from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { cronJobs } from './cron-jobs.js';

const minuteMs = 60_000;
const thisMinute = Math.floor(Date.now() / minuteMs);
const clock = manualClock(thisMinute * minuteMs + 30_000);
const minuteAgo = (ago: number) => new Date((thisMinute - ago) * minuteMs).getUTCMinutes();
let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [cronJobs()], clock, housekeeping: false });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'x' }] } };
const every = { schedule: '* * * * *' };
/** Once an hour, the last time half an hour ago. */
const halfAnHourAgo = { schedule: `${minuteAgo(30)} * * * *` };

interface Row {
  spec: Partial<CronJob['spec']>;
  /** Minutes since the time that was served last. */
  last: number;
  /** That one's Job still runs. */
  running?: boolean;
  /** Jobs there are then, by minutes ago. */
  jobs: number[];
  said?: string;
}
let rows = 0;
it.each<[string, Row]>([
  ['one is due', { spec: every, last: 1, jobs: [0] }],
  ['none is due', { spec: every, last: 0, jobs: [] }],
  ['of several that were missed the newest', { spec: every, last: 10, jobs: [0] }],
  ['of very many too, and somebody should look', { spec: every, last: 200, jobs: [0], said: 'TooManyMissedTimes' }],
  [
    'a deadline bounds what counts as missed',
    { spec: { ...every, startingDeadlineSeconds: 200 }, last: 200, jobs: [0] },
  ],
  ['late, without a deadline', { spec: halfAnHourAgo, last: 90, jobs: [30] }],
  ['late, but in time', { spec: { ...halfAnHourAgo, startingDeadlineSeconds: 1_900 }, last: 90, jobs: [30] }],
  ['too late', { spec: { ...halfAnHourAgo, startingDeadlineSeconds: 60 }, last: 90, jobs: [] }],
  ['beside one that runs', { spec: { ...every, concurrencyPolicy: 'Allow' }, last: 1, running: true, jobs: [1, 0] }],
  [
    'not beside one that runs',
    { spec: { ...every, concurrencyPolicy: 'Forbid' }, last: 1, running: true, jobs: [1], said: 'JobAlreadyActive' },
  ],
  [
    'in place of one that runs',
    { spec: { ...every, concurrencyPolicy: 'Replace' }, last: 1, running: true, jobs: [0] },
  ],
  ['nothing while suspended', { spec: { ...every, suspend: true }, last: 1, jobs: [] }],
])('%s', async (_what, { spec, last, running, jobs, said }) => {
  const namespace = `row${rows++}`;
  const key = { name: 'tick', namespace };
  await client.create(Namespace, { metadata: { name: namespace } });
  const jobTemplate = { spec: { template } };
  const draft = { metadata: key, spec: { jobTemplate, ...spec, suspend: true } } as Draft<CronJob>;
  const made = await client.create(CronJob, draft);
  const active: NonNullable<CronJob['status']['active']> = [];
  if (running) {
    const name = `tick-${thisMinute - last}`;
    const metadata = { name, namespace, ownerReferences: [controllerReference(made)] };
    const job = await client.create(Job, { metadata, spec: jobTemplate.spec } as Draft<Job>);
    active.push({ apiVersion: 'batch/v1', kind: 'Job', name, namespace, uid: job.metadata.uid });
  }
  const now = await client.get(CronJob, key);
  const lastScheduleTime = formatTime((thisMinute - last) * minuteMs);
  await client.updateStatus(CronJob, { ...now, status: { lastScheduleTime, ...(running ? { active } : {}) } });
  if (!spec.suspend) await client.patch(CronJob, key, { type: 'merge', patch: { spec: { suspend: false } } });

  const there = async () =>
    (await client.list(Job, { namespace })).items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => thisMinute - Number(metadata.name.slice('tick-'.length)))
      .sort((a, b) => b - a);
  const reasons = async () => (await client.list(Event, { namespace })).items.map(({ reason }) => reason);
  await plane.eventually(async () => (await there()).join() === jobs.join());
  if (said) await plane.eventually(async () => (await reasons()).includes(said));
  await plane.consistently(async () => (await there()).join() === jobs.join(), { forMs: 60 });
  if (!said) expect(await reasons()).not.toEqual(expect.arrayContaining(['TooManyMissedTimes']));
  const { status } = await client.get(CronJob, key);
  const served = jobs.includes(0) ? 0 : jobs.includes(30) ? 30 : last;
  expect(status.lastScheduleTime).toBe(formatTime((thisMinute - served) * minuteMs));
});
