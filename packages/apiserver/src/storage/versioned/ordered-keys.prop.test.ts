import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OrderedKeys } from './ordered-keys.js';

const key = fc.oneof(
  fc.constantFrom('a', 'a/b', 'a/', 'b', 'a0', '', '\uffff', '\u{10000}', 'a/\ue000', 'a/\u{1f600}'),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.integer({ min: 0, max: 5_000 }).map(n => `k/${n}`),
);
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

it('is a sorted set: adding, removing, ranges and counts agree with a plain one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ key, add: fc.boolean() }), { maxLength: 60 }),
      fc.array(fc.record({ prefix: key, after: fc.option(key, { nil: undefined }) }), { minLength: 1, maxLength: 10 }),
      (changes, ranges) => {
        const keys = new OrderedKeys();
        const model = new Set<string>();
        for (const change of changes) {
          if (change.add) expect(keys.add(change.key)).toBe(!model.has(change.key));
          else expect(keys.delete(change.key)).toBe(model.has(change.key));
          if (change.add) model.add(change.key);
          else model.delete(change.key);
        }
        expect(keys.size).toBe(model.size);
        for (const { prefix, after } of ranges) {
          const expected = [...model]
            .filter(each => each.startsWith(prefix) && (after === undefined || byBytes(after, each) < 0))
            .sort(byBytes);
          expect([...keys.range(prefix, after)]).toEqual(expected);
          expect(keys.count(prefix, after)).toBe(expected.length);
        }
      },
    ),
    { numRuns: 300 },
  );
});

it('splits and merges its chunks over many keys', () => {
  const keys = new OrderedKeys();
  const count = 5_000;
  const names = Array.from({ length: count }, (_, i) => `k/${String((i * 7919) % count).padStart(5, '0')}`);
  for (const name of names) keys.add(name);
  const sorted = [...names].sort();
  expect([...keys.range('k/')]).toEqual(sorted);
  expect(keys.count('k/', sorted[1233])).toBe(count - 1234);
  expect(keys.count('k/01')).toBe(1_000);
  for (const name of names.slice(0, count - 3)) expect(keys.delete(name)).toBe(true);
  expect([...keys.range('')]).toEqual(names.slice(count - 3).sort());
});
