/**
 * The merge of server-side apply against the library of Kubernetes' own API server, on generated sequences of operations.
 *
 * `ci/apply-oracle` is a small Go program over Debian's structured-merge-diff. Live objects and managers must be the same after
 * every step, sets byte for byte; refusals and conflicts too. Elements of merged lists are compared without their order: that
 * version of the library appends what later ones (and this one) put where the configuration has it.
 * Where the library's own answer depends on the random order of its maps (several versions own parts of one element), it is asked
 * again, and one of its answers must be ours. ORBITKIT_APPLY_SEQUENCES and ORBITKIT_APPLY_SEED say how much.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../kinds/facts.js';
import type { Schema } from '../kinds/schema.js';
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
import { chance, changed, kinds, lowered, pick, randomStruct, randomValue, spoiled } from './testing/random-objects.js';
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

/** What is compared of a step. */
const told = (root: Schema, outcome: Outcome) => ({
  refused: outcome.error !== undefined,
  conflicts: outcome.conflicts,
  live: canonical(root, outcome.live),
  managers: outcome.managers,
});

function firstDifference(root: Schema, ours: readonly Outcome[], theirs: readonly Outcome[]): number | undefined {
  const turn = ours.findIndex((outcome, index) => !isDeepStrictEqual(told(root, outcome), told(root, theirs[index]!)));
  return turn < 0 ? undefined : turn;
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
      const counts = { steps: 0, applied: 0, updated: 0, conflicts: 0, refused: 0, asked: 0 };
      for (let done = 0; done < sequences; done += 200) {
        const batch = Array.from({ length: Math.min(200, sequences - done) }, sequence);
        const answers = await ask(
          oracle.binary,
          batch.map(({ question }) => question),
        );
        expect(answers).toHaveLength(batch.length);
        for (const [index, { question, root, outcomes }] of batch.entries()) {
          for (const [turn, ours] of outcomes.entries()) {
            counts.steps += 1;
            if (ours.error) counts.refused += 1;
            else if (ours.conflicts) counts.conflicts += 1;
            else if (question.steps[turn]!.op === 'apply') counts.applied += 1;
            else counts.updated += 1;
          }
          const turn = firstDifference(root, outcomes, answers[index]!);
          if (turn === undefined) continue;
          if (question.versions.length > 1) {
            // The library takes versions in a random order, which decides what comes back of a list element that managers of several
            // versions own. This one takes the version at hand first, as later libraries do: one of the library's ways.
            const again = await ask(oracle.binary, new Array(60).fill(question));
            if (again.some(each => firstDifference(root, outcomes, each) === undefined)) {
              counts.asked += 1;
              continue;
            }
          }
          const where = [
            `sequence ${done + index}, step ${turn}: ${JSON.stringify(question.steps[turn])}`,
            `before: ${JSON.stringify(outcomes[turn - 1] ?? {})}`,
            `schema: ${JSON.stringify(question.schema)}`,
            answers[index]![turn]!.error ?? '',
          ];
          expect(told(root, outcomes[turn]!), where.join('\n')).toStrictEqual(told(root, answers[index]![turn]!));
        }
      }
      const { asked, ...steps } = counts;
      // Rare, or it would hide something.
      expect(asked).toBeLessThan(3 + sequences / 100);
      // What was never generated was not compared.
      for (const [what, count] of Object.entries(steps)) expect(count, what).toBeGreaterThan(sequences / 20);
      console.log(`apply oracle: ${sequences} sequences of seed ${seed}, no difference: ${JSON.stringify(counts)}`);
    },
    60 * 60_000,
  );
});
