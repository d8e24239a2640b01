/**
 * For the oracle of server-side apply: random types, values of them, and small objects of built-in kinds; the same for the same seed.
 * Values are drawn from a handful, so that managers meet in the same fields.
 */
import { seededRandom } from '../../clock/random.js';
import type { FieldSchema, ListSchema, Schema, StructSchema } from '../../kinds/schema.js';
import type { Json, JsonObject } from '../../patch/json.js';
import { deduced, elementOf, memberSchema } from '../typing.js';

const random = seededRandom(Number(process.env['ORBITKIT_APPLY_SEED'] ?? 1));
export const chance = (p: number): boolean => random() < p;
const below = (n: number): number => Math.floor(random() * n);
export const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
const some = <T>(list: readonly T[], p = 0.5): T[] => list.filter(() => chance(p));
const shuffled = <T>(list: readonly T[]): T[] =>
  list
    .map(value => ({ at: random(), value }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);

// Types.

const text: Schema = { type: 'scalar', form: 'string' };
const number: Schema = { type: 'scalar', form: 'int32' };
let types = 0;

function field(name: string, schema: Schema, more: Partial<FieldSchema> = {}): [string, FieldSchema] {
  return [name, { name, schema, required: false, pointer: true, omitEmpty: true, ...more }];
}

export function randomStruct(depth: number, more: readonly [string, FieldSchema][] = []): StructSchema {
  types += 1;
  const name = `type${types}`;
  const fields = some(['a', 'b', 'c', 'd'], 0.75).map(each => field(each, randomType(depth - 1)));
  return {
    type: 'struct',
    name,
    fields: new Map([...more, ...fields]),
    ...(chance(0.12) && more.length === 0 ? { structType: 'atomic' as const } : {}),
    ...(chance(0.15) ? { preserveUnknownFields: true } : {}),
  };
}

function randomType(depth: number): Schema {
  const leaf = pick<Schema>([text, number, { type: 'scalar', form: 'boolean' }, { type: 'scalar', form: 'any' }]);
  if (depth <= 0) return leaf;
  switch (below(8)) {
    case 0:
      return leaf;
    case 1:
      return { type: 'list', listType: 'set', items: chance(0.7) ? text : number };
    case 2:
      return { type: 'list', items: randomType(depth - 1), ...(chance(0.5) ? { listType: 'atomic' as const } : {}) };
    case 3:
      return { type: 'map', values: randomType(depth - 1), ...(chance(0.2) ? { mapType: 'atomic' as const } : {}) };
    case 4:
    case 5: {
      const keys = chance(0.5) ? [field('k', text)] : [field('port', number), field('k', text, { default: 'x' })];
      return {
        type: 'list',
        listType: 'map',
        listMapKeys: keys.map(([name]) => name),
        items: randomStruct(depth - 1, keys),
      };
    }
    default:
      return randomStruct(depth - 1);
  }
}

/** The type as the library's own schema language says it. */
export function lowered(root: Schema): object {
  const named = new Map<string, object | undefined>();
  const any = { namedType: '__untyped_atomic_' };
  const own = { namedType: '__untyped_deduced_' };
  const list = (elementType: object) => ({ elementType, elementRelationship: 'atomic' });
  const lower = (schema: Schema): object => {
    switch (schema.type) {
      case 'scalar':
        if (schema.form === 'any') return any;
        if (schema.form === 'boolean') return { scalar: 'boolean' };
        if (['int32', 'int64', 'double'].includes(schema.form)) return { scalar: 'numeric' };
        return { scalar: schema.form === 'string' ? 'string' : 'untyped' };
      case 'list': {
        const merges = schema.listType === 'map' || schema.listType === 'set';
        return {
          list: {
            elementType: lower(schema.items),
            elementRelationship: merges ? 'associative' : 'atomic',
            ...(schema.listMapKeys ? { keys: schema.listMapKeys } : {}),
          },
        };
      }
      case 'map':
        return {
          map: {
            elementType: lower(schema.values),
            ...(schema.mapType === 'atomic' ? { elementRelationship: 'atomic' } : {}),
          },
        };
      case 'struct': {
        const name = `${schema.name}${schema.structType === 'atomic' ? '_atomic' : ''}`;
        if (!named.has(name)) {
          named.set(name, undefined);
          named.set(name, {
            name,
            map: {
              fields: [...schema.fields.values()].map(each => ({
                name: each.name,
                type: lower(each.schema),
                ...(each.default === undefined ? {} : { default: each.default }),
              })),
              ...(schema.structType === 'atomic' ? { elementRelationship: 'atomic' } : {}),
              ...(schema.preserveUnknownFields ? { elementType: own } : {}),
            },
          });
        }
        return { namedType: name };
      }
    }
  };
  lower(root);
  return {
    types: [
      ...named.values(),
      {
        name: '__untyped_atomic_',
        scalar: 'untyped',
        list: list(any),
        map: { elementType: any, elementRelationship: 'atomic' },
      },
      {
        name: '__untyped_deduced_',
        scalar: 'untyped',
        list: list(any),
        map: { elementType: own, elementRelationship: 'separable' },
      },
    ],
  };
}

// Values.

const names = ['x', 'y', 'z', 'a<b'];

function randomJson(depth: number): Json {
  switch (below(depth > 0 ? 5 : 2)) {
    case 0:
      return pick(names);
    case 1:
      return below(3);
    case 2:
      return some(names).map(() => randomJson(depth - 1));
    default:
      return Object.fromEntries(some(['x', 'y', 'z']).map(name => [name, randomJson(depth - 1)]));
  }
}

export function randomValue(schema: Schema, depth = 4): Json {
  switch (schema.type) {
    case 'scalar':
      if (schema.form === 'any') return randomJson(2);
      if (schema.form === 'boolean') return chance(0.5);
      if (['int32', 'int64', 'double'].includes(schema.form)) return below(3);
      return pick(names);
    case 'list': {
      if (schema.listType === 'set') return shuffled(some<Json>(schema.items === text ? names : [0, 1, 2]));
      if (schema.listType !== 'map') return some([1, 2, 3]).map(() => randomValue(schema.items, depth - 1));
      return uniqueItems(
        schema,
        some([1, 2, 3]).map(() => randomValue(schema.items, depth - 1)),
      );
    }
    case 'map':
      return Object.fromEntries(some(names).map(name => [name, randomValue(schema.values, depth - 1)]));
    case 'struct': {
      const value: JsonObject = {};
      for (const each of schema.fields.values()) {
        const isKey = each.name === 'port' || (each.name === 'k' && each.default === undefined);
        if (isKey || chance(depth > 2 ? 0.6 : 0.45)) value[each.name] = randomValue(each.schema, depth - 1);
      }
      if (schema.preserveUnknownFields) for (const name of some(['u', 'v', 'a<b'], 0.4)) value[name] = randomJson(3);
      return value;
    }
  }
}

function uniqueItems(schema: ListSchema, items: readonly Json[]): Json[] {
  const seen = new Set<unknown>();
  return items.filter(item => {
    const element = elementOf(schema, item);
    if (typeof element === 'string' && seen.has(element)) return false;
    seen.add(element);
    return true;
  });
}

/** Another value of the type that has much in common with this one. */
export function changed(schema: Schema, value: Json, p = 0.25): Json {
  if (chance(p * 0.3)) return randomValue(schema);
  if (Array.isArray(value)) {
    if (schema.type !== 'list') return randomJson(2);
    let items = value.filter(() => chance(1 - p)).map(item => (chance(p) ? changed(schema.items, item, p) : item));
    if (chance(p)) items = [...items, ...(randomValue(schema) as Json[])];
    if (chance(p)) items = shuffled(items);
    if (schema.listType === 'map') return uniqueItems(schema, items);
    return schema.listType === 'set' ? [...new Set(items)] : items;
  }
  if (typeof value === 'object' && value !== null) {
    const result: JsonObject = {};
    for (const [key, member] of Object.entries(value)) {
      const isKey = key === 'port' || key === 'k' || key === 'name' || key === 'containerPort' || key === 'kind';
      if (isKey || !chance(p)) result[key] = isKey ? member : changed(memberSchema(schema, key) ?? deduced, member, p);
    }
    const more = schema === deduced ? randomJson(2) : randomValue(schema);
    if (typeof more === 'object' && more !== null && !Array.isArray(more))
      for (const [key, member] of Object.entries(more)) if (!(key in value) && chance(p)) result[key] = member;
    return result;
  }
  return chance(p) ? (schema === deduced ? randomJson(2) : randomValue(schema)) : value;
}

/** Now and then something that must be refused. */
export function spoiled(schema: Schema, value: Json): Json {
  // Times, quantities and the like have no form of their own in the library's schema: it takes anything there.
  if (schema.type === 'scalar' && !['string', 'boolean', 'int32', 'int64', 'double', 'any'].includes(schema.form))
    return value;
  if (typeof value !== 'object' || value === null) return pick<Json>(['no', 7, [], {}, null]);
  if (Array.isArray(value))
    return value.length > 0 && chance(0.5) ? [...value, value[0]!] : pick<Json>([null, 'no', {}]);
  const key = pick([...Object.keys(value), 'nothing']);
  if (key === 'nothing' || value[key] === undefined) return { ...value, nothing: 1 };
  return { ...value, [key]: spoiled(memberSchema(schema, key) ?? deduced, value[key]!) };
}

// Built-in kinds.

const metadata = () => ({
  name: 'x',
  namespace: 'n',
  ...(chance(0.5) ? { labels: Object.fromEntries(some(['l', 'm']).map(key => [key, pick(names)])) } : {}),
  ...(chance(0.3) ? { finalizers: shuffled(some(['f.io/1', 'f.io/2'])) } : {}),
  ...(chance(0.3)
    ? { ownerReferences: some(['u1', 'u2']).map(uid => ({ apiVersion: 'v1', kind: 'Pod', name: uid, uid })) }
    : {}),
});
const container = (name: string) => ({
  name,
  image: pick(names),
  ...(chance(0.5) ? { env: shuffled(some(['X', 'Y', 'Z'])).map(each => ({ name: each, value: pick(names) })) } : {}),
  ...(chance(0.5)
    ? {
        ports: shuffled(some([80, 81, 82])).map(containerPort => ({
          containerPort,
          ...(chance(0.4) ? { protocol: pick(['TCP', 'UDP']) } : {}),
        })),
      }
    : {}),
  ...(chance(0.3) ? { command: some(['sh', '-c']) } : {}),
  ...(chance(0.3) ? { resources: { limits: Object.fromEntries(some(['cpu', 'memory']).map(key => [key, '1'])) } } : {}),
});
const podSpec = () => ({
  containers: shuffled(some(['c1', 'c2', 'c3'])).map(container),
  ...(chance(0.5)
    ? { volumes: some(['v1', 'v2']).map(name => ({ name, ...pick([{ emptyDir: {} }, { hostPath: { path: '/x' } }]) })) }
    : {}),
  ...(chance(0.4) ? { nodeSelector: Object.fromEntries(some(['disk', 'zone']).map(key => [key, pick(names)])) } : {}),
  ...(chance(0.3) ? { tolerations: some(['t1', 't2']).map(key => ({ key, operator: 'Exists' })) } : {}),
});
export const kinds: readonly { type: string; make: () => object }[] = [
  { type: 'core/v1.Pod', make: () => ({ apiVersion: 'v1', kind: 'Pod', metadata: metadata(), spec: podSpec() }) },
  {
    type: 'apps/v1.Deployment',
    make: () => ({
      apiVersion: 'v1',
      kind: 'Deployment',
      metadata: metadata(),
      spec: {
        ...(chance(0.6) ? { replicas: below(3) } : {}),
        selector: { matchLabels: { app: pick(names) } },
        template: { metadata: { labels: { app: 'x' } }, spec: podSpec() },
        ...(chance(0.5) ? { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: below(3) } } } : {}),
      },
      ...(chance(0.3) ? { status: { replicas: below(3) } } : {}),
    }),
  },
  {
    type: 'core/v1.Service',
    make: () => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(),
      spec: {
        ...(chance(0.5) ? { selector: { app: pick(names) } } : {}),
        ports: some([80, 81, 82], 0.6).map(port => ({
          port,
          name: `p${port}`,
          ...(chance(0.5) ? { protocol: 'UDP' } : {}),
        })),
      },
    }),
  },
  {
    type: 'core/v1.ConfigMap',
    make: () => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: metadata(),
      data: Object.fromEntries(some(names).map(name => [name, pick(names)])),
    }),
  },
];
