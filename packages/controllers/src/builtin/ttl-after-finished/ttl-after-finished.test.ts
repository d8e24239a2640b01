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
