import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pod } from '../kinds/generated/kinds.js';
import type { FieldSchema, ListSchema, Schema, StructSchema } from '../kinds/schema.js';
import { orderElements } from './element-order.js';
import { type Json, type JsonObject, jsonCopy, jsonEqual } from './json.js';
import { applyJsonPatch } from './json-patch.js';
import { applyMergePatch, createMergePatch } from './merge-patch.js';
import { createStrategicPatch } from './strategic-diff.js';
import { applyStrategicPatch } from './strategic-patch.js';

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const scalar = fc.oneof(fc.boolean(), fc.integer({ min: 0, max: 3 }), fc.constantFrom('x', 'y'));
/** JSON without nulls: what a decoder leaves of an object. */
const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'json' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  ),
})).value;
const object = fc.dictionary(name, json, { maxKeys: 4 }) as fc.Arbitrary<JsonObject>;

/** A type by hand: a keyed list of mappings that hold another one, a set of values, an atomic list, a map, a scalar. */
const string: Schema = { type: 'scalar', form: 'string' };
const field = (fieldName: string, schema: Schema, more: Partial<FieldSchema> = {}): [string, FieldSchema] => [
  fieldName,
  { name: fieldName, schema, required: false, pointer: false, omitEmpty: true, ...more },
];
const struct = (structName: string, ...fields: [string, FieldSchema][]): StructSchema => ({
  type: 'struct',
  name: structName,
  fields: new Map(fields),
});
const list = (items: Schema): ListSchema => ({ type: 'list', items });
const inner = struct('Inner', field('id', string), field('v', string));
const element = struct(
  'Element',
  field('name', string),
  field('v', string),
  field('inner', list(inner), { patchStrategy: ['merge'], patchMergeKey: 'id' }),
);
const schema = struct(
  'Thing',
  field('elements', list(element), { patchStrategy: ['merge'], patchMergeKey: 'name' }),
  field('kept', list(element), { patchStrategy: ['merge', 'retainKeys'], patchMergeKey: 'name' }),
  field('set', list(string), { patchStrategy: ['merge'] }),
  field('atomic', list(string)),
  field('map', { type: 'map', values: string }),
  field('v', string),
);

const keyed = (key: string, fields: Record<string, fc.Arbitrary<Json>>) =>
  fc.uniqueArray(fc.record({ [key]: name, ...fields }, { requiredKeys: [key] }) as fc.Arbitrary<JsonObject>, {
    selector: each => each[key],
    maxLength: 4,
  });
const value = fc.constantFrom('x', 'y', 'z');
const innerList = keyed('id', { v: value });
const elements = keyed('name', { v: value, inner: innerList });
const thing = fc.record(
  {
    elements,
    kept: keyed('name', { v: value, inner: innerList }),
    set: fc.uniqueArray(name, { maxLength: 4 }),
    atomic: fc.array(name, { maxLength: 3 }),
    map: fc.dictionary(name, value, { maxKeys: 3 }),
    v: value,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<JsonObject>;

describe('properties of JSON values', () => {
  it('a copy is equal and shares nothing', () => {
    fc.assert(
      fc.property(json, each => {
        const copy = jsonCopy(each);
        expect(jsonEqual(copy, each)).toBe(true);
        if (typeof each === 'object' && each !== null) expect(copy).not.toBe(each);
      }),
    );
  });

  it('equal means the same text, up to the order of members', () => {
    const sorted = (each: Json): Json =>
      Array.isArray(each)
        ? each.map(sorted)
        : typeof each === 'object' && each !== null
          ? Object.fromEntries(
              Object.keys(each)
                .sort()
                .map(key => [key, sorted(each[key]!)]),
            )
          : each;
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(jsonEqual(a, b)).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)));
      }),
    );
  });
});

describe('properties of merge patches', () => {
  it('the computed patch leads to the object it was computed for', () => {
    fc.assert(
      fc.property(object, object, (current, modified) => {
        const patch = createMergePatch({ original: current, modified, current });
        expect(applyMergePatch(current, patch)).toEqual(modified);
        if (jsonEqual(current, modified)) expect(patch).toEqual({});
      }),
    );
  });

  it('applying twice is applying once', () => {
    fc.assert(
      fc.property(object, object, (target, patch) => {
        const once = applyMergePatch(target, patch);
        expect(applyMergePatch(once, patch)).toEqual(once);
      }),
    );
  });
});

describe('properties of JSON patches', () => {
  const path = fc
    .array(fc.oneof(name, fc.constantFrom('0', '1', '-', '-1')), { maxLength: 3 })
    .map(parts => parts.map(part => `/${part}`).join(''));
  const operation = fc.record({
    op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
    path,
    from: path,
    value: json,
  });

  it('apply as a whole or are refused with 422, and leave the input alone', () => {
    fc.assert(
      fc.property(object, fc.array(operation, { maxLength: 4 }), (target, patch) => {
        const before = JSON.stringify(target);
        try {
          applyJsonPatch(target, patch);
        } catch (error) {
          expect(error).toMatchObject({ code: 422 });
        }
        expect(JSON.stringify(target)).toBe(before);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('properties of strategic patches', () => {
  it('the computed patch leads to the object it was computed for, order included', () => {
    fc.assert(
      fc.property(thing, thing, (current, modified) => {
        const before = JSON.stringify([current, modified]);
        const patch = createStrategicPatch({ original: current, modified, current }, schema);
        expect(applyStrategicPatch(current, patch, schema)).toEqual(modified);
        expect(JSON.stringify([current, modified])).toBe(before);
      }),
      { numRuns: 500 },
    );
  });

  it('an apply twice in a row does nothing the second time, whatever others added meanwhile', () => {
    fc.assert(
      fc.property(thing, thing, thing, (original, modified, current) => {
        const patch = createStrategicPatch({ original, modified, current }, schema);
        const applied = applyStrategicPatch(current, patch, schema);
        expect(createStrategicPatch({ original: modified, modified, current: applied }, schema)).toEqual({});
      }),
      { numRuns: 500 },
    );
  });

  it('everything that was asked for is there, and what was never applied stays', () => {
    fc.assert(
      fc.property(thing, thing, thing, (original, modified, current) => {
        const applied = applyStrategicPatch(
          current,
          createStrategicPatch({ original, modified, current }, schema),
          schema,
        );
        for (const [key, wanted] of Object.entries(modified)) {
          if (key === 'v' || key === 'atomic') expect(applied[key]).toEqual(wanted);
          if (key === 'set') expect(applied[key]).toEqual(expect.arrayContaining(wanted as Json[]));
        }
        const names = (of: JsonObject) =>
          ((of['elements'] as JsonObject[] | undefined) ?? []).map(each => each['name']);
        if (modified['elements'] !== undefined && current['elements'] !== undefined) {
          const theirs = names(current).filter(each => !names(original).includes(each!));
          expect(names(applied)).toEqual(expect.arrayContaining([...names(modified), ...theirs]));
          expect(names(applied).filter(each => names(modified).includes(each!))).toEqual(names(modified));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('any patch is applied or refused with 400, and changes no input', () => {
    const directive = fc.constantFrom('replace', 'delete', 'merge', 'x');
    const wild = fc.record(
      {
        elements: fc.array(fc.oneof(json, fc.record({ name, $patch: directive, v: value }, { requiredKeys: [] })), {
          maxLength: 3,
        }),
        '$setElementOrder/elements': fc.oneof(json, fc.array(fc.record({ name }), { maxLength: 4 })),
        '$deleteFromPrimitiveList/set': fc.oneof(json, fc.array(name)),
        $retainKeys: fc.oneof(json, fc.array(fc.constantFrom('elements', 'set', 'map', 'v'))),
        map: fc.oneof(json, fc.record({ $patch: directive, a: value }, { requiredKeys: [] }), fc.constant(null)),
        set: fc.oneof(json, fc.array(name)),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(thing, wild, (target, patch) => {
        const before = JSON.stringify([target, patch]);
        try {
          const result = applyStrategicPatch(target, patch, schema);
          expect(JSON.stringify(result)).not.toContain('"$');
        } catch (error) {
          expect(error).toMatchObject({ code: 400 });
        }
        expect(JSON.stringify([target, patch])).toBe(before);
      }),
      { numRuns: 1_000 },
    );
  });

  it('hold for the built-in types', () => {
    const container = fc.record({ name, image: value }, { requiredKeys: ['name'] });
    const pod = fc.record({
      metadata: fc.record(
        { labels: fc.dictionary(name, value), finalizers: fc.uniqueArray(name) },
        { requiredKeys: [] },
      ),
      spec: fc.record(
        {
          containers: fc.uniqueArray(container, { selector: each => each.name }),
          nodeSelector: fc.dictionary(name, value),
        },
        { requiredKeys: ['containers'] },
      ),
    });
    fc.assert(
      fc.property(pod, pod, (current, modified) => {
        const patch = createStrategicPatch({ original: current, modified, current }, Pod.schema);
        expect(applyStrategicPatch(current, patch, Pod.schema)).toEqual(modified);
      }),
    );
  });
});

describe('properties of the order', () => {
  it('keeps all elements, the order of the patch, and the order of the rest', () => {
    const unique = fc.uniqueArray(fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(unique, unique, (live, wanted) => {
        const merged = [...new Set([...live, ...wanted])];
        const ordered = orderElements(merged, wanted, live, each => each);
        expect([...ordered].sort()).toEqual([...merged].sort());
        expect(ordered.filter(each => wanted.includes(each as number))).toEqual(wanted);
        expect(ordered.filter(each => !wanted.includes(each as number))).toEqual(
          live.filter(each => !wanted.includes(each)),
        );
      }),
    );
  });
});
