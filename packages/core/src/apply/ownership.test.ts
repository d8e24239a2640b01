/** What the oracle (apply-oracle.test.ts) does not reach: versions, changed types, order of lists, duplicates, limits. */
import { describe, expect, it } from 'vitest';
import type { FieldSchema, Schema, StructSchema } from '../kinds/schema.js';
import type { Json, JsonObject } from '../patch/json.js';
import { compare } from './compare.js';
import { applyConflict } from './conflict.js';
import { type FieldManagers, sameOwnership } from './managed-fields.js';
import {
  applyConfiguration,
  type ConvertVersion,
  recordUpdate,
  type VersionedObject,
  type Writer,
} from './ownership.js';
import { mergeTyped } from './typed-merge.js';
import { fieldSetOf, reconciled } from './typed-value.js';

const text: Schema = { type: 'scalar', form: 'string' };
const field = (name: string, schema: Schema): [string, FieldSchema] => [
  name,
  { name, schema, required: false, pointer: true, omitEmpty: true },
];
const struct = (name: string, ...fields: [string, FieldSchema][]): StructSchema => ({
  type: 'struct',
  name,
  fields: new Map(fields),
});
const keyed: Schema = {
  type: 'list',
  listType: 'map',
  listMapKeys: ['k'],
  items: struct('Item', field('k', text), field('v', text)),
};
const thing = struct(
  'Thing',
  field('a', text),
  field('b', text),
  field('list', keyed),
  field('inner', struct('Inner', field('x', text), field('y', text))),
);
const object = (value: JsonObject, apiVersion = 'v1', schema: Schema = thing): VersionedObject => ({
  apiVersion,
  schema,
  value,
});
const writer = (manager: string, second = 0): Writer => ({
  manager,
  time: new Date(second * 1000).toISOString().replace('.000', ''),
});
const applied = (
  live: VersionedObject,
  configuration: JsonObject,
  managers: FieldManagers,
  manager: string,
  convert?: ConvertVersion,
) => {
  const outcome = applyConfiguration(live, configuration, managers, writer(manager), { convert });
  if (outcome.conflicts) throw applyConflict(outcome.conflicts);
  return outcome;
};

describe('ownership across versions', () => {
  /** v2 calls `b` what v1 calls `a`; v0 is not served any more. */
  const convert: ConvertVersion = ({ value, apiVersion, schema }, wanted) => {
    if (wanted === 'v0') return undefined;
    if (wanted === apiVersion) return { value, apiVersion, schema };
    const renamed: JsonObject = {};
    for (const [key, member] of Object.entries(value)) renamed[key === 'a' ? 'b' : key === 'b' ? 'a' : key] = member;
    return { value: renamed, apiVersion: wanted, schema };
  };

  it('conflicts are found in the version of the other manager', () => {
    const { managers } = applied(object({}), { a: '1' }, [], 'm1', convert);
    const live = convert(object({ a: '1' }), 'v2')!;
    expect(() => applied(live, { b: '2' }, managers, 'm2', convert)).toThrow(
      'Apply failed with 1 conflict: conflict with "m1": .a',
    );
    expect(applied(live, { b: '1' }, managers, 'm2', convert).managers).toHaveLength(2);
  });

  it('a manager that goes on in another version drops what it had in the old one', () => {
    const { managers } = applied(object({}), { a: '1', inner: { x: '1' } }, [], 'm1', convert);
    const live = convert(object({ a: '1', inner: { x: '1' } }), 'v2')!;
    const next = applied(live, { inner: { x: '1' } }, managers, 'm1', convert);
    expect(next.value).toEqual({ inner: { x: '1' } });
    expect(next.managers).toMatchObject([{ apiVersion: 'v2', fieldsV1: { 'f:inner': { 'f:x': {} } } }]);
  });

  it('entries of versions that are not served any more go', () => {
    const old: FieldManagers = [
      { manager: 'm', operation: 'Update', apiVersion: 'v0', fieldsType: 'FieldsV1', fieldsV1: { 'f:a': {} } },
    ];
    expect(recordUpdate(object({ a: '1' }), object({ a: '2' }), old, writer('n'), convert)).toMatchObject([
      { manager: 'n', apiVersion: 'v1' },
    ]);
  });

  it('updates are kept apart by version', () => {
    const one = recordUpdate(object({}), object({ a: '1' }), [], writer('m'), convert);
    const two = recordUpdate(
      object({ a: '1' }, 'v2'),
      object({ a: '1', inner: { x: '1' } }, 'v2'),
      one,
      writer('m', 1),
      convert,
    );
    expect(two.map(({ manager, apiVersion }) => `${manager} ${apiVersion}`)).toEqual(['m v1', 'm v2']);
  });
});

describe('types that changed', () => {
  it('what has become atomic is owned as a whole', () => {
    const set = {
      'f:inner': { 'f:x': {} },
      'f:list': { 'k:{"k":"1"}': { '.': {}, 'f:v': {} } },
      'f:gone': { 'f:z': {} },
    };
    expect(reconciled(thing, set)).toBe(set);
    const atomic = struct(
      'Thing',
      field('list', { type: 'list', items: text }),
      field('inner', { ...struct('Inner', field('x', text)), structType: 'atomic' }),
    );
    expect(reconciled(atomic, set)).toEqual({ 'f:inner': {}, 'f:list': {}, 'f:gone': { 'f:z': {} } });
    const managers: FieldManagers = [
      { manager: 'm', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: set },
    ];
    const live = object({ inner: { x: '1' } }, 'v1', atomic);
    expect(recordUpdate(live, live, managers, writer('n'))[0]?.fieldsV1).toEqual(reconciled(atomic, set));
  });
});

describe('lists', () => {
  const items = (...keys: string[]) => keys.map(k => ({ k }));
  const merged = (live: string[], configuration: string[]) =>
    (mergeTyped(keyed, items(...live), items(...configuration)) as { k: string }[]).map(({ k }) => k).join('');

  it('take the order of the configuration; others keep their place', () => {
    expect(merged(['a', 'b', 'c'], ['c', 'a'])).toBe('bca');
    expect(merged(['a', 'b', 'c'], ['x', 'b'])).toBe('axbc');
    expect(merged(['a', 'b'], ['x', 'y'])).toBe('abxy');
    expect(merged(['a'], ['x', 'a', 'y'])).toBe('xay');
    expect(merged([], ['b', 'a'])).toBe('ba');
  });

  it('another order is a change, which nobody owns', () => {
    const { managers } = applied(object({}), { list: items('a', 'b') }, [], 'm');
    const next = applied(object({ list: items('a', 'b') }), { list: items('b', 'a') }, managers, 'm');
    expect(next.value).toEqual({ list: items('b', 'a') });
    expect(sameOwnership(next.managers, managers)).toBe(true);
    expect(applied(object({ list: items('b', 'a') }), { list: items('b', 'a') }, managers, 'm').value).toBeUndefined();
  });

  it('elements that share their key are one leaf, and an applied one takes their place', () => {
    const twice: Json[] = [{ k: 'a', v: '1' }, { k: 'a', v: '2' }, { k: 'b' }];
    expect(fieldSetOf(keyed, twice)).toEqual({ 'k:{"k":"a"}': {}, 'k:{"k":"b"}': { '.': {}, 'f:k': {} } });
    const change = compare(thing, { list: twice }, { list: [{ k: 'a', v: '1' }, { k: 'a', v: '3' }, { k: 'b' }] });
    expect(change.modified).toEqual({ 'f:list': { 'k:{"k":"a"}': {} } });
    expect(compare(thing, { list: twice }, { list: [...twice] })).toEqual({ added: {}, modified: {}, removed: {} });
    expect(mergeTyped(keyed, twice, [{ k: 'a', v: '9' }])).toEqual([{ k: 'a', v: '9' }, { k: 'b' }]);
  });
});

describe('entries', () => {
  it('are the very same array when nothing changes that anybody can own', () => {
    const managers = recordUpdate(object({}), object({ a: '1' }), [], writer('m'));
    const metadata = struct('Meta', field('name', text), field('resourceVersion', text));
    const typed = struct('Whole', ...thing.fields, field('metadata', metadata), field('kind', text));
    const [old, now] = [
      object({ a: '1', metadata: { resourceVersion: '1' } }, 'v1', typed),
      object({ a: '1', kind: 'X', metadata: { name: 'n', resourceVersion: '2' } }, 'v1', typed),
    ];
    expect(recordUpdate(old, now, managers, writer('n'))).toBe(managers);
  });

  it('of who changes its own fields again keep their set, with a new time', () => {
    const before = recordUpdate(object({}), object({ a: '1', b: '1' }), [], writer('m'));
    const after = recordUpdate(object({ a: '1', b: '1' }), object({ a: '2', b: '1' }), before, writer('m', 9));
    expect(after).toMatchObject([{ manager: 'm', time: '1970-01-01T00:00:09Z', fieldsV1: before[0]!.fieldsV1 }]);
  });
});
