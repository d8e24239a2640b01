import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand } from './expansion.js';

const values: Record<string, string> = { A: 'one', B: 'two', 'X-Y': 'dash', EMPTY: '', REF: '$(A)' };
const lookup = (name: string) => values[name];

describe('expand', () => {
  it.each([
    ['$(A)', 'one'],
    ['$(A)$(B)', 'onetwo'],
    ['x-$(A)-y', 'x-one-y'],
    ['$(MISSING)', '$(MISSING)'],
    ['$(EMPTY)', ''],
    ['$(X-Y)', 'dash'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$one'],
    ['$$$$(A)', '$$(A)'],
    ['$A', '$A'],
    ['$', '$'],
    ['$$', '$'],
    ['$(A', '$(A'],
    ['$()', '$()'],
    ['$(REF)', '$(A)'],
    ['100%', '100%'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, lookup)).toBe(expected);
  });

  it('leaves text without a dollar alone', () => {
    fc.assert(
      fc.property(
        fc.string().map(text => text.replaceAll('$', '')),
        text => expand(text, lookup) === text,
      ),
    );
  });

  it('any text can be written so that it comes out as it is', () => {
    fc.assert(fc.property(fc.string(), text => expand(text.replaceAll('$', '$$$$'), lookup) === text));
  });
});
