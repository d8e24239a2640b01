import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { decodeStruct } from './decode.js';
import { builtinSchema } from './facts.js';
import { builtinKinds } from './generated/kinds.js';
import { apiVersionOf, type Kind } from './kind.js';
import type { Schema } from './schema.js';
import { Eviction, Scale, TokenRequest } from './virtual.js';

const testdata = fileURLToPath(new URL('../../testdata/', import.meta.url));
const kinds: readonly Kind<any>[] = [
  // There are no published samples of metrics.
  ...builtinKinds.filter(({ group }) => group !== 'metrics.k8s.io'),
  Scale,
  Eviction,
  TokenRequest,
];
/** What requests and answers hold beside objects: the type, by file. */
const spoken: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['CreateOptions', 'DeleteOptions', 'GetOptions', 'ListOptions', 'PatchOptions', 'UpdateOptions', 'Status'].map(
      name => [`core.v1.${name}.json`, `meta/v1.${name}`],
    ),
  ),
  ...Object.fromEntries(
    ['NodeProxyOptions', 'PodAttachOptions', 'PodExecOptions', 'PodLogOptions', 'PodPortForwardOptions']
      .concat('PodProxyOptions', 'ServiceProxyOptions')
      .map(name => [`core.v1.${name}.json`, `core/v1.${name}`]),
  ),
  'apiextensions.k8s.io.v1.ConversionReview.json': 'apiextensions.k8s.io/v1.ConversionReview',
};
/** Samples of what is never decoded here: it is made, not read, or nobody speaks it. */
const unread = ['APIGroup', 'APIVersions', 'PodStatusResult', 'RangeAllocation', 'SerializedReference', 'WatchEvent'];

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
};
const text = (value: unknown): string => JSON.stringify(sorted(value), null, 1);
const sample = (file: string): string => readFileSync(`${testdata}${file}`, 'utf8');
const fileOf = (kind: Kind): string => `${kind.group || 'core'}.${kind.version}.${kind.kind}.json`;

describe('a sample with every field of its type filled in comes out of decode as it went in', () => {
  test.each(kinds.map(kind => [kind.kind, kind] as const))('%s', (_, kind) => {
    const json = sample(fileOf(kind));
    const { object, unknownFields } = kind.decode(JSON.parse(json));
    expect(unknownFields).toEqual([]);
    expect(text(object)).toBe(text(JSON.parse(json)));
    expect(object.apiVersion).toBe(apiVersionOf(kind));
  });

  test.each(Object.entries(spoken))('%s', (file, type) => {
    const json = sample(file);
    const { value, unknownFields } = decodeStruct(builtinSchema(type), JSON.parse(json), {
      kind: type.slice(type.lastIndexOf('.') + 1),
      version: 'v1',
    });
    expect(unknownFields).toEqual([]);
    expect(text(value)).toBe(text(JSON.parse(json)));
  });

  test('every sample is used', () => {
    const used = [...kinds.map(fileOf), ...Object.keys(spoken), ...unread.map(name => `core.v1.${name}.json`)];
    expect(
      readdirSync(testdata)
        .filter(file => file.endsWith('.json') && !file.startsWith('apidiscovery'))
        .sort(),
    ).toEqual(used.sort());
  });
});

/** Every path of a JSON value that leads to an object. */
function objectsIn(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [];
  const here = Array.isArray(value) ? [] : [path];
  return [
    ...here,
    ...Object.entries(value).flatMap(([key, each]) =>
      objectsIn(each, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
}

/** Of a place in an object; a scalar where free JSON holds it (managedFields' fieldsV1, a controller revision's data). */
function schemaAt(schema: Schema, path: readonly (string | number)[]): Schema {
  const [step, ...rest] = path;
  if (step === undefined || schema.type === 'scalar') return schema;
  if (schema.type === 'list') return schemaAt(schema.items, rest);
  if (schema.type === 'map') return schemaAt(schema.values, rest);
  return schemaAt(schema.fields.get(step as string)!.schema, rest);
}

test('an unknown field is named by its path and dropped, wherever a struct may hold it', () => {
  for (const kind of kinds) {
    const original = JSON.parse(sample(fileOf(kind)));
    for (const path of objectsIn(original)) {
      const value = structuredClone(original);
      const holder = path.reduce((inner, step) => inner[step], value);
      holder['not-a-field'] = { x: 1 };
      let unknown: string[];
      try {
        unknown = kind.decode(value).unknownFields;
      } catch (error) {
        // A map of texts or amounts takes any key, and refuses this value.
        expect((error as Error).message).toMatch(/cannot be handled as a|quantities must match/);
        continue;
      }
      const written = path
        .map((step, index) => (typeof step === 'number' ? `[${step}]` : index ? `.${step}` : step))
        .join('');
      const schema = schemaAt(kind.schema, path);
      const holdsAnything = schema.type === 'map' && schema.values.type === 'scalar';
      if (schema.type === 'scalar' || holdsAnything) expect(unknown).toEqual([]);
      // A map of structs takes any key; what the struct then holds is unknown.
      else expect(unknown).toEqual([`${written ? `${written}.` : ''}not-a-field${schema.type === 'map' ? '.x' : ''}`]);
    }
  }
});
