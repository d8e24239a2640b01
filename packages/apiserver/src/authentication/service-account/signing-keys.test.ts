import { type ManualClock, manualClock } from '@orbitkit/core';
import { beforeEach, expect, it, vi } from 'vitest';
import { memoryStore } from '../../storage/memory.js';
import { type ServerSecret, serverSecret } from '../../storage/server-secret.js';
import { type KeyRing, signingKeys } from './signing-keys.js';

/** Keys of 2048 bits are made here: seconds each on a busy machine. */
vi.setConfig({ testTimeout: 90_000 });

const hour = 60 * 60_000;
const day = 24 * hour;
let clock: ManualClock;
let record: ServerSecret<KeyRing>;
let reads: number;
beforeEach(async () => {
  clock = manualClock(Date.parse('2030-01-01'));
  const kept = serverSecret<KeyRing>(await memoryStore()(), 'keys');
  reads = 0;
  record = {
    read() {
      reads++;
      return kept.read();
    },
    replace: kept.replace,
  };
});
const server = () => signingKeys({ record, clock });
const ids = async (keys: ReturnType<typeof server>) => (await keys.verification()).map(({ id }) => id);

it('are made once, by whichever server comes first', async () => {
  const servers = [server(), server(), server()];
  const made = await Promise.all(servers.map(keys => keys.current()));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  expect((await server().current()).id).toBe(made[0]!.id);
});

it('change over at the same moment everywhere; the older one counts for as long as its tokens', async () => {
  const [a, b] = [server(), server()];
  const { id: first } = await a.current();
  await clock.advance(90 * day - 2 * hour);
  // Announced, and not used yet.
  expect((await a.current()).id).toBe(first);
  const [second] = await ids(b);
  expect(await ids(b)).toEqual([second, first]);
  expect((await a.summary()).map(({ state }) => state)).toEqual(['announced', 'signing']);
  await clock.advance(2 * hour - 1);
  expect((await b.current()).id).toBe(first);
  await clock.advance(1);
  expect((await a.current()).id).toBe(second);
  expect((await b.current()).id).toBe(second);
  // What no longer signs is not kept.
  expect((await record.read()).value!.keys.map(({ privateKey }) => privateKey !== undefined)).toEqual([true, false]);
  await clock.advance(366 * day - 1);
  expect((await b.byId(first))?.id).toBe(first);
  await clock.advance(1);
  expect(await b.byId(first)).toBeUndefined();
  expect(await ids(a)).not.toContain(first);
  // And is gone from the store with the next look at it.
  await a.current();
  const { id: third } = await a.current();
  const left = (await record.read()).value!.keys.length;
  expect(left).toBe((await ids(b)).length);
  expect(third).toBeDefined();
});

it('rotated by hand: the new key signs here at once, elsewhere within half a minute, and is known everywhere', async () => {
  const [a, b] = [server(), server()];
  const { id: first } = await a.current();
  expect((await b.current()).id).toBe(first);
  await a.rotate();
  const { id: second } = await a.current();
  expect(second).not.toBe(first);
  expect((await b.byId(second))?.id).toBe(second);
  expect((await b.byId(first))?.id).toBe(first);
  expect(await ids(b)).toEqual([second, first]);
  await Promise.all([a.rotate(), b.rotate()]);
  // Whichever was first hears of the other's key when it looks, as it does for a key set.
  expect(await ids(a)).toHaveLength(4);
  expect(await ids(b)).toEqual(await ids(a));
  expect((await a.current()).id).toBe((await b.current()).id);
  await a.rotate({ revoke: true });
  expect(await ids(a)).toHaveLength(1);
  await clock.advance(30_000);
  expect(await b.byId(second)).toBeUndefined();
  expect((await b.current()).id).toBe((await a.current()).id);
});

it('made-up keys cost one reading at a time', async () => {
  const keys = server();
  await keys.current();
  reads = 0;
  const found = await Promise.all(Array.from({ length: 500 }, (_, i) => keys.byId(`none-${i}`)));
  expect(found.every(each => each === undefined)).toBe(true);
  expect(reads).toBeLessThanOrEqual(2);
});

it('a store that does not answer stops nobody who signs or shows a key that is known', async () => {
  const keys = server();
  const { id } = await keys.current();
  const { read } = record;
  record.read = () => Promise.reject(new Error('away'));
  await clock.advance(hour);
  expect((await keys.current()).id).toBe(id);
  expect((await keys.byId(id))?.id).toBe(id);
  await expect(keys.byId('other')).rejects.toThrow('away');
  record.read = read;
  expect(await keys.byId('other')).toBeUndefined();
});
