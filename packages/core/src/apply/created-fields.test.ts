import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock/random.js';
import { builtinSchema } from '../kinds/facts.js';
import type { StructSchema } from '../kinds/schema.js';
import type { Json, JsonObject } from '../patch/json.js';
import { managersText } from './managed-fields.js';
import { recordCreate, recordUpdate } from './ownership.js';
import { changed, randomStruct, randomValue, spoiled } from './testing/random-objects.js';
import { deduced } from './typing.js';
import { zeroObject } from './zero-object.js';

const random = seededRandom(7);
const chance = (p: number) => random() < p;
const some = <T>(list: readonly T[]): T[] => list.filter(() => chance(0.6));
const container = (name: string): JsonObject => ({
  name,
  ...(chance(0.5) ? { image: 'i' } : {}),
  ...(chance(0.5) ? { ports: some([80, 81]).map(containerPort => ({ containerPort })) } : {}),
  ...(chance(0.3) ? { env: some(['A', 'B', 'A']).map(each => ({ name: each, value: 'x' })) } : {}),
  ...(chance(0.3) ? { resources: chance(0.5) ? {} : { limits: { cpu: '1' } } } : {}),
});
const pod = (): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'x',
    ...(chance(0.5) ? { labels: Object.fromEntries(some(['a', 'b']).map(each => [each, '1'])) } : {}),
    ...(chance(0.3) ? { finalizers: some(['f/1', 'f/2']) } : {}),
  },
  ...(chance(0.9)
    ? { spec: { containers: some(['c', 'd']).map(container), ...(chance(0.3) ? { nodeName: '' } : {}) } }
    : {}),
  ...(chance(0.2) ? { status: { phase: 'Running' } } : {}),
});
const anything = (depth: number): Json =>
  depth === 0 || chance(0.3)
    ? chance(0.5)
      ? 'x'
      : [1]
    : Object.fromEntries(some(['a', 'b', 'spec']).map(key => [key, anything(depth - 1)]));

describe('recordCreate', () => {
  const writer = { manager: 'm', time: '2026-01-01T00:00:00Z' };
  const cases: [string, StructSchema, () => JsonObject][] = [
    ['pods', builtinSchema('core/v1.Pod'), pod],
    ['what has no schema', { ...deduced, name: 'own' }, () => ({ spec: anything(3) })],
  ];
  it.each(cases)('says of %s what an update from nothing says, remembered or not', (_, schema, make) => {
    const zero = { apiVersion: 'v1', schema, value: zeroObject(schema) };
    let remembered = 0;
    const seen = new Set<unknown>();
    for (let i = 0; i < 3_000; i++) {
      const object = { apiVersion: 'v1', schema, value: make() };
      const managers = recordCreate(object, writer);
      expect(JSON.stringify(managers)).toBe(JSON.stringify(recordUpdate(zero, object, [], writer)));
      expect(managersText(managers)).toBe(JSON.stringify(managers));
      if (managers[0] && seen.has(managers[0].fieldsV1)) remembered += 1;
      seen.add(managers[0]?.fieldsV1);
    }
    expect(remembered).toBeGreaterThan(20);
  });

  it('says so of any type, whatever the values are', () => {
    let remembered = 0;
    for (let i = 0; i < 100; i++) {
      const schema = randomStruct(4);
      const zero = { apiVersion: 'v1', schema, value: zeroObject(schema) };
      let value = randomValue(schema);
      const seen = new Set<unknown>();
      for (let j = 0; j < 30; j++) {
        // Another value of the same shape, or of one that is much like it.
        value = chance(0.9) ? changed(schema, value, 0.1) : chance(0.5) ? spoiled(schema, value) : randomValue(schema);
        const object = { apiVersion: 'v1', schema, value: value as JsonObject };
        if (typeof value !== 'object' || value === null || Array.isArray(value)) break;
        const managers = recordCreate(object, writer);
        expect(JSON.stringify(managers)).toBe(JSON.stringify(recordUpdate(zero, object, [], writer)));
        if (managers[0] && seen.has(managers[0].fieldsV1)) remembered += 1;
        seen.add(managers[0]?.fieldsV1);
      }
    }
    expect(remembered).toBeGreaterThan(250);
  });

  it('tells shapes apart that differ in what is empty, absent, or as it was before', () => {
    const schema = builtinSchema('core/v1.Pod');
    const zero = { apiVersion: 'v1', schema, value: zeroObject(schema) };
    const metadatas: Json[] = [{}, { labels: null }, { labels: {} }, { labels: { a: 'b' } }, { finalizers: ['a'] }];
    const specs: Json[] = [
      null,
      {},
      { containers: null },
      { containers: [] },
      { containers: [{}] },
      { containers: [{ name: '' }] },
      { containers: [{ name: 'a' }] },
      { containers: [{ name: 'a' }, { name: 'a' }] },
      { containers: [{ name: 'a', ports: [{ containerPort: 1 }] }] },
      { containers: [{ name: 'a', ports: [{ containerPort: 1, protocol: 'TCP' }] }] },
      { containers: [{ name: 'a', ports: [{ containerPort: 1, protocol: 'UDP' }] }] },
      { containers: [{ name: 'a', resources: {} }] },
      { containers: [{ name: 'a', resources: null }] },
      { containers: [{ name: 'a', resources: { limits: {} } }] },
      { nodeSelector: {} },
      { nodeSelector: { constructor: 'x' } },
      { nodeSelector: JSON.parse('{"__proto__":"x"}') },
      { nodeSelector: { end: 'x' }, hostNetwork: false },
      { unknown: {} },
    ];
    for (let round = 0; round < 2; round++) {
      for (const spec of specs) {
        for (const metadata of metadatas) {
          const object = { apiVersion: 'v1', schema, value: { metadata, spec } };
          const managers = recordCreate(object, writer);
          expect(JSON.stringify(managers)).toBe(JSON.stringify(recordUpdate(zero, object, [], writer)));
        }
      }
    }
  });

  it('stays within its bounds, and right, when no two objects are alike', () => {
    const schema = builtinSchema('core/v1.ConfigMap');
    const zero = { apiVersion: 'v1', schema, value: zeroObject(schema) };
    const keys = (count: number, from: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`key-${from + i}`, '']));
    const datas = [
      ...Array.from({ length: 180 }, (_, i) => keys(100, i * 100)),
      keys(3_000, 0),
      { ['k'.repeat(600)]: '' },
      keys(3, 0),
    ];
    for (const data of datas) {
      const object = { apiVersion: 'v1', schema, value: { data } as JsonObject };
      expect(JSON.stringify(recordCreate(object, writer))).toBe(JSON.stringify(recordUpdate(zero, object, [], writer)));
    }
  });

  it('has one text, made of the parts that are known and of those that are not', () => {
    const schema = builtinSchema('core/v1.Pod');
    const value = { metadata: { labels: { 'a"ä': 'b' } }, spec: { containers: [{ name: 'c\\' }] } };
    const [kept] = recordCreate({ apiVersion: 'v1', schema, value }, { ...writer, manager: 'ä"' });
    const { time: _, ...timeless } = kept!;
    const read = JSON.parse(JSON.stringify({ ...kept, subresource: 'status' }));
    for (const managers of [[], [kept!], [read, kept!, { ...kept!, subresource: 'x' }, timeless]])
      expect(managersText(managers)).toBe(JSON.stringify(managers));
  });
});
