import { afterEach, expect, it, vi } from 'vitest';
import { memoryStore } from '../memory.js';

afterEach(() => {
  vi.restoreAllMocks();
});

it.each([
  ['forward', 3_600_000],
  ['back', -3_600_000],
])('a clock that jumps an hour %s neither ends a lease early nor keeps one alive', async (_direction, jump) => {
  const store = await memoryStore()();
  const put = (key: string, lease: bigint) => store.txn([], { type: 'put', key, value: Buffer.from('x'), lease });
  const [long, short] = [await store.grantLease(60_000), await store.grantLease(600)];
  await put('long', long);
  await put('short', short);
  const { now } = Date;
  vi.spyOn(Date, 'now').mockImplementation(() => now.call(Date) + jump);
  await store.keepAlive(long);
  // One that is granted after the jump looks at all of them.
  await put('after', await store.grantLease(60_000));
  expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['after', 'long', 'short']);
  await expect
    .poll(async () => (await store.list('')).entries.map(({ key }) => key), { timeout: 5_000 })
    .toEqual(['after', 'long']);
  await store.keepAlive(long);
  await store.close();
});
