import fc from 'fast-check';
import { expect, it } from 'vitest';
import { copyJson, sameJson } from './json-value.js';

const json = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 0, 1.5, '', 'a', '__proto__'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'constructor', '__proto__'), tie('value'), { maxKeys: 3 }),
  ),
})).value;

it('a copy is the same text and shares nothing', () => {
  fc.assert(
    fc.property(json, value => {
      const original = JSON.parse(JSON.stringify(value));
      const copy = copyJson(original);
      expect(JSON.stringify(copy)).toBe(JSON.stringify(original));
      if (typeof original === 'object' && original !== null) expect(copy).not.toBe(original);
    }),
  );
});

it('equality is that of the values, whatever the order of members', () => {
  const sorted = (value: any): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === 'object' && value !== null
        ? {
            members: Object.keys(value)
              .sort()
              .map(key => [key, sorted(value[key])]),
          }
        : value;
  const reversed = (value: any): any =>
    Array.isArray(value)
      ? value.map(reversed)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, member]) => [key, reversed(member)]),
          )
        : value;
  fc.assert(
    fc.property(json, json, (a, b) => {
      const [left, right] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))];
      expect(sameJson(left, reversed(left))).toBe(true);
      expect(sameJson(left, right)).toBe(JSON.stringify(sorted(left)) === JSON.stringify(sorted(right)));
    }),
  );
  expect(sameJson({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(sameJson({ a: 1 }, { a: 1, b: undefined })).toBe(true);
  expect(sameJson({ a: 1 }, { a: 1, b: null })).toBe(false);
});
