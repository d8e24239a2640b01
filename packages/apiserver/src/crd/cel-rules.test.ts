import type { FieldError } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { compileRules } from './cel-rules.js';
import { escapedName } from './cel-types.js';
import { type JsonSchema, structuralOf } from './structural.js';

type Rule = NonNullable<JsonSchema['x-kubernetes-validations']>[number];

function check(properties: Record<string, JsonSchema>, rules: Rule | Rule[], value: unknown, old?: unknown): string[] {
  const spec: JsonSchema = { type: 'object', properties, 'x-kubernetes-validations': [rules].flat() };
  const { rules: compiled, errors: faults } = compileRules(structuralOf({ type: 'object', properties: { spec } }), 's');
  expect(faults).toEqual([]);
  const errors: FieldError[] = [];
  const object = (of: unknown) => ({ metadata: { name: 'n' }, spec: of });
  compiled!.check(object(value), old === undefined ? undefined : object(old), errors);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}
const int: JsonSchema = { type: 'integer' };
const text: JsonSchema = { type: 'string' };
const keyed: JsonSchema = {
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['k'],
  items: {
    type: 'object',
    properties: { k: text, v: int },
    'x-kubernetes-validations': [{ rule: 'self.v >= oldSelf.v', message: 'only up' }],
  },
};

describe('rules', () => {
  it.each<[string, Record<string, JsonSchema>, string, unknown, boolean]>([
    ['bounds', { min: int, max: int }, 'self.min <= self.max', { min: 1, max: 2 }, true],
    ['absence', { a: int }, '!has(self.a) || self.a > 0', {}, true],
    ['null that counts as absent', { a: { ...int, nullable: true } }, 'has(self.a)', { a: null }, false],
    ['names with dashes', { 'foo-bar': int }, 'self.foo__dash__bar == 1', { 'foo-bar': 1 }, true],
    ['reserved names', { namespace: text }, "self.__namespace__ == 'x'", { namespace: 'x' }, true],
    [
      'maps',
      { m: { type: 'object', additionalProperties: int } },
      "self.m.all(k, k.startsWith('a') && self.m[k] > 0)",
      { m: { a1: 1 } },
      true,
    ],
    ['lists', { l: { type: 'array', items: text } }, "self.l.exists_one(x, x == 'a')", { l: ['a', 'b'] }, true],
    [
      'equality of objects',
      { a: { type: 'object', properties: { x: int } }, b: { type: 'object', properties: { x: int } } },
      'self.a == self.a',
      { a: { x: 1 } },
      true,
    ],
    [
      'times',
      { t: { type: 'string', format: 'date-time' } },
      "self.t > timestamp('2020-01-01T00:00:00Z')",
      { t: '2021-01-01T00:00:00Z' },
      true,
    ],
    ['durations', { d: { type: 'string', format: 'duration' } }, "self.d < duration('1h')", { d: '5m' }, true],
    [
      'int or string',
      { p: { 'x-kubernetes-int-or-string': true } },
      "type(self.p) == int ? self.p < 5 : self.p.endsWith('%')",
      { p: '25%' },
      true,
    ],
    ['quantities', { q: text }, "quantity(self.q).isLessThan(quantity('1Gi'))", { q: '500Mi' }, true],
    ['doubles', { d: { type: 'number' } }, 'self.d < 2.5', { d: 2 }, true],
    ['patterns', { s: text }, "self.s.matches('^v[0-9]+$')", { s: 'v1' }, true],
  ])('%s', (_name, properties, rule, value, holds) => {
    expect(check(properties, { rule }, value)).toEqual(
      holds ? [] : [`spec: Invalid value: "object": failed rule: ${rule}`],
    );
  });

  it.each<[string, Partial<Rule>, string]>([
    ['its message', { message: 'no way' }, 'spec: Invalid value: "object": no way'],
    [
      'its messageExpression',
      { message: 'no', messageExpression: "'a is ' + string(self.a)" },
      'spec: Invalid value: "object": a is 1',
    ],
    [
      'its message when the expression fails',
      { message: 'no', messageExpression: "'x' + string(self.a / 0)" },
      'spec: Invalid value: "object": no',
    ],
    ['its reason', { message: 'no', reason: 'FieldValueForbidden' }, 'spec: Forbidden: no'],
    ['its reason of a duplicate', { message: 'no', reason: 'FieldValueDuplicate' }, 'spec: Duplicate value: "object"'],
    ['its fieldPath', { message: 'no', fieldPath: '.a' }, 'spec.a: Invalid value: "object": no'],
  ])('fail with %s', (_name, rest, problem) => {
    expect(check({ a: int }, { rule: 'self.a > 1', ...rest }, { a: 1 })).toEqual([problem]);
  });

  it('fail when they cannot be evaluated', () => {
    const [error] = check({ l: { type: 'array', items: int } }, { rule: 'self.l[3] == 1' }, { l: [] });
    expect(error).toMatch(/^spec: Invalid value: "object": .*index.* evaluating rule: self\.l\[3\] == 1$/);
  });

  it('see the names of the object and nothing else of its metadata', () => {
    const root = (rule: string): JsonSchema => ({ type: 'object', 'x-kubernetes-validations': [{ rule }] });
    expect(compileRules(structuralOf(root("self.metadata.name.startsWith('n')")), 's').errors).toEqual([]);
    expect(compileRules(structuralOf(root('size(self.metadata.labels) > 0')), 's').errors).toHaveLength(1);
  });
});

describe('transitions', () => {
  it.each<[string, Rule, unknown, unknown, number]>([
    ['are not asked on a create', { rule: 'self == oldSelf' }, { a: 1 }, undefined, 0],
    ['hold between two states', { rule: 'self.a >= oldSelf.a' }, { a: 1 }, { a: 2 }, 1],
    ['hold when nothing changes', { rule: 'self == oldSelf' }, { a: 1 }, { a: 1 }, 0],
    [
      'may ask whether there was one',
      { rule: 'oldSelf.hasValue() || self.a == 0', optionalOldSelf: true },
      { a: 1 },
      undefined,
      1,
    ],
    [
      'may look at the one there was',
      { rule: '!oldSelf.hasValue() || oldSelf.value().a <= self.a', optionalOldSelf: true },
      { a: 1 },
      { a: 2 },
      1,
    ],
    ['others let be what has not changed', { rule: 'self.a > 5' }, { a: 1 }, { a: 1 }, 0],
  ])('%s', (_name, rule, value, old, faults) => {
    expect(check({ a: int }, rule, value, old)).toHaveLength(faults);
  });

  it('find elements of keyed lists', () => {
    const old = {
      l: [
        { k: 'a', v: 5 },
        { k: 'b', v: 1 },
      ],
    };
    const errors = check(
      { l: keyed },
      [],
      {
        l: [
          { k: 'b', v: 2 },
          { k: 'a', v: 4 },
          { k: 'c', v: 0 },
        ],
      },
      old,
    );
    expect(errors).toEqual(['spec.l[1]: Invalid value: "object": only up']);
  });
});

describe('lists without order', () => {
  const set: JsonSchema = { type: 'array', 'x-kubernetes-list-type': 'set', items: text };
  const map: JsonSchema = { ...keyed, items: { type: 'object', properties: { k: text, v: int } } };
  const plain: JsonSchema = { type: 'array', items: text };
  const properties = { s: set, m: map, p: plain, sets: { type: 'array', items: set } as JsonSchema };

  it.each<[string, object, object, boolean]>([
    ['self.s == oldSelf.s', { s: ['a', 'b'] }, { s: ['b', 'a'] }, true],
    ['self.s == oldSelf.s', { s: ['a', 'b'] }, { s: ['a', 'c'] }, false],
    ['self.s == oldSelf.s', { s: ['a'] }, { s: ['a', 'b'] }, false],
    ['self.s != oldSelf.s', { s: ['a', 'b'] }, { s: ['b', 'a'], p: [] }, false],
    ["self.s == ['b', 'a']", { s: ['a', 'b'] }, {}, true],
    ["['b', 'a'] == self.s", { s: ['a', 'b'] }, {}, false],
    ['self.p == oldSelf.p', { p: ['a', 'b'] }, { p: ['b', 'a'] }, false],
    [
      'self.m == oldSelf.m',
      {
        m: [
          { k: 'a', v: 1 },
          { k: 'b', v: 2 },
        ],
      },
      {
        m: [
          { k: 'b', v: 2 },
          { k: 'a', v: 1 },
        ],
      },
      true,
    ],
    ['self.m == oldSelf.m', { m: [{ k: 'a', v: 1 }] }, { m: [{ k: 'a', v: 2 }] }, false],
    ['self.m == oldSelf.m', { m: [{ k: 'a', v: 1 }] }, { m: [{ k: 'b', v: 1 }] }, false],
    ['self == oldSelf', { s: ['a', 'b'] }, { s: ['b', 'a'] }, true],
    ['self.sets == oldSelf.sets', { sets: [['a', 'b']] }, { sets: [['b', 'a']] }, true],
    ['self.sets == oldSelf.sets', { sets: [['a'], ['b']] }, { sets: [['b'], ['a']] }, false],
    ["size(self.s + ['a', 'c']) == 3 && (self.s + ['c']) == ['c', 'b', 'a']", { s: ['a', 'b'] }, {}, true],
    ["size(self.p + ['a', 'c']) == 4", { p: ['a', 'b'] }, {}, true],
    [
      'size(self.m + oldSelf.m) == 2 && (self.m + oldSelf.m)[0].v == 5',
      { m: [{ k: 'a', v: 1 }] },
      {
        m: [
          { k: 'a', v: 5 },
          { k: 'b', v: 2 },
        ],
      },
      true,
    ],
  ])('%s of %j after %j', (rule, value, old, holds) => {
    expect(check(properties, { rule }, value, old)).toHaveLength(holds ? 0 : 1);
  });

  it('durations inside of objects are compared by what they last', () => {
    const d: JsonSchema = { type: 'string', format: 'duration' };
    expect(check({ d }, { rule: 'self == oldSelf' }, { d: '60s' }, { d: '1m' })).toEqual([]);
    expect(check({ d }, { rule: 'self == oldSelf' }, { d: '61s' }, { d: '1m' })).toHaveLength(1);
  });
});

describe('the budget', () => {
  it('refuses an object whose rules take too long, and ends', () => {
    const l: JsonSchema = { type: 'array', items: int };
    const rule = { rule: 'self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))' };
    const errors = check({ l }, [rule, rule], { l: Array.from({ length: 500 }, (_, i) => i) });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(
      /'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self\.l/,
    );
  });

  it('is one for all rules of an object', () => {
    const l: JsonSchema = { type: 'array', items: int };
    const rule = { rule: 'self.l.all(a, self.l.all(b, a + b >= 0))' };
    const errors = check({ l }, new Array(30).fill(rule), { l: Array.from({ length: 350 }, (_, i) => i) });
    expect(errors).toEqual([
      'spec: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run',
    ]);
  });
});

it.each([
  ['a', 'a'],
  ['a.b', 'a__dot__b'],
  ['a/b', 'a__slash__b'],
  ['a__b', 'a__underscores__b'],
  ['in', '__in__'],
  ['1a', undefined],
  ['ä', undefined],
])('%s is written %s', (name, escaped) => {
  expect(escapedName(name)).toBe(escaped);
});
