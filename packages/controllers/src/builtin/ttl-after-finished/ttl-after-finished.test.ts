import { formatTime, Job, manualClock } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { ttlAfterFinished } from './ttl-after-finished.js';

const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'orbitkit/echo' }] } };

it('deletes a Job when its time has come, not sooner, and no other', async () => {
  const clock = manualClock(Date.now());
  await using plane = await createTestControlPlane({ controllers: [ttlAfterFinished()], clock });
  const { client, eventually } = plane;
  const make = async (name: string, ttl: number | undefined, ended: boolean) => {
    const metadata = { name, namespace: 'default' };
    const spec = { template, ...(ttl === undefined ? {} : { ttlSecondsAfterFinished: ttl }) };
    const job = await client.create(Job, { metadata, spec });
    if (!ended) return;
    const lastTransitionTime = formatTime(clock.now());
    const conditions = ['FailureTarget', 'Failed'].map(type => ({ type, status: 'True', lastTransitionTime }));
    await client.updateStatus(Job, { ...job, status: { ...job.status, startTime: lastTransitionTime, conditions } });
  };
  await make('soon', 60, true);
  await make('stays', undefined, true);
  await make('runs', 60, false);
  const names = async () => (await client.list(Job)).items.map(({ metadata }) => metadata.name);
  for (let i = 0; i < 5; i++) {
    await clock.advance(11_000);
    await new Promise(resolve => setImmediate(resolve));
  }
  expect(await names()).toEqual(['runs', 'soon', 'stays']);
  await eventually(async () => {
    await clock.advance(2_000);
    return (await names()).length === 2;
  });
  expect(await names()).toEqual(['runs', 'stays']);
});

it.each([
  ['Complete', 0, 'goes at once'],
  ['Failed', 0, 'goes at once'],
  ['Complete', 30, 'goes after 30 s'],
  ['Suspended', 0, 'stays: it has not ended'],
  ['Complete', undefined, 'stays: nothing says when'],
] as const)('a Job that is %s with ttlSecondsAfterFinished %s %s', async (type, ttl, what) => {
  const clock = manualClock(Date.now());
  await using plane = await createTestControlPlane({ controllers: [ttlAfterFinished()], clock });
  const { client, eventually } = plane;
  const names = async () => (await client.list(Job)).items.map(({ metadata }) => metadata.name);
  const make = async (name: string, end: string, seconds: number | undefined) => {
    const spec = { template, ...(seconds === undefined ? {} : { ttlSecondsAfterFinished: seconds }) };
    const job = await client.create(Job, { metadata: { name, namespace: 'default' }, spec });
    const lastTransitionTime = formatTime(clock.now());
    const types = end === 'Complete' ? ['SuccessCriteriaMet', end] : end === 'Failed' ? ['FailureTarget', end] : [end];
    const conditions = types.map(each => ({ type: each, status: 'True', lastTransitionTime }));
    const ended = end === 'Complete' ? { completionTime: lastTransitionTime } : {};
    await client.updateStatus(Job, {
      ...job,
      status: { ...job.status, startTime: lastTransitionTime, ...ended, conditions },
    });
  };
  await make('subject', type, ttl);
  // Ends together with it and shows when 30 s are over.
  await make('witness', 'Failed', 30);
  if (what === 'goes at once') {
    await eventually(async () => !(await names()).includes('subject'));
    expect(await names()).toEqual(['witness']);
    return;
  }
  await clock.advance(25_000);
  expect(await names()).toEqual(['subject', 'witness']);
  const goes = what.startsWith('goes');
  await eventually(async () => {
    await clock.advance(1_000);
    const left = await names();
    return !left.includes('witness') && (!goes || !left.includes('subject'));
  });
  expect(await names()).toEqual(goes ? [] : ['subject']);
});
