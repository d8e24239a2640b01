import type { FieldError } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { checkKeyedLists } from './list-rules.js';
import { type JsonSchema, structuralOf } from './structural.js';
import { valueRuleOf } from './value-rules.js';

function check(schema: JsonSchema, value: unknown, old?: unknown): string[] {
  const errors: FieldError[] = [];
  const node = structuralOf({ type: 'object', properties: { f: schema } });
  valueRuleOf(node)({ f: value }, old === undefined ? undefined : { f: old }, '', errors);
  checkKeyedLists(node, { f: value }, old === undefined ? undefined : { f: old }, '', errors);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}
const text: JsonSchema = { type: 'string' };
const any = (...schemas: JsonSchema[]) => schemas;

describe('values', () => {
  it.each<[string, JsonSchema, unknown]>([
    ['a whole number written with a point', { type: 'integer' }, 1.0],
    ['an integer as a number', { type: 'number' }, 3],
    ['null where it may be', { type: 'string', nullable: true }, null],
    ['int or string', { 'x-kubernetes-int-or-string': true }, '25%'],
    ['anything', { 'x-kubernetes-preserve-unknown-fields': true }, { a: [null] }],
    ['runes, not bytes', { type: 'string', maxLength: 2 }, 'äö'],
    [
      'one of two',
      { type: 'object', properties: { a: text, b: text }, oneOf: any({ required: ['a'] }, { required: ['b'] }) },
      { a: '' },
    ],
    ['a multiple that floats miss', { type: 'number', multipleOf: 0.1 }, 0.3],
    ['an unknown format', { type: 'string', format: 'fancy' }, 'x'],
    ['a leap day', { type: 'string', format: 'date' }, '2024-02-29'],
    ['a list of type set', { type: 'array', items: text, 'x-kubernetes-list-type': 'set' }, ['a', 'b']],
  ])('take %s', (_name, schema, value) => {
    expect(check(schema, value)).toEqual([]);
  });

  it.each<[JsonSchema, unknown, string]>([
    [{ type: 'integer' }, 1.5, 'f: Invalid value: "number": f in body must be of type integer: "number"'],
    [text, null, 'f: Invalid value: "null": f in body must be of type string: "null"'],
    [{ type: 'array', items: text }, {}, 'f: Invalid value: "object": f in body must be of type array: "object"'],
    [
      { 'x-kubernetes-int-or-string': true },
      true,
      'f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
    ],
    [
      { type: 'array', items: text },
      ['a', 1],
      'f[1]: Invalid value: "integer": f[1] in body must be of type string: "integer"',
    ],
    [{ type: 'integer', minimum: 1 }, 0, 'f: Invalid value: 0: f in body should be greater than or equal to 1'],
    [
      { type: 'integer', minimum: 1, exclusiveMinimum: true },
      1,
      'f: Invalid value: 1: f in body should be greater than 1',
    ],
    [{ type: 'integer', maximum: 5 }, 6, 'f: Invalid value: 6: f in body should be less than or equal to 5'],
    [
      { type: 'integer', maximum: 5, exclusiveMaximum: true },
      5,
      'f: Invalid value: 5: f in body should be less than 5',
    ],
    [{ type: 'integer', multipleOf: 4 }, 6, 'f: Invalid value: 6: f in body should be a multiple of 4'],
    [{ type: 'string', minLength: 3 }, 'ab', 'f: Invalid value: "ab": f in body should be at least 3 chars long'],
    [{ type: 'string', maxLength: 3 }, 'abcd', 'f: Too long: may not be more than 3 bytes'],
    [{ type: 'string', pattern: '^[a-z]+$' }, 'A', 'f: Invalid value: "A": f in body should match \'^[a-z]+$\''],
    [
      { type: 'string', format: 'date-time' },
      'now',
      'f: Invalid value: "now": f in body must be of type date-time: "now"',
    ],
    [{ type: 'string', enum: ['a', 'b'] }, 'c', 'f: Unsupported value: "c": supported values: "a", "b"'],
    [{ type: 'array', items: text, maxItems: 1 }, ['a', 'b'], 'f: Too many: 2: must have at most 1 items'],
    [{ type: 'array', items: text, minItems: 2 }, ['a'], 'f: Invalid value: 1: f in body should have at least 2 items'],
    [
      { type: 'object', additionalProperties: text, maxProperties: 1 },
      { a: '', b: '' },
      'f: Too many: 2: must have at most 1 items',
    ],
    [
      { type: 'object', additionalProperties: { type: 'integer' } },
      { a: 'x' },
      'f.a: Invalid value: "string": f.a in body must be of type integer: "string"',
    ],
    [{ type: 'object', properties: { a: text }, required: ['a'] }, {}, 'f.a: Required value'],
    [
      { type: 'string', not: { pattern: '^x' } },
      'xy',
      '<nil>: Invalid value: "": "f" must not validate the schema (not)',
    ],
    [
      { type: 'object', properties: { a: text, b: text }, oneOf: any({ required: ['a'] }, { required: ['b'] }) },
      { a: '', b: '' },
      '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
    [{ type: 'array', items: text, 'x-kubernetes-list-type': 'set' }, ['a', 'b', 'a'], 'f[2]: Duplicate value: "a"'],
    [
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', properties: { k: text, v: text } },
      },
      [{ k: 'a' }, { k: 'a', v: 'x' }],
      'f[1]: Duplicate value: {"k":"a"}',
    ],
  ])('%j refuse %j', (schema, value, problem) => {
    expect(check(schema, value)).toEqual([problem]);
  });

  it('say which alternative was nearest', () => {
    const schema = {
      type: 'object',
      properties: { a: text, b: text },
      anyOf: any({ required: ['a', 'b'] }, { required: ['a'] }),
    };
    expect(check(schema, {})).toEqual([
      '<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)',
      'f.a: Required value',
    ]);
  });

  it('are told of a hundred faults at most', () => {
    expect(check({ type: 'array', items: text }, Array(10_000).fill(1))).toHaveLength(100);
  });
});

describe('what has not changed', () => {
  const keyed: JsonSchema = {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
    items: { type: 'object', properties: { k: text, v: { type: 'integer', maximum: 5 } } },
  };
  it.each<[string, JsonSchema, unknown, unknown, number]>([
    ['is not judged again', { type: 'integer', maximum: 5 }, 9, 9, 0],
    ['is when it changes', { type: 'integer', maximum: 5 }, 9, 8, 1],
    [
      'is found beside what changed',
      { type: 'object', properties: { a: { type: 'integer', maximum: 5 }, b: text } },
      { a: 9, b: 'y' },
      { a: 9, b: 'x' },
      0,
    ],
    [
      'is found by its key',
      keyed,
      [
        { k: 'b', v: 9 },
        { k: 'a', v: 1 },
      ],
      [
        { k: 'a', v: 2 },
        { k: 'b', v: 9 },
      ],
      0,
    ],
    ['is not found in other lists', { type: 'array', items: { type: 'integer', maximum: 5 } }, [9, 1], [9, 2], 1],
    [
      'still has to be there',
      { type: 'object', required: ['a'], properties: { a: text, b: text } },
      { b: 'y' },
      { b: 'x' },
      1,
    ],
  ])('%s', (_name, schema, value, old, faults) => {
    expect(check(schema, value, old)).toHaveLength(faults);
  });
});
