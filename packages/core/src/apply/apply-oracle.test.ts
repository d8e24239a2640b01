/**
 * The merge of server-side apply against the library of Kubernetes' own API server, on generated sequences of operations.
 *
 * `ci/apply-oracle` is a small Go program over Debian's structured-merge-diff. Live objects and managers must be the same after
 * every step, sets byte for byte; refusals and conflicts too. Elements of merged lists are compared without their order: that
 * version of the library appends what later ones (and this one) put where the configuration has it.
 * ORBITKIT_APPLY_SEQUENCES and ORBITKIT_APPLY_SEED say how much.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock/random.js';
import { builtinSchema } from '../kinds/facts.js';
import type { FieldSchema, ListSchema, Schema, StructSchema } from '../kinds/schema.js';
import type { Json, JsonObject } from '../patch/json.js';
import { fieldSet } from './field-set.js';
import type { FieldManagers } from './managed-fields.js';
import {
  applyConfiguration,
  type ConvertVersion,
  recordUpdate,
  type VersionedObject,
  type Writer,
} from './ownership.js';
import { fieldElement } from './path-element.js';
import { typeProblems } from './typed-value.js';
import { deduced, elementOf, memberSchema } from './typing.js';

const sequences = Number(process.env['ORBITKIT_APPLY_SEQUENCES'] ?? 400);
const seed = Number(process.env['ORBITKIT_APPLY_SEED'] ?? 1);
const required = process.env['ORBITKIT_CI'] === '1';

/** The path of the program, or why there is none. Building it takes a while the first time. */
async function builtOracle(): Promise<{ binary: string } | { missing: string }> {
  const script = fileURLToPath(new URL('../../../../ci/apply-oracle/build.mjs', import.meta.url));
  const build = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  build.stdout.on('data', chunk => {
    said.out += chunk;
  });
  build.stderr.on('data', chunk => {
    said.err += chunk;
  });
  const code = await new Promise(resolve => build.once('close', resolve));
  if (code === 0) return { binary: said.out.trim() };
  if (code === 2) return { missing: said.err.trim() };
  throw new Error(`the oracle could not be built: ${said.err}`);
}

const random = seededRandom(seed);
const chance = (p: number): boolean => random() < p;
const below = (n: number): number => Math.floor(random() * n);
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
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

function randomStruct(depth: number, more: readonly [string, FieldSchema][] = []): StructSchema {
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
function lowered(root: Schema): object {
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

function randomValue(schema: Schema, depth = 4): Json {
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
function changed(schema: Schema, value: Json, p = 0.25): Json {
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
function spoiled(schema: Schema, value: Json): Json {
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
const kinds: readonly { type: string; make: () => object }[] = [
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

// Sequences.

interface Step {
  op: 'apply' | 'update';
  manager: string;
  version: string;
  object: JsonObject;
  force: boolean;
}
interface Outcome {
  error?: string;
  conflicts?: string[];
  live: Json;
  managers: Record<string, [version: string, applied: boolean, set: string]>;
}

const stripped = [
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map(name => ['metadata', name]),
];

/** What belongs to the server is the same on both sides of every step. */
function withServerFields(given: Json | undefined): JsonObject {
  const result: JsonObject = { ...(given as JsonObject | undefined), name: 'x', namespace: 'n' };
  for (const [, name] of stripped) if (name && name !== 'name' && name !== 'namespace') delete result[name];
  return result;
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([key, member]) => [key, withoutNulls(member)]),
  );
}

function sequence() {
  const builtin = chance(0.4) ? pick(kinds) : undefined;
  const root = builtin ? builtinSchema(builtin.type) : { ...randomStruct(3), structType: undefined as never };
  const make = () => (builtin ? (builtin.make() as JsonObject) : (randomValue(root) as JsonObject));
  const known = chance(0.3) ? ['v1', 'v2'] : ['v1'];
  const ignored = builtin?.type === 'apps/v1.Deployment' ? [['status']] : [];
  const convert: ConvertVersion = (object, apiVersion) =>
    known.includes(apiVersion) ? { ...object, apiVersion } : undefined;
  let live: VersionedObject = { apiVersion: 'v1', schema: root, value: {} };
  let managers: FieldManagers = [];
  const configurations = new Map<string, JsonObject>();
  const steps: Step[] = [];
  const outcomes: Outcome[] = [];
  for (let turn = 0; turn < 8; turn++) {
    const op = chance(0.65) ? 'apply' : 'update';
    const manager = pick(['m1', 'm2', 'm3']);
    const last = configurations.get(manager);
    const base = op === 'apply' ? (last && chance(0.7) ? last : undefined) : live.value;
    let object = (
      base === undefined || (op === 'update' && Object.keys(base).length === 0)
        ? make()
        : changed(root, base, pick([0, 0.15, 0.4]))
    ) as JsonObject;
    if (builtin) object = { ...make(), ...object };
    if (op === 'apply' && chance(0.06)) object = spoiled(root, object) as JsonObject;
    if (builtin) {
      const { apiVersion, kind } = make();
      object = { ...object, apiVersion: apiVersion!, kind: kind!, metadata: withServerFields(object['metadata']) };
    }
    // An operation whose version is not known to the converter cannot come from outside.
    const step: Step = { op, manager, version: pick(known), object, force: chance(0.4) };
    steps.push(step);
    const outcome: Outcome = { live: null, managers: {} };
    const writer: Writer = {
      manager,
      time: new Date(1_700_000_000_000 + turn * 1000).toISOString(),
      ...(ignored.length > 0 ? { ignored: fieldSet(...ignored.map(path => path.map(fieldElement))) } : {}),
    };
    const seen = { ...live, apiVersion: step.version };
    if (typeProblems(root, object).length > 0 || typeof object !== 'object' || object === null)
      outcome.error = 'refused';
    else if (op === 'apply') {
      const result = applyConfiguration(seen, object, managers, writer, { force: step.force, convert });
      if (result.conflicts) {
        outcome.conflicts = result.conflicts.map(({ manager: owner, path }) => `${identityOf(owner)}: ${path}`).sort();
      } else {
        managers = result.managers;
        if (result.value) live = { ...live, value: withoutNulls(result.value) as JsonObject };
        configurations.set(manager, object);
      }
    } else {
      managers = recordUpdate(seen, { ...seen, value: object }, managers, writer, convert);
      live = { ...live, value: withoutNulls(object) as JsonObject };
    }
    outcome.live = live.value;
    for (const each of managers)
      outcome.managers[identityOf(each)] = [each.apiVersion, each.operation === 'Apply', JSON.stringify(each.fieldsV1)];
    outcomes.push(outcome);
  }
  const question = { schema: lowered(root), type: root.name, versions: known, ignored, stripped, steps };
  return { question, root, outcomes };
}

const identityOf = (manager: FieldManagers[number]): string =>
  manager.operation === 'Apply' ? `${manager.manager} Apply` : `${manager.manager} Update ${manager.apiVersion}`;

/** Without the order of members and of elements that merge. */
function canonical(schema: Schema, value: Json): Json {
  if (Array.isArray(value)) {
    if (schema.type !== 'list') return value.map(item => canonical(deduced, item));
    const items = value.map(item => canonical(schema.items, item));
    if (schema.listType !== 'map' && schema.listType !== 'set') return items;
    const keyOf = (item: Json) => String(elementOf(schema, item));
    return items.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, canonical(memberSchema(schema, key) ?? deduced, value[key]!)]),
  );
}

async function ask(binary: string, questions: readonly object[]): Promise<Outcome[][]> {
  const oracle = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>(resolve => oracle.once('close', resolve));
  const answers: Outcome[][] = [];
  const lines = createInterface({ input: oracle.stdout });
  for (const question of questions) oracle.stdin.write(`${JSON.stringify(question)}\n`);
  oracle.stdin.end();
  for await (const line of lines) answers.push(JSON.parse(line) as Outcome[]);
  expect(await ended).toBe(0);
  return answers;
}

describe('server-side apply against structured-merge-diff', () => {
  it(
    `does what it does, ${sequences} sequences of seed ${seed}`,
    async ({ skip }) => {
      const oracle = await builtOracle();
      if ('missing' in oracle) {
        if (required) throw new Error(`the oracle must run here: ${oracle.missing}`);
        return skip(oracle.missing);
      }
      const counts = { steps: 0, applied: 0, updated: 0, conflicts: 0, refused: 0 };
      for (let done = 0; done < sequences; done += 200) {
        const batch = Array.from({ length: Math.min(200, sequences - done) }, sequence);
        const answers = await ask(
          oracle.binary,
          batch.map(({ question }) => question),
        );
        expect(answers).toHaveLength(batch.length);
        for (const [index, { question, root, outcomes }] of batch.entries()) {
          for (const [turn, ours] of outcomes.entries()) {
            const step = question.steps[turn]!;
            const theirs = answers[index]![turn]!;
            const told = (outcome: Outcome) => ({
              refused: outcome.error !== undefined,
              conflicts: outcome.conflicts,
              live: canonical(root, outcome.live),
              managers: outcome.managers,
            });
            const [mine, wanted] = [told(ours), told(theirs)];
            counts.steps += 1;
            if (ours.error) counts.refused += 1;
            else if (ours.conflicts) counts.conflicts += 1;
            else if (step.op === 'apply') counts.applied += 1;
            else counts.updated += 1;
            if (isDeepStrictEqual(mine, wanted)) continue;
            const before = JSON.stringify(outcomes[turn - 1] ?? {});
            const where = `sequence ${done + index}, step ${turn}: ${JSON.stringify(step)}\nbefore: ${before}\nschema: ${JSON.stringify(question.schema)}\n${theirs.error ?? ''}`;
            expect(mine, where).toStrictEqual(wanted);
          }
        }
      }
      // What was never generated was not compared.
      for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(sequences / 20);
      console.log(`apply oracle: ${sequences} sequences of seed ${seed}, no difference: ${JSON.stringify(counts)}`);
    },
    60 * 60_000,
  );
});
