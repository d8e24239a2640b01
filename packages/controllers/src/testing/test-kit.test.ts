import { ConfigMap, manualClock, StatusError } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller } from '../controller-builder.js';
import { consistently, createTestControlPlane, eventually, interceptClient } from './index.js';

const key = (name: string) => ({ name, namespace: 'default' });
const mine = (name: string) => name.startsWith('my-');

it('a manual clock drives backoffs, delays and resyncs: hours pass in a moment', async () => {
  const clock = manualClock();
  const began = clock.now();
  const at: number[] = [];
  let failures = 12;
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => mine(object.metadata.name))
    .resync('3h')
    .reconcile(({ clock }) => {
      at.push(clock.now() - began);
      if (failures-- > 0) throw new StatusError('ServiceUnavailable', 'not yet');
      return failures === -1 ? { requeueAfter: '1h' } : undefined;
    });
  await using plane = await createTestControlPlane({ controllers: [subject], clock, housekeeping: false });
  await plane.client.create(ConfigMap, { metadata: key('my-a') });
  await plane.eventually(() => at.length >= 13, { clock, intervalMs: 1_000, timeoutMs: 60_000 });
  // 5 ms, doubled each time.
  const waits = at.slice(1, 13).map((time, i) => time - at[i]!);
  expect(waits.slice(0, 6)).toEqual([5, 10, 20, 40, 80, 160]);
  expect(waits.at(-1)).toBe(5 * 2 ** 11);
  await clock.advance(3_600_000);
  expect(at).toHaveLength(14);
  expect(at[13]! - at[12]!).toBe(3_600_000);
  await clock.advance(3 * 3_600_000 - (clock.now() - began) + 1);
  expect(at).toHaveLength(15);
});

it('interceptors refuse, delay and lose; what they do not name goes through', async () => {
  await using plane = await createTestControlPlane();
  const calls: string[] = [];
  const client = interceptClient(plane.client, {
    async create(next, kind, object, options) {
      const made = await next(kind, object, options);
      calls.push(`created ${made.metadata.name}`);
      throw new StatusError('Timeout', 'the answer was lost');
    },
    get(next, kind, name, options) {
      calls.push(`get ${name.name}`);
      return next(kind, { ...name, name: 'my-a' }, options);
    },
  });
  await expect(client.create(ConfigMap, { metadata: key('my-a') })).rejects.toThrow('lost');
  expect((await client.get(ConfigMap, key('other'))).metadata.name).toBe('my-a');
  expect((await client.list(ConfigMap)).items.some(({ metadata }) => metadata.name === 'my-a')).toBe(true);
  expect(calls).toEqual(['created my-a', 'get other']);
});

it('a controller under lost answers and conflicts does its work all the same', async () => {
  let lost = 3;
  let conflicts = 3;
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => mine(object.metadata.name))
    .reconcile(async ({ client, object, read }) => {
      if (!read(ConfigMap).has(key('copy')))
        await client.create(ConfigMap, { metadata: key('copy') }).catch(error => {
          if (error.reason !== 'AlreadyExists') throw error;
        });
      if (object.data?.['done'] !== 'yes') await client.update(ConfigMap, { ...object, data: { done: 'yes' } });
    });
  await using plane = await createTestControlPlane({
    controllers: [subject],
    intercept: {
      async create(next, ...call) {
        const made = await next(...call);
        if (lost-- > 0) throw new StatusError('Timeout', 'the answer was lost');
        return made;
      },
      async update(next, ...call) {
        if (conflicts-- > 0) throw new StatusError('Conflict', 'somebody else was first');
        return next(...call);
      },
    },
  });
  await plane.client.create(ConfigMap, { metadata: key('my-a') });
  await plane.eventually(async () => (await plane.client.get(ConfigMap, key('my-a'))).data?.['done'] === 'yes');
  expect([lost < 3, conflicts]).toEqual([true, -1]);
  expect((await plane.client.get(ConfigMap, key('copy'))).metadata.name).toBe('copy');
});

it('consistently says how long something held; eventually what was wrong last', async () => {
  const clock = manualClock(0);
  await consistently(() => true, { clock, forMs: 1_000 });
  expect(clock.now()).toBe(1_000);
  await expect(consistently(() => clock.now() < 1_500, { clock, forMs: 1_000 })).rejects.toThrow(
    'it held for 500 ms, then no more: the check said no',
  );
  await expect(eventually(() => false, { clock, timeoutMs: 50 })).rejects.toThrow(
    'not within 0.05 s: the check said no',
  );
});
