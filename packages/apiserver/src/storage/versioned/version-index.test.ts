import { expect, it } from 'vitest';
import { VersionIndex } from './version-index.js';

const value = Buffer.from('x');

it('holds nothing of the past once it is trimmed', () => {
  const index = new VersionIndex();
  let revision = 1n;
  for (let round = 0; round < 50; round++) {
    for (const key of ['a', 'b', 'c']) index.put(key, value, ++revision);
    index.delete('b', ++revision);
  }
  expect(index.past).toEqual({ keys: 3, gone: 1 });
  expect(index.historyLength).toBe(200);
  index.trim(revision - 1n);
  expect(index.past).toEqual({ keys: 1, gone: 1 });
  expect(index.getAt('b', revision - 1n)).toBeDefined();
  index.trim(revision);
  expect(index.past).toEqual({ keys: 0, gone: 0 });
  expect([index.historyLength, index.historyBytes]).toEqual([0, 0]);
  expect([index.keys, index.liveBytes]).toEqual([2, 4]);
  expect(index.page('', { revision }).map(({ key }) => key)).toEqual(['a', 'c']);
});
