import { describe, expect, it } from 'vitest';
import { schemaErrors } from './schema-rules.js';
import type { JsonSchema } from './structural.js';

const errorsOf = (spec: JsonSchema, root: JsonSchema = {}, status = false) =>
  schemaErrors({ type: 'object', ...root, properties: { spec, ...root.properties } }, 's', status).map(
    ({ field, message }) => `${field}: ${message}`,
  );
const string: JsonSchema = { type: 'string' };
const spec = 's.properties[spec]';

describe('schemas that may stand in a definition', () => {
  it.each<[string, JsonSchema]>([
    ['everything open', { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }],
    ['int or string', { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }],
    [
      'int or string within allOf',
      {
        'x-kubernetes-int-or-string': true,
        allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: '^a' }],
      },
    ],
    [
      'constraints of known fields',
      {
        type: 'object',
        properties: { a: string, b: string },
        oneOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { minLength: 2 } } }],
      },
    ],
    [
      'an embedded resource',
      { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    ],
    ['a map', { type: 'object', additionalProperties: { type: 'integer' } }],
    [
      'a keyed list',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: { type: 'object', required: ['name'], properties: { name: string } },
      },
    ],
    [
      'a default that is valid',
      { type: 'object', default: { a: 'x' }, properties: { a: { type: 'string', default: 'y' } } },
    ],
    ['Go regular expressions', { type: 'string', pattern: '(?i)^[[:alpha:]]+\\z' }],
    [
      'rules',
      {
        type: 'object',
        properties: { a: { type: 'integer' } },
        'x-kubernetes-validations': [{ rule: 'self.a > 0', fieldPath: '.a', reason: 'FieldValueForbidden' }],
      },
    ],
  ])('%s', (_name, schema) => {
    expect(errorsOf(schema)).toEqual([]);
  });
});

describe('schemas that may not', () => {
  it.each<[string, JsonSchema, string]>([
    ['no type', {}, `${spec}.type: Required value: must not be empty for specified object fields`],
    [
      'a type that is none',
      { type: 'text' },
      `${spec}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
    ],
    [
      'null as a type',
      { type: 'null' },
      `${spec}.type: Forbidden: type cannot be set to null, use nullable as an alternative`,
    ],
    ['a list without items', { type: 'array' }, `${spec}.items: Required value: must be specified`],
    [
      'items without type',
      { type: 'array', items: {} },
      `${spec}.items.type: Required value: must not be empty for specified array items`,
    ],
    [
      'items as a list',
      { type: 'array', items: [string] },
      `${spec}.items: Forbidden: items must be a schema object and not an array`,
    ],
    [
      'unique items',
      { type: 'array', uniqueItems: true, items: string },
      `${spec}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
    ],
    ['a reference', { $ref: '#/x' }, `${spec}.$ref: Forbidden: $ref is not supported`],
    [
      'both kinds of members',
      { type: 'object', properties: { a: string }, additionalProperties: string },
      `${spec}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
    ],
    [
      'a type within anyOf',
      { type: 'string', anyOf: [{ type: 'string' }] },
      `${spec}.anyOf[0].type: Forbidden: must be empty to be structural`,
    ],
    [
      'a field known only within allOf',
      { type: 'object', allOf: [{ properties: { a: { minLength: 1 } } }] },
      `${spec}.properties[a]: Required value: because it is defined in ${spec}.allOf[0].properties[a]`,
    ],
    [
      'a default within not',
      { type: 'string', not: { default: 'x' } },
      `${spec}.not.default: Forbidden: must be undefined to be structural`,
    ],
    [
      'preserving false',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': false },
      `${spec}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`,
    ],
    [
      'a map type of a text',
      { type: 'string', 'x-kubernetes-map-type': 'atomic' },
      `${spec}.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified`,
    ],
    [
      'a list type that is none',
      { type: 'array', items: string, 'x-kubernetes-list-type': 'bag' },
      `${spec}.x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map"`,
    ],
    [
      'a keyed list without keys',
      { type: 'array', 'x-kubernetes-list-type': 'map', items: { type: 'object' } },
      `${spec}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map`,
    ],
    [
      'a key that may be absent',
      {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: { type: 'object', properties: { name: string } },
      },
      `${spec}.items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
    [
      'a set of objects',
      { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'object' } },
      `${spec}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set`,
    ],
    [
      'a pattern that is none',
      { type: 'string', pattern: '(?=x)' },
      `${spec}.pattern: Invalid value: "(?=x)": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: \`(?=\``,
    ],
    [
      'an invalid default',
      { type: 'integer', minimum: 5, default: 3 },
      `${spec}.default: Invalid value: 3: ${spec}.default in body should be greater than or equal to 5`,
    ],
    [
      'a default with unknown fields',
      { type: 'object', properties: { a: string }, default: { b: 1 } },
      `${spec}.default: Invalid value: {"b":1}: must not have unknown fields: b`,
    ],
    [
      'an empty rule',
      { type: 'object', 'x-kubernetes-validations': [{ rule: ' ' }] },
      `${spec}.x-kubernetes-validations[0].rule: Required value: rule is not specified`,
    ],
    [
      'a reason that is none',
      { type: 'object', 'x-kubernetes-validations': [{ rule: 'true', reason: 'Bad' as never }] },
      `${spec}.x-kubernetes-validations[0].reason: Unsupported value: "Bad": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
    ],
    [
      'a path that leads nowhere',
      { type: 'object', 'x-kubernetes-validations': [{ rule: 'true', fieldPath: '.zzz' }] },
      `${spec}.x-kubernetes-validations[0].fieldPath: Invalid value: ".zzz": fieldPath must be a valid path`,
    ],
    [
      'optionalOldSelf without oldSelf',
      { type: 'object', 'x-kubernetes-validations': [{ rule: 'true', optionalOldSelf: true }] },
      `${spec}.x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
    ],
    [
      'oldSelf in a list without keys',
      {
        type: 'array',
        maxItems: 9,
        items: { type: 'string', maxLength: 9, 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] },
      },
      `${spec}.items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within ${spec}`,
    ],
  ])('%s', (_name, schema, problem) => {
    expect(errorsOf(schema)).toEqual([problem]);
  });

  it.each<[string, JsonSchema, string]>([
    [
      'more metadata than names',
      { properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
      's.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
    ],
    [
      'additionalProperties at the root',
      { additionalProperties: true },
      's.additionalProperties: Forbidden: must not be used at the root',
    ],
    [
      'a default of the kind',
      { properties: { kind: { type: 'string', default: 'X' } } },
      's.properties[kind].default: Forbidden: must not be set in top-level kind',
    ],
    ['a nullable root', { nullable: true }, 's.nullable: Forbidden: nullable cannot be true at the root'],
  ])('%s', (_name, root, problem) => {
    expect(errorsOf(string, root)).toEqual([problem]);
  });

  it('names what cannot stand at the root beside a status subresource', () => {
    expect(errorsOf(string, { oneOf: [{ required: ['spec'] }] }, true)).toEqual([
      's.oneOf: Forbidden: is not allowed at the root of the schema if the status subresource is enabled',
    ]);
  });

  it('says where a rule does not compile', () => {
    const [error] = errorsOf({
      type: 'object',
      properties: { a: string },
      'x-kubernetes-validations': [{ rule: 'self.b == 1' }],
    });
    expect(error).toContain(`${spec}.x-kubernetes-validations[0].rule: Invalid value:`);
    expect(error).toContain("compilation failed: ERROR: <input>:1:6: undefined field 'b'\n | self.b == 1\n | .....^");
  });
});

describe('the cost of rules', () => {
  const hint =
    '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';
  const text = (maxLength?: number): JsonSchema => ({ type: 'string', ...(maxLength ? { maxLength } : {}) });
  const list = (items: JsonSchema, rule: string, maxItems?: number): JsonSchema => ({
    type: 'array',
    items,
    ...(maxItems ? { maxItems } : {}),
    'x-kubernetes-validations': [{ rule }],
  });
  const contains = "self.all(x, x.contains('a string'))";

  it.each<[string, JsonSchema]>([
    ['numbers without a bound, looked at once', list({ type: 'integer' }, 'self.all(x, x > 5)')],
    ['text and list with bounds', list(text(10), contains, 25)],
    ['a rule that looks at no list', { ...text(), 'x-kubernetes-validations': [{ rule: 'self.size() > 3' }] }],
    ['a bounded pattern', { ...text(100), 'x-kubernetes-validations': [{ rule: "self.matches('^[a-z]+$')" }] }],
  ])('lets pass: %s', (_name, schema) => {
    expect(errorsOf(schema)).toEqual([]);
  });

  it.each<[string, JsonSchema, string]>([
    ['text of any length in a list of any length', list(text(), contains), 'more than 100x'],
    ['each with each', list({ type: 'integer' }, 'self.all(x, self.all(y, x != y))'), 'more than 100x'],
    [
      'each with each, of a list somewhat too long',
      list({ type: 'integer' }, 'self.all(x, self.all(y, x != y))', 3000),
      '5.4x',
    ],
    [
      'a macro with two variables',
      list({ type: 'integer' }, 'self.all(i, x, self.all(j, y, x != y || i == j))'),
      'more than 100x',
    ],
  ])('refuses %s', (_name, schema, factor) => {
    const [rule, ...rest] = errorsOf(schema);
    expect(rule).toBe(
      `${spec}.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of ${factor} ${hint}`,
    );
    expect(rest.length === 0 || rest.at(-1)!.startsWith('s: Forbidden: x-kubernetes-validations')).toBe(true);
  });

  it('multiplies by how often a place occurs', () => {
    const inner: JsonSchema = { ...text(1000), 'x-kubernetes-validations': [{ rule: "self.matches('^[a-z]+$')" }] };
    expect(errorsOf({ type: 'array', maxItems: 10, items: inner })).toEqual([]);
    expect(errorsOf({ type: 'array', items: inner })[0]).toContain('estimated rule cost exceeds budget');
  });

  it('adds up over the schema, and names the dearest', () => {
    const each = { rule: 'self.all(x, self.all(y, x != y))' };
    const schema = { ...list({ type: 'integer' }, '', 1290), 'x-kubernetes-validations': new Array(12).fill(each) };
    const errors = errorsOf(schema as JsonSchema);
    expect(errors).toHaveLength(5);
    expect(errors[0]).toContain(
      'Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
    );
    expect(errors[4]).toMatch(
      /^s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of 1\.\d{6}x /,
    );
  });
});
