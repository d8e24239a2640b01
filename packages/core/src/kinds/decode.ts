/**
 * Strict decoding of JSON values into the shape that a schema tells, as a Go API server does it.
 *
 * Decoders are closures, compiled once a type on its first use; a value that is in order is checked in place, without a copy.
 * - An unknown field is dropped and its path reported. Names match case-sensitively.
 * - null is absent. A zero value of a field that Go would omit (omitempty, no pointer) is absent too; a scalar or struct
 *   that Go always writes is filled with its zero, so that what the types promise is there.
 * - A value of the wrong type is a BadRequest in the words of Go's encoding/json; its cause names the exact path.
 * - Times, quantities, int-or-string and base64 are checked (scalar-forms.ts).
 * Not here: defaults, rules beyond shape.
 */
import { StatusError } from '../errors/status-error.js';
import { goNameOf } from './facts.js';
import { base64Fault, isDuration, isQuantity, normalMicroTime, normalTime } from './scalar-forms.js';
import type { FieldSchema, ScalarSchema, Schema, StructSchema } from './schema.js';

/** Where a decoder is, and what it has found. */
interface Run {
  /** The steps to where it is: the first `depth`; what stands behind them is left over (to cut an array costs more than to count). */
  readonly path: (string | number)[];
  depth: number;
  /** Structs on the way down, by Go name: errors speak of the innermost. The first `level`. */
  readonly structs: string[];
  /** Where in the path their fields stand: Go's own paths have no keys of maps and no indices. */
  readonly depths: number[];
  level: number;
  readonly unknown: string[];
}
const newRun = (): Run => ({ path: [], depth: 0, structs: [], depths: [], level: 0, unknown: [] });
const placeOf = (run: Run): string => formatPath(run.path.slice(0, run.depth));

/** Takes a value that is neither null nor undefined; answers what stands for it. */
type Decoder = (value: any, run: Run) => unknown;

interface FieldDecoder {
  readonly name: string;
  readonly decode: Decoder;
  readonly dropZero: boolean;
  readonly nullable: boolean;
}

const decoders = new WeakMap<Schema, Decoder>();

function decoderOf(schema: Schema): Decoder {
  let decoder = decoders.get(schema);
  if (!decoder) {
    decoder = compile(schema);
    decoders.set(schema, decoder);
  }
  return decoder;
}

/** Decodes one struct: an object, or a body of its own such as DeleteOptions. `label` is its kind and version in errors. */
export function decodeStruct(
  schema: StructSchema,
  value: unknown,
  label: { kind: string; version: string },
): { value: Record<string, any>; unknownFields: string[] } {
  const run = newRun();
  try {
    return { value: decoderOf(schema)(value, run) as Record<string, any>, unknownFields: run.unknown };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    const { kind, version } = label;
    throw new StatusError(
      'BadRequest',
      `${kind} in version "${version}" cannot be handled as a ${kind}: ${error.message}`,
      {
        details: { causes: [{ reason: 'FieldValueTypeInvalid', message: error.message, field: placeOf(run) }] },
      },
    );
  }
}

/** A value of the wrong form, thrown up to `decodeStruct` only. */
class Misfit extends Error {}

/** `['spec', 'containers', 0, 'name']` -> `spec.containers[0].name` */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text ? `.${step}` : step;
  return text;
}

const jsonTypeOf = (value: unknown): string =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;

/** `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32` */
function mismatch(value: unknown, type: string, run: Run, shown = jsonTypeOf(value)): never {
  const struct = run.structs[run.level - 1];
  const field = run.depths
    .slice(0, run.level)
    .map(depth => (depth < run.depth ? run.path[depth]! : ''))
    .join('.');
  throw new Misfit(
    struct === undefined || field === ''
      ? `json: cannot unmarshal ${shown} into Go value of type ${type}`
      : `json: cannot unmarshal ${shown} into Go struct field ${goStruct(struct)}.${field} of type ${type}`,
  );
}
const goStruct = (name: string): string => name.slice(name.indexOf('.') + 1);

/** For forms whose own parser speaks, and does not know where it is. */
function malformed(what: string, run: Run): never {
  throw new Misfit(`${what} (at ${placeOf(run)})`);
}

const goScalars: Readonly<Record<ScalarSchema['form'], string>> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  double: 'float64',
  bytes: '[]uint8',
  time: 'string',
  microtime: 'string',
  duration: 'string',
  quantity: 'resource.Quantity',
  'int-or-string': 'intstr.IntOrString',
  any: 'interface {}',
};

function goTypeOf(schema: Schema): string {
  switch (schema.type) {
    case 'scalar':
      return schema.named ?? goScalars[schema.form];
    case 'list':
      return `[]${goTypeOf(schema.items)}`;
    case 'map':
      return `map[string]${goTypeOf(schema.values)}`;
    case 'struct':
      return goNameOf(schema.name);
  }
}

function compile(schema: Schema): Decoder {
  switch (schema.type) {
    case 'scalar':
      return compileScalar(schema);
    case 'list':
      return compileList(schema.items, goTypeOf(schema));
    case 'map':
      return compileMap(schema.values, goTypeOf(schema));
    case 'struct':
      return compileStruct(schema);
  }
}

function compileStruct(schema: StructSchema): Decoder {
  const type = goTypeOf(schema);
  let fields: Map<string, FieldDecoder> | undefined;
  let always: [name: string, zero: () => unknown][] = [];
  return (value, run) => {
    if (typeof value !== 'object' || Array.isArray(value)) return mismatch(value, type, run);
    if (!fields) {
      fields = new Map();
      for (const field of schema.fields.values()) fields.set(field.name, compileField(field));
      always = [...schema.fields.values()].flatMap(alwaysWritten);
    }
    let dropped: string[] = nothing;
    const { path, depth, level } = run;
    run.structs[level] = type;
    run.depths[level] = depth;
    run.level = level + 1;
    run.depth = depth + 1;
    for (const name in value) {
      const given = value[name];
      const field = fields.get(name);
      path[depth] = name;
      if (field === undefined) {
        if (schema.preserveUnknownFields) continue;
        run.unknown.push(placeOf(run));
        dropped = dropped.concat(name);
      } else if (given === null || given === undefined) {
        if (!(field.nullable && given === null)) dropped = dropped.concat(name);
      } else {
        const decoded = field.decode(given, run);
        if (field.dropZero && isZero(decoded)) dropped = dropped.concat(name);
        else if (decoded !== given) value[name] = decoded;
      }
    }
    run.depth = depth;
    run.level = level;
    const result = dropped === nothing ? value : without(value, dropped);
    for (let i = 0; i < always.length; i++) {
      const [name, zero] = always[i]!;
      if (result[name] === undefined) result[name] = zero();
    }
    return result;
  };
}

const nothing: string[] = [];

/** A copy rather than `delete`, which would turn the object into a slow dictionary. */
function without(value: Record<string, unknown>, dropped: readonly string[]): Record<string, unknown> {
  const rest: Record<string, unknown> = {};
  for (const name in value) if (!dropped.includes(name)) rest[name] = value[name];
  return rest;
}

function isZero(value: unknown): boolean {
  if (value === '' || value === 0 || value === false) return true;
  if (typeof value !== 'object') return false;
  for (const _ in value as object) return false;
  return true;
}

function compileField(field: FieldSchema): FieldDecoder {
  const { schema } = field;
  const neverOmitted =
    schema.type === 'struct' ||
    (schema.type === 'scalar' && (schema.form === 'any' || schema.form === 'int-or-string'));
  return {
    name: field.name,
    decode: decoderOf(schema),
    dropZero: field.omitEmpty && !field.pointer && !neverOmitted,
    nullable: field.nullable === true,
  };
}

/** What a Go server writes even if nobody set it. Lists and maps, which it would write as null, stay absent; times too. */
function alwaysWritten(field: FieldSchema): [string, () => unknown][] {
  if (field.omitEmpty || field.pointer) return [];
  const { schema } = field;
  if (schema.type !== 'struct' && schema.type !== 'scalar') return [];
  const zero = zeroOf(schema);
  return zero === undefined ? [] : [[field.name, zero]];
}

function zeroOf(schema: Schema): (() => unknown) | undefined {
  if (schema.type === 'struct') return () => decoderOf(schema)({}, newRun());
  if (schema.type !== 'scalar') return schema.type === 'list' ? () => [] : () => ({});
  switch (schema.form) {
    case 'string':
      return () => '';
    case 'boolean':
      return () => false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'int-or-string':
      return () => 0;
    default:
      return undefined;
  }
}

/** null among elements is the element's zero value, as in Go. */
function elementZero(schema: Schema): () => unknown {
  if (schema.type === 'scalar' && schema.form === 'quantity') return () => '0';
  // The zero of a time is written as null, and read as such.
  if (schema.type === 'scalar' && ['any', 'time', 'microtime'].includes(schema.form)) return () => null;
  return zeroOf(schema) ?? (() => '');
}

function compileList(items: Schema, type: string): Decoder {
  const zero = elementZero(items);
  let decode: Decoder | undefined;
  return (value, run) => {
    if (!Array.isArray(value)) return mismatch(value, type, run);
    decode ??= decoderOf(items);
    const { path, depth } = run;
    run.depth = depth + 1;
    for (let i = 0; i < value.length; i++) {
      path[depth] = i;
      const given = value[i];
      const decoded = given === null || given === undefined ? zero() : decode(given, run);
      if (decoded !== given) value[i] = decoded;
    }
    run.depth = depth;
    return value;
  };
}

function compileMap(values: Schema, type: string): Decoder {
  const zero = elementZero(values);
  let decode: Decoder | undefined;
  return (value, run) => {
    if (typeof value !== 'object' || Array.isArray(value)) return mismatch(value, type, run);
    decode ??= decoderOf(values);
    const { path, depth } = run;
    run.depth = depth + 1;
    for (const key in value) {
      path[depth] = key;
      const given = value[key];
      const decoded = given === null || given === undefined ? zero() : decode(given, run);
      if (decoded !== given) value[key] = decoded;
    }
    run.depth = depth;
    return value;
  };
}

const isObject = (value: unknown): boolean => typeof value === 'object';

function compileScalar(schema: ScalarSchema): Decoder {
  const type = goTypeOf(schema);
  switch (schema.form) {
    case 'any':
      return value => value;
    case 'string':
      return (value, run) => (typeof value === 'string' ? value : mismatch(value, type, run));
    case 'boolean':
      return (value, run) => (typeof value === 'boolean' ? value : mismatch(value, type, run));
    case 'double':
      return (value, run) => (typeof value === 'number' ? value : mismatch(value, type, run));
    case 'int32':
      return (value, run) => {
        if (typeof value === 'number' && (value | 0) === value) return value;
        return mismatch(value, type, run, typeof value === 'number' ? `number ${value}` : undefined);
      };
    case 'int64':
      return (value, run) => {
        if (Number.isSafeInteger(value)) return value;
        return mismatch(value, type, run, typeof value === 'number' ? `number ${value}` : undefined);
      };
    case 'bytes':
      return (value, run) => {
        if (typeof value !== 'string') return mismatch(value, type, run);
        const fault = base64Fault(value);
        return fault === undefined ? value : malformed(`illegal base64 data at input byte ${fault}`, run);
      };
    case 'time':
      return (value, run) => timeOf(value, normalTime, '2006-01-02T15:04:05Z07:00', run);
    case 'microtime':
      return (value, run) => timeOf(value, normalMicroTime, '2006-01-02T15:04:05.000000Z07:00', run);
    case 'duration':
      return (value, run) => {
        if (typeof value !== 'string') return mismatch(value, type, run);
        return isDuration(value) ? value : malformed(`time: invalid duration ${JSON.stringify(value)}`, run);
      };
    case 'quantity':
      return (value, run) => {
        if (isObject(value) || typeof value === 'boolean') return mismatch(value, type, run);
        const text = typeof value === 'string' ? value.trim() : String(value);
        if (isQuantity(text)) return text;
        return malformed(
          /^[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*$/.test(text)
            ? "unable to parse quantity's suffix"
            : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
          run,
        );
      };
    case 'int-or-string':
      return (value, run) => {
        if (typeof value === 'string' || (typeof value === 'number' && (value | 0) === value)) return value;
        return mismatch(
          value,
          typeof value === 'number' ? 'int32' : type,
          run,
          typeof value === 'number' ? `number ${value}` : undefined,
        );
      };
  }
}

function timeOf(value: unknown, normal: (text: string) => string | undefined, layout: string, run: Run): string {
  if (typeof value !== 'string') return mismatch(value, 'string', run);
  return (
    normal(value) ??
    malformed(`parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)}`, run)
  );
}
