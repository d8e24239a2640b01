import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeFieldValue, parseFieldSelector } from './field-selector.js';
import { labelSelectorOf, parseLabelSelector } from './label-selector.js';

const key = fc.constantFrom('a', 'b', 'c', 'example.com/d', 'in', 'notin');
const value = fc.constantFrom('', 'x', 'y', 'z-1', '7', 'in');
const labels = fc.dictionary(key, value);
const values = fc.uniqueArray(value, { minLength: 1, maxLength: 3 });
const expression = fc.oneof(
  fc.record({ key, operator: fc.constantFrom('In', 'NotIn'), values }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
);
const selector = fc.record({
  matchLabels: fc.dictionary(key, value),
  matchExpressions: fc.array(expression, { maxLength: 3 }),
});

/** The meaning, written as plainly as possible. */
function means(each: { key: string; operator: string; values?: string[] }, set: Record<string, string>): boolean {
  const has = Object.hasOwn(set, each.key);
  if (each.operator === 'Exists') return has;
  if (each.operator === 'DoesNotExist') return !has;
  const among = has && (each.values ?? []).includes(set[each.key]!);
  return each.operator === 'In' ? among : !among;
}

describe('properties of selectors', () => {
  it('the object form means what it says, and its text means the same', () => {
    fc.assert(
      fc.property(selector, labels, (object, set) => {
        const compiled = labelSelectorOf(object as never);
        const expected =
          Object.entries(object.matchLabels).every(
            ([name, wanted]) => Object.hasOwn(set, name) && set[name] === wanted,
          ) && object.matchExpressions.every(each => means(each as never, set));
        expect(compiled.matches(set)).toBe(expected);
        const parsed = parseLabelSelector(compiled.toString());
        expect(parsed.matches(set)).toBe(expected);
        expect(parsed.toString()).toBe(compiled.toString());
      }),
      { numRuns: 500 },
    );
  });

  it('any text is understood or refused, never more', () => {
    const piece = fc.constantFrom(
      'a',
      'in',
      'notin',
      '(',
      ')',
      ',',
      '=',
      '==',
      '!=',
      '!',
      '<',
      '>',
      ' ',
      '1',
      '/',
      '.',
      '-',
      'é',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')),
          fc.string(),
        ),
        text => {
          try {
            const printed = parseLabelSelector(text).toString();
            expect(parseLabelSelector(printed).toString()).toBe(printed);
          } catch (error) {
            expect(error).toMatchObject({ code: 400, reason: 'BadRequest' });
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('field values survive their escapes', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, two) => {
        const parsed = parseFieldSelector(`a=${escapeFieldValue(one)},b!=${escapeFieldValue(two)}`);
        expect(parsed.requirements).toEqual([
          { field: 'a', operator: '=', value: one },
          { field: 'b', operator: '!=', value: two },
        ]);
        expect(parseFieldSelector(parsed.toString()).requirements).toEqual(parsed.requirements);
      }),
    );
  });
});
