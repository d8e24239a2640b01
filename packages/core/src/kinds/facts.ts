/**
 * Reads the compact facts of the built-in types into the intermediate form of schema.ts, each type on its first use.
 *
 * The facts of a group version are one JSON string, `{openapi, types: {Name: {f: [row…], structType?}}}`, so that
 * importing a kind costs no more than the string. A row is `[json, type, flags, proto, more?]`: `type` is a scalar, a name
 * in the same group (`.PodSpec`) or anywhere (`meta/v1.ObjectMeta`), or `Strings`: a bare list in JSON, a message with the field
 * `items` (1) in protobuf; flags are i(nlined), l(ist), m(ap), p(ointer),
 * o(mitempty), r(equired); `proto` is the field's protobuf number, for which inlined fields are messages of their own.
 * They are written by generate/facts.mjs.
 */
import { factsByGroup } from './generated/facts/index.js';
import type { FieldSchema, ListSchema, MapSchema, ScalarForm, ScalarSchema, Schema, StructSchema } from './schema.js';

interface FactsOfField {
  protoName?: string;
  enum?: string[];
  closed?: 1;
  named?: string;
  listType?: ListSchema['listType'];
  keys?: string[];
  mapType?: MapSchema['mapType'];
  structType?: StructSchema['structType'];
  patch?: string;
  mergeKey?: string;
  default?: unknown;
}
export type FactsRow = readonly [json: string, type: string, flags: string, proto: number, more?: FactsOfField];
export interface FactsOfType {
  f: readonly FactsRow[];
  structType?: StructSchema['structType'];
  /** JSON that is a schema or something shorter (`Schema|bool`); the rows are its protobuf fields, without JSON names. */
  form?: string;
}
interface FactsOfGroup {
  openapi: string;
  types: Record<string, FactsOfType>;
}

/** The scalars of the facts table, by the names that it has for them. */
export const scalarForms: Readonly<Record<string, ScalarForm>> = {
  string: 'string',
  bool: 'boolean',
  int32: 'int32',
  int64: 'int64',
  float64: 'double',
  bytes: 'bytes',
  any: 'any',
  Time: 'time',
  MicroTime: 'microtime',
  Duration: 'duration',
  Quantity: 'quantity',
  IntOrString: 'int-or-string',
};

const groups = new Map<string, FactsOfGroup>();
const structs = new Map<string, StructSchema>();

/** `core/v1.Pod` -> `['core/v1', 'Pod']` */
function split(name: string): [group: string, type: string] {
  const dot = name.indexOf('.', name.indexOf('/') + 1);
  return [name.slice(0, dot), name.slice(dot + 1)];
}

function factsOfGroup(group: string): FactsOfGroup {
  let facts = groups.get(group);
  if (!facts) {
    const json = factsByGroup[group];
    if (json === undefined) throw new Error(`no facts of group version ${group}: is it served? (generate/served.mjs)`);
    facts = JSON.parse(json) as FactsOfGroup;
    groups.set(group, facts);
  }
  return facts;
}

/** Whether there are facts of a type. */
export function hasFactsOf(name: string): boolean {
  const [group, type] = split(name);
  return factsByGroup[group] !== undefined && Object.hasOwn(factsOfGroup(group).types, type);
}

/** The rows of a type as they stand in the facts, with protobuf numbers, inlined types unmerged. */
export function factsOf(name: string): FactsOfType {
  const [group, type] = split(name);
  const facts = factsOfGroup(group).types[type];
  if (!facts)
    throw new Error(`no facts of type ${name}: only types that served kinds reach are there (generate/served.mjs)`);
  return facts;
}

/** Name in OpenAPI documents: `io.k8s.api.core.v1.Pod`. Undefined for a type that is not built in. */
export function openApiNameOf(name: string): string | undefined {
  const [group, type] = split(name);
  return factsByGroup[group] === undefined ? undefined : `${factsOfGroup(group).openapi}.${type}`;
}

/** The form of a built-in type: `builtinSchema('core/v1.PodSpec')`. The same value each time; its fields are read on first use. */
export function builtinSchema(name: string): StructSchema {
  let schema = structs.get(name);
  if (!schema) {
    const { structType } = factsOf(name);
    let fields: Map<string, FieldSchema> | undefined;
    schema = {
      type: 'struct',
      name,
      get fields() {
        if (!fields) {
          fields = new Map();
          addFields(fields, name);
        }
        return fields;
      },
      ...(structType ? { structType } : {}),
    };
    structs.set(name, schema);
  }
  return schema;
}

function addFields(fields: Map<string, FieldSchema>, owner: string): void {
  const [group] = split(owner);
  for (const row of factsOf(owner).f) {
    const [name, , flags, , more] = row;
    if (flags.includes('i')) {
      addFields(fields, qualify(row[1], group));
      continue;
    }
    fields.set(name, {
      name,
      schema: schemaOfRow(row, group),
      required: flags.includes('r'),
      pointer: flags.includes('p'),
      omitEmpty: flags.includes('o'),
      ...(more?.default === undefined ? {} : { default: more.default }),
      ...(more?.patch ? { patchStrategy: more.patch.split(',') as FieldSchema['patchStrategy'] & {} } : {}),
      ...(more?.mergeKey ? { patchMergeKey: more.mergeKey } : {}),
    });
  }
}

/** `.PodSpec` in `core/v1` -> `core/v1.PodSpec` */
export const qualify = (type: string, group: string): string => (type.startsWith('.') ? group + type : type);

function schemaOfRow(row: FactsRow, group: string): Schema {
  const [, , flags, , more] = row;
  const element = elementOf(row, group);
  if (flags.includes('l')) {
    return {
      type: 'list',
      items: element,
      ...(more?.listType ? { listType: more.listType } : {}),
      ...(more?.keys ? { listMapKeys: more.keys } : {}),
    };
  }
  if (flags.includes('m')) return { type: 'map', values: element, ...(more?.mapType ? { mapType: more.mapType } : {}) };
  return element;
}

function elementOf(row: FactsRow, group: string): Schema {
  const [, type, , , more] = row;
  const form = scalarForms[type];
  if (form) {
    // A named map or list names the whole, which error texts of elements do not speak of.
    const named = form === 'string' && !row[2].includes('m') ? more?.named : undefined;
    return {
      type: 'scalar',
      form,
      ...(more?.enum ? { enum: more.enum } : {}),
      ...(more?.closed ? { enumClosed: true } : {}),
      ...(named ? { named: goNameOf(qualify(named, group)) } : {}),
    } satisfies ScalarSchema;
  }
  if (type === 'Strings') return { type: 'list', items: { type: 'scalar', form: 'string' } };
  const name = qualify(type, group);
  // A schema inside a schema, or `true`, or a list: whoever reads it looks which.
  if (factsOf(name).form !== undefined) return { type: 'scalar', form: 'any' };
  const schema = builtinSchema(name);
  // A field may rule its type's apply behaviour; the type itself stays shared.
  if (more?.structType && more.structType !== schema.structType) {
    return {
      type: 'struct',
      name: schema.name,
      structType: more.structType,
      get fields() {
        return schema.fields;
      },
    };
  }
  return schema;
}

/** `core/v1.Protocol` -> `v1.Protocol`: the name as an error of a Go server writes it. */
export function goNameOf(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}
