import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPath } from './decode.js';
import { parseStrictJson } from './parse-json.js';

const faultOf = (text: string): string => {
  try {
    parseStrictJson(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('was accepted');
};

describe('faults', () => {
  test.each([
    ['{"a":\n  [1,2,}', 'json parse error: invalid character "}" looking for beginning of value (line 2, column 8)'],
    ['', 'json parse error: unexpected end of JSON input (line 1, column 1)'],
    ['{"a"', 'json parse error: unexpected end of JSON input (line 1, column 5)'],
    ['{"a" 1}', 'json parse error: invalid character "1" after object key (line 1, column 6)'],
    ['{"a":1 "b":2}', 'json parse error: invalid character "\\"" after object key:value pair (line 1, column 8)'],
    ['[1 2]', 'json parse error: invalid character "2" after array element (line 1, column 4)'],
    ['{a:1}', 'json parse error: invalid character "a" looking for beginning of object key string (line 1, column 2)'],
    ['[1]\n\nx', 'json parse error: invalid character "x" after top-level value (line 3, column 1)'],
    ['{"a":tru}', 'json parse error: invalid character "t" in literal true (line 1, column 6)'],
    ['"a\nb"', 'json parse error: invalid character "\\n" in string literal (line 1, column 3)'],
    ['"\\x"', 'json parse error: invalid character "x" in string escape code (line 1, column 3)'],
  ])('%j', (text, message) => expect(faultOf(text)).toBe(message));

  test('the scanner refuses whatever JSON.parse refuses: every fault has a place', () => {
    fc.assert(
      fc.property(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', '{', '}', '[', ']', '"', ',', ':', 'x', '\\', '\n', '1'),
        (json, at, piece) => {
          const text = json.slice(0, at % (json.length + 1)) + piece + json.slice((at % (json.length + 1)) + 1);
          let legal = true;
          try {
            JSON.parse(text);
          } catch {
            legal = false;
          }
          if (legal) expect(parseStrictJson(text).value).toEqual(JSON.parse(text));
          else expect(faultOf(text)).toMatch(/\(line \d+, column \d+\)$/);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('nesting without end is refused, not a crash', () => {
    expect(faultOf('['.repeat(1_000_000))).toMatch('more than 10000 levels of nesting');
  });
});

describe('duplicates', () => {
  const duplicatesIn = (text: string): string[] => parseStrictJson(text, { duplicates: true }).duplicateFields;

  test.each<[string, string[]]>([
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":2}', ['a']],
    ['{"a":1,"a":2,"a":3}', ['a']],
    ['{"x":{"y":1,"y":1},"z":[{"q":1},{"q":1,"q":2}]}', ['x.y', 'z[1].q']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"a":{"b":1},"c":{"b":1}}', []],
    ['{"a\\\\":1,"a\\"":2}', []],
    ['{"":1,"":2}', ['']],
    ['{"s":"{\\"a\\":1,\\"a\\":2}"}', []],
  ])('%s', (text, paths) => expect(duplicatesIn(text)).toEqual(paths));

  test('the last one wins, and nothing is looked for unless asked', () => {
    expect(parseStrictJson('{"a":1,"a":2}')).toEqual({ value: { a: 2 }, duplicateFields: [] });
  });

  test('at most a hundred are named', () => {
    const twice = Array.from({ length: 150 }, (_, i) => `"k${i}":1,"k${i}":2`).join(',');
    expect(duplicatesIn(`{${twice}}`)).toHaveLength(100);
  });

  test('agrees with a slow search, however the text is spaced', () => {
    type Node = [string, Node][] | number;
    const { node } = fc.letrec<{ node: Node }>(tie => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.integer(),
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c"', 'd\\'), tie('node')), { maxLength: 4 }),
      ),
    }));
    const write = (value: Node, space: string): string =>
      typeof value === 'number'
        ? String(value)
        : `{${space}${value.map(([key, each]) => `${JSON.stringify(key)}${space}:${space}${write(each, space)}`).join(`,${space}`)}${space}}`;
    const search = (value: Node, path: string[], found: Set<string>): Set<string> => {
      if (typeof value === 'number') return found;
      for (const [index, [key, each]] of value.entries()) {
        if (value.findIndex(([other]) => other === key) < index) found.add(formatPath([...path, key]));
        search(each, [...path, key], found);
      }
      return found;
    };
    fc.assert(
      fc.property(node, fc.constantFrom('', ' ', '\n\t'), (value, space) => {
        expect(new Set(duplicatesIn(write(value, space)))).toEqual(search(value, [], new Set()));
      }),
    );
  });
});

test('bytes are UTF-8', () => {
  expect(parseStrictJson(new TextEncoder().encode('{"ä":"…"}')).value).toEqual({ ä: '…' });
});
