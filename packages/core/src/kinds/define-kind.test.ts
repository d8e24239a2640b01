import { describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { defineKind } from './define-kind.js';
import { builtinKinds } from './generated/kinds.js';
import type { Kind } from './kind.js';
import { kindRegistry } from './registry.js';
import { tableOf } from './table.js';

const Widget = defineKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Widget',
  shortNames: ['wg'],
  categories: ['all'],
  spec: z.object({
    size: z.int32().min(1),
    colour: z.enum(['red', 'green']).default('red'),
    amount: z.string().meta({ form: 'quantity' }).optional(),
    port: z.union([z.int(), z.string()]).optional(),
    note: z.string().nullable().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    free: z.unknown().optional(),
    parts: z
      .array(z.object({ name: z.string(), weight: z.number().optional() }))
      .meta({ listType: 'map', listMapKeys: ['name'] })
      .refine(parts => parts.length < 3, 'at most two parts')
      .optional(),
    box: z.object({ lid: z.boolean().default(true) }).optional(),
    shape: z
      .discriminatedUnion('type', [
        z.object({ type: z.literal('round'), radius: z.number() }),
        z.object({ type: z.literal('square'), side: z.number() }),
      ])
      .optional(),
  }),
  status: z.object({ ready: z.int().optional() }),
  subresources: { status: true, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.ready' } },
  columns: [
    { name: 'Size', type: 'integer', value: '.spec.size' },
    { name: 'Parts', value: widget => (widget.spec.parts ?? []).map(part => part.name).join(','), wide: true },
  ],
  defaults(widget) {
    widget.metadata.labels ??= { made: 'here' };
  },
  validate: (widget, previous) =>
    previous && previous.spec.size > widget.spec.size
      ? [{ field: 'spec.size', type: 'FieldValueForbidden', message: 'Forbidden: a widget does not shrink' }]
      : [],
});
type Widget = typeof Widget extends Kind<infer T> ? T : never;

const metadata = { name: 'w', namespace: 'default' };
const made = (spec: object, more: object = {}): Widget => {
  const { object } = Widget.decode({ metadata: { ...metadata }, spec, ...more });
  Widget.applyDefaults(object);
  return object;
};
const faults = (spec: object, more: object = {}): string[] =>
  Widget.validate(made(spec, more)).map(({ field, message }) => `${field}: ${message}`);

test('types come from the schemas', () => {
  expectTypeOf<Widget['kind']>().toEqualTypeOf<'Widget'>();
  expectTypeOf<Widget['spec']['size']>().toEqualTypeOf<number>();
  expectTypeOf<Widget['spec']['colour']>().toEqualTypeOf<'red' | 'green'>();
  expectTypeOf<NonNullable<Widget['status']>['ready']>().toEqualTypeOf<number | undefined>();
  expectTypeOf<Widget['metadata']['namespace']>().toEqualTypeOf<string>();
});

test('names follow from the kind', () => {
  expect(Widget).toMatchObject({ plural: 'widgets', singular: 'widget', listKind: 'WidgetList', namespaced: true });
  const plain = { group: 'example.com', version: 'v1', spec: z.object({}) };
  expect(defineKind({ ...plain, kind: 'Policy' }).plural).toBe('policies');
  expect(defineKind({ ...plain, kind: 'Box' }).plural).toBe('boxes');
  expect(defineKind({ ...plain, kind: 'Gateway' }).plural).toBe('gateways');
  expect(Widget.subresources.map(({ name, kind }) => [name, kind])).toEqual([
    ['scale', 'Scale'],
    ['status', 'Widget'],
  ]);
  expect(kindRegistry(builtinKinds).with(Widget).resolve('wg')).toBe(Widget);
});

describe('decode', () => {
  const decode = (spec: object) => Widget.decode({ metadata: { ...metadata }, spec });
  test('unknown fields are dropped and named, deep down and in alternatives too', () => {
    const { object, unknownFields } = decode({
      size: 1,
      sise: 2,
      parts: [{ name: 'a', x: 1 }],
      shape: { type: 'round', radius: 1, side: 2, edge: 3 },
    });
    expect(unknownFields).toEqual(['spec.sise', 'spec.parts[0].x', 'spec.shape.edge']);
    expect(object.spec).toEqual({ size: 1, parts: [{ name: 'a' }], shape: { type: 'round', radius: 1, side: 2 } });
  });
  test('what is written is kept: zeros, null where it is legal, free JSON', () => {
    const spec = { size: 0, note: null, free: { a: [null] }, labels: {}, parts: [], port: 'web' };
    expect(decode(structuredClone(spec)).object.spec).toEqual(spec);
    expect(decode({ size: 1, labels: null }).object.spec).toEqual({ size: 1 });
  });
  test('types and forms', () => {
    expect(() => decode({ size: 'big' })).toThrow(
      'Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal string into Go struct field WidgetSpec.spec.size of type int32',
    );
    expect(() => decode({ size: 2 ** 40 })).toThrow('of type int32');
    expect(() => decode({ amount: 'lots' })).toThrow('quantities must match the regular expression');
    expect(decode({ amount: 3 }).object.spec.amount).toBe('3');
    expect(() => decode({ parts: [{ weight: 'x' }] })).toThrow('of type float64');
  });
});

test('defaults of the schema, then of the definition, once', () => {
  const widget = made({ size: 1, box: {} });
  expect(widget.spec).toEqual({ size: 1, colour: 'red', box: { lid: true } });
  expect(widget.metadata.labels).toEqual({ made: 'here' });
  expect(made({ size: 1 }).spec).not.toHaveProperty('box');
  const again = structuredClone(widget);
  Widget.applyDefaults(again);
  expect(again).toEqual(widget);
});

describe('validate', () => {
  test.each<[object, string[]]>([
    [{ size: 1 }, []],
    [{}, ['spec.size: Required value']],
    [{ size: 0 }, ['spec.size: Invalid value: 0: Too small: expected number to be >=1']],
    [{ size: 1, colour: 'blue' }, ['spec.colour: Unsupported value: "blue": supported values: "green", "red"']],
    [{ size: 1, parts: [{}] }, ['spec.parts[0].name: Required value']],
    [
      { size: 1, parts: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] },
      ['spec.parts: Invalid value: [{"name":"a"},{"name":"b"},{"name":"c"}]: at most two parts'],
    ],
    [{ size: 1, shape: { type: 'round' } }, ['spec.shape.radius: Required value']],
  ])('%j', (spec, expected) => expect(faults(spec)).toEqual(expected));
  test('metadata, status and the rules of an update', () => {
    expect(faults({ size: 1 }, { metadata: { name: 'W', namespace: 'default' } })[0]).toMatch(
      'metadata.name: Invalid value: "W"',
    );
    expect(faults({ size: 1 }, { status: { ready: 3 } })).toEqual([]);
    expect(Widget.validate(made({ size: 1 }), made({ size: 2 }))).toEqual([
      { field: 'spec.size', type: 'FieldValueForbidden', message: 'Forbidden: a widget does not shrink' },
    ]);
  });
});

test('merge keys come from meta', () => {
  const spec = Widget.schema.fields.get('spec')!.schema;
  const parts = spec.type === 'struct' ? spec.fields.get('parts') : undefined;
  expect(parts).toMatchObject({
    patchStrategy: ['merge'],
    patchMergeKey: 'name',
    schema: { type: 'list', listType: 'map', listMapKeys: ['name'] },
  });
});

test('a type that contains itself', () => {
  const Leaf = z.object({
    name: z.string(),
    get children() {
      return z.array(Leaf).optional();
    },
  });
  const Tree = defineKind({ group: 'example.com', version: 'v1', kind: 'Tree', spec: Leaf });
  const { unknownFields } = Tree.decode({
    metadata: {},
    spec: { name: 'a', children: [{ name: 'b', children: [{ name: 'c', nmae: 'd' }] }] },
  });
  expect(unknownFields).toEqual(['spec.children[0].children[0].nmae']);
});

test('columns: the name first, then what is defined; a path or a function', () => {
  const { columnDefinitions, rows } = tableOf(Widget, [made({ size: 3, parts: [{ name: 'a' }, { name: 'b' }] })], {
    now: 0,
  });
  expect(columnDefinitions!.map(({ name, type, priority }) => [name, type, priority])).toEqual([
    ['Name', 'string', 0],
    ['Size', 'integer', 0],
    ['Parts', 'string', 1],
  ]);
  expect(rows[0]!.cells).toEqual(['w', 3, 'a,b']);
  const Bare = defineKind({ group: 'example.com', version: 'v1', kind: 'Bare', namespaced: false, spec: z.object({}) });
  expect(Bare.columns.map(({ name, type }) => [name, type])).toEqual([
    ['Name', 'string'],
    ['Age', 'date'],
  ]);
  expect(
    Bare.validate(Bare.decode({ metadata: { name: 'b', namespace: 'x' } }).object).map(({ field }) => field),
  ).toContain('metadata.namespace');
});

describe('a wrong definition says so where it stands', () => {
  const plain = { group: 'example.com', version: 'v1', kind: 'Thing', spec: z.object({}) };
  test.each<[object, RegExp]>([
    [{ kind: 'thing' }, /defineKind thing: kind "thing": must be a word in upper camel case/],
    [{ group: 'apps' }, /group "apps": must be a domain that you own/],
    [{ version: '1' }, /version "1": a DNS-1035 label/],
    [{ plural: 'Things' }, /plural "Things"/],
    [{ shortNames: ['T'] }, /shortName "T"/],
    [{ spec: z.object({ at: z.date() }) }, /spec of Thing: this zod schema has no JSON form: Date/],
    [
      { spec: z.object({ list: z.array(z.string()).meta({ listType: 'map' }) }) },
      /spec of Thing: a list of type map needs listMapKeys/,
    ],
  ])('%#', (wrong, message) => expect(() => defineKind({ ...plain, ...wrong } as typeof plain)).toThrow(message));
});
