import { applyJsonPatch, type Json } from '@orbitkit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonDiff } from './json-diff.js';

const key = fc.constantFrom('a', 'b', 'a/b', '~', '~1', '', '0');
const { value } = fc.letrec<{ value: Json }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Json>(null, true, 0, 1, 'x', ''),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ) as fc.Arbitrary<Json>,
}));

it('makes the second value of the first, and says nothing when there is nothing to do', () => {
  fc.assert(
    fc.property(fc.dictionary(key, value), fc.dictionary(key, value), (before, after) => {
      const patch = jsonDiff(before as Json, after as Json);
      expect(applyJsonPatch(structuredClone(before) as Json, patch)).toEqual(after);
      expect(jsonDiff(after as Json, structuredClone(after) as Json)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
