import { describe, expect, it } from 'vitest';
import { type ZodType, z } from 'zod';
import { ConfigMap } from './generated/kinds.js';
import { structuralSchema } from './structural-schema.js';
import { crdOf, defineKind } from './zod.js';

const schemaOf = (schema: ZodType, options = {}) => structuralSchema(schema, 'spec', options);

describe('the structural schema of a zod schema', () => {
  it.each<[string, ZodType, object]>([
    ['an int32', z.int32(), { type: 'integer', format: 'int32' }],
    ['a bounded one', z.int32().min(1).max(9), { type: 'integer', format: 'int32', minimum: 1, maximum: 9 }],
    ['an integer', z.int(), { type: 'integer', format: 'int64' }],
    [
      'a number between',
      z.number().gt(3).lt(9),
      { type: 'number', minimum: 3, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true },
    ],
    ['a multiple', z.number().multipleOf(3), { type: 'number', multipleOf: 3 }],
    ['a text', z.string().min(2).max(5).regex(/^a+$/), { type: 'string', minLength: 2, maxLength: 5, pattern: '^a+$' }],
    [
      'a text of parts',
      z.string().startsWith('a').endsWith('b'),
      { type: 'string', allOf: [{ pattern: '^a.*' }, { pattern: '.*b$' }] },
    ],
    ['a format', z.email(), { type: 'string', format: 'email' }],
    ['a time', z.iso.datetime(), { type: 'string', format: 'date-time' }],
    ['a range', z.cidrv4(), { type: 'string', format: 'cidr' }],
    ['an enum with default', z.enum(['x', 'y']).default('x'), { type: 'string', enum: ['x', 'y'], default: 'x' }],
    ['a literal', z.literal(5), { type: 'number', enum: [5] }],
    ['a union of literals', z.union([z.literal('a'), z.literal('b')]), { type: 'string', enum: ['a', 'b'] }],
    ['a nullable', z.string().nullable(), { type: 'string', nullable: true }],
    [
      'int or string',
      z.union([z.int(), z.string()]),
      { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
    ],
    ['anything', z.unknown(), { 'x-kubernetes-preserve-unknown-fields': true }],
    [
      'a map',
      z.record(z.string(), z.int32()),
      { type: 'object', additionalProperties: { type: 'integer', format: 'int32' } },
    ],
    [
      'an object',
      z.object({ a: z.string(), b: z.boolean().optional() }).describe('text'),
      {
        type: 'object',
        properties: { a: { type: 'string' }, b: { type: 'boolean' } },
        required: ['a'],
        description: 'text',
      },
    ],
    ['a strict object', z.strictObject({}), { type: 'object', properties: {} }],
    [
      'an open object',
      z.looseObject({ a: z.string() }),
      {
        type: 'object',
        properties: { a: { type: 'string' } },
        required: ['a'],
        'x-kubernetes-preserve-unknown-fields': true,
      },
    ],
    [
      'a list map',
      z
        .array(z.object({ name: z.string() }))
        .max(3)
        .meta({ listType: 'map', listMapKeys: ['name'] }),
      {
        type: 'array',
        maxItems: 3,
        items: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      },
    ],
    [
      'CEL',
      z
        .string()
        .refine(() => true)
        .meta({ cel: [{ rule: 'self != "x"' }] }),
      { type: 'string', 'x-kubernetes-validations': [{ rule: 'self != "x"' }] },
    ],
    ['bytes', z.string().meta({ form: 'bytes' }), { type: 'string', format: 'byte' }],
  ])('of %s', (_name, schema, expected) => {
    expect(schemaOf(schema)).toEqual(expected);
  });

  it('of alternatives is one object, with what goes together as constraints', () => {
    const shape = z.discriminatedUnion('type', [
      z.object({ type: z.literal('round'), radius: z.int32() }),
      z.object({ type: z.literal('square'), side: z.int32() }),
    ]);
    expect(schemaOf(shape)).toEqual({
      type: 'object',
      properties: {
        type: { type: 'string', enum: ['round', 'square'] },
        radius: { type: 'integer', format: 'int32' },
        side: { type: 'integer', format: 'int32' },
      },
      required: ['type'],
      oneOf: [
        { properties: { type: { enum: ['round'] } }, required: ['type', 'radius'] },
        { properties: { type: { enum: ['square'] } }, required: ['type', 'side'] },
      ],
    });
  });

  const tree: ZodType = z.object({
    get inner() {
      return tree.optional();
    },
  });
  it.each<[string, ZodType, string]>([
    ['a tuple', z.object({ a: z.tuple([z.string()]) }), 'spec.a: a tuple cannot be written'],
    ['a recursion', z.object({ a: tree }), 'a type that contains itself'],
    [
      'different types',
      z.object({ a: z.array(z.union([z.string(), z.boolean()])) }),
      'spec.a[]: alternatives of different types',
    ],
    ['a look ahead', z.object({ a: z.string().regex(/^(?!x)/) }), 'spec.a: the pattern ^(?!x) looks around'],
    ['keys', z.object({ a: z.record(z.string().regex(/^x/), z.string()) }), 'spec.a: rules for keys'],
    [
      'a refinement',
      z.object({ a: z.array(z.object({ b: z.string().refine(() => true) })) }),
      'spec.a[].b: .refine() is code',
    ],
    [
      'fields and others',
      z.object({ a: z.string() }).catchall(z.int()),
      'spec: named fields and a schema for all others',
    ],
    ['a date', z.object({ a: z.date() }), 'spec: this zod schema has no JSON form'],
    ['an unknown form', z.string().meta({ form: 'nonsense' }), 'spec: there is no form "nonsense"'],
    [
      'two forms of a field',
      z.union([z.object({ a: z.string() }), z.object({ a: z.int() })]),
      'spec.a: it differs between the alternatives',
    ],
  ])('refuses %s, and says where', (_name, schema, message) => {
    expect(() => schemaOf(schema)).toThrow(message);
  });

  it('leaves refinements out when it is told to', () => {
    expect(
      schemaOf(
        z.string().refine(() => true),
        { refinements: 'leave out' },
      ),
    ).toEqual({ type: 'string' });
  });
});

describe('crdOf', () => {
  const base = { group: 'example.com', kind: 'Widget' } as const;
  const v1 = defineKind({
    ...base,
    version: 'v1',
    shortNames: ['wg'],
    spec: z.object({ size: z.int32() }),
    status: z.object({ ready: z.int32().optional() }),
    subresources: { status: true, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.ready' } },
    columns: [{ name: 'Size', type: 'integer', value: '.spec.size', wide: true }],
  });
  const v2 = defineKind({
    ...base,
    version: 'v2',
    spec: z.object({ size: z.int32().default(1) }).default({ size: 1 }),
  });

  it('has names, versions, columns and subresources', () => {
    const { metadata, spec } = crdOf([v1, v2], { storage: 'v1', rules: [{ rule: 'true' }] });
    expect(metadata).toEqual({ name: 'widgets.example.com' });
    expect(spec).toMatchObject({
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' },
      versions: [
        {
          ...{ name: 'v1', served: true, storage: true },
          subresources: { status: {}, scale: { specReplicasPath: '.spec.size' } },
          additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 }],
          schema: { openAPIV3Schema: { required: ['spec'], 'x-kubernetes-validations': [{ rule: 'true' }] } },
        },
        { name: 'v2', storage: false },
      ],
    });
    expect(spec.versions[1]!.schema!.openAPIV3Schema!.required).toBeUndefined();
  });

  it('says what it cannot do', () => {
    const other = defineKind({ ...base, kind: 'Other', version: 'v1', spec: z.object({}) });
    expect(() => crdOf([v1, other])).toThrow('are not versions of one kind');
    expect(() => crdOf(v1, { storage: 'v9' })).toThrow('there is no version "v9"');
    expect(() => crdOf(ConfigMap)).toThrow('only a kind made with defineKind');
    const columns = [{ name: 'X', value: () => 'x' }];
    expect(() => crdOf(defineKind({ ...base, version: 'v1', spec: z.object({}), columns }))).toThrow(
      'column "X" is a function',
    );
  });
});
