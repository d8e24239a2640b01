/**
 * `defineKind`: a kind of one's own from zod schemas. From the one definition come the TypeScript type, strict decoding, defaults,
 * validation with field paths (zod's refinements included), merge keys, OpenAPI and columns.
 *
 * - zod judges and never rewrites: transforms are not applied to what is stored.
 * - `.default()` is filled in by `applyDefaults`, as defaults of a custom resource are.
 * - `.meta()` says what zod cannot: forms, list types, merge keys (zod-schema.ts).
 *
 * zod is an optional peer of this package; only this subpath needs it.
 */
import type { output, ZodType } from 'zod';
import type { FieldError } from '../errors/status-error.js';
import { dns1035LabelProblem, dnsSubdomainProblem } from '../meta/names.js';
import type { NamespacedMeta, ObjectMeta } from '../meta/object.js';
import { parseTime } from '../meta/time.js';
import { decodeObject } from './builtin.js';
import { column, customDefaultColumns, nameColumn } from './columns/column.js';
import { formatPath } from './decode.js';
import { builtinSchema } from './facts.js';
import { ageOf } from './human-duration.js';
import type { Column, Kind, ScalePaths, Subresource, Verb } from './kind.js';
import { checkMetadata } from './rules/metadata.js';
import { Report } from './rules/report.js';
import type { FieldSchema, StructSchema } from './schema.js';
import { applySchemaDefaults } from './schema-defaults.js';
import { lowerZod } from './zod-schema.js';

/** An object of a defined kind. `status` is absent until someone reports it. */
export type DefinedObject<K extends string, S extends ZodType, T extends ZodType | undefined, N extends boolean> = {
  apiVersion: string;
  kind: K;
  metadata: N extends false ? ObjectMeta : NamespacedMeta;
  spec: output<S>;
} & (T extends ZodType ? { status?: output<T> } : unknown);

/** A column: `value` is a path such as `.spec.size`, or a function. The name comes first by itself. */
export interface ColumnDefinition<O> {
  name: string;
  value: string | ((object: O, now: number) => string | number | boolean | null);
  /** Default string. A time of type date is shown as an age. */
  type?: Column['type'];
  description?: string;
  /** With wide output only. Default false. */
  wide?: boolean;
}

/** What `defineKind` is told. Everything but group, version, kind and spec has a default. */
export interface KindDefinition<K extends string, S extends ZodType, T extends ZodType | undefined, N extends boolean> {
  /** A domain that you own: `example.com`. */
  group: string;
  /** `v1`, `v1beta1`. */
  version: string;
  /** `Widget` */
  kind: K;
  /** Default: the singular with an English plural ending. */
  plural?: string;
  /** Default: the kind in lower case. */
  singular?: string;
  /** Default true. */
  namespaced?: N;
  shortNames?: readonly string[];
  categories?: readonly string[];
  spec: S;
  status?: T;
  /** `status` makes it writable only through its own path; `scale` serves autoscalers and `kubectl scale`. */
  subresources?: { status?: boolean; scale?: ScalePaths };
  /** Default: name and age. */
  columns?: readonly ColumnDefinition<DefinedObject<K, S, T, N>>[];
  /** Further defaults, in place and idempotent, after those of the schemas. */
  defaults?(object: DefinedObject<K, S, T, N>): void;
  /** Further rules; with `previous` those of an update. */
  validate?(object: DefinedObject<K, S, T, N>, previous?: DefinedObject<K, S, T, N>): FieldError[];
}

const verbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** @throws Error that says what is wrong with the definition. */
export function defineKind<
  const K extends string,
  S extends ZodType,
  T extends ZodType | undefined = undefined,
  const N extends boolean = true,
>(definition: KindDefinition<K, S, T, N>): Kind<DefinedObject<K, S, T, N>> {
  type O = DefinedObject<K, S, T, N>;
  const { group, version, kind, namespaced = true as N } = definition;
  const singular = definition.singular ?? kind.toLowerCase();
  const plural = definition.plural ?? pluralOf(singular);
  checkDefinition({ ...definition, singular, plural });

  let schema: StructSchema | undefined;
  const schemaOf = (): StructSchema => {
    schema ??= schemaOfDefinition(definition);
    return schema;
  };
  // Faults of the schemas show where the kind is defined, not at its first request.
  schemaOf();

  const made: Kind<O> = {
    group,
    version,
    kind,
    plural,
    singular,
    listKind: `${kind}List`,
    namespaced,
    shortNames: definition.shortNames ?? [],
    categories: definition.categories ?? [],
    verbs,
    subresources: subresourcesOf(definition),
    columns: columnsOf(definition),
    ...(definition.subresources?.scale ? { scale: definition.subresources.scale } : {}),
    get schema() {
      return schemaOf();
    },
    decode: value => decodeObject<O>(definition, schemaOf(), value),
    applyDefaults(object) {
      applySchemaDefaults(schemaOf(), object);
      definition.defaults?.(object);
    },
    validate(object, previous) {
      const report = new Report();
      checkMetadata(report, object.metadata, { namespaced }, previous?.metadata);
      checkWithZod(report, definition.spec, object.spec, 'spec');
      const status = (object as { status?: unknown }).status;
      if (definition.status && status !== undefined) checkWithZod(report, definition.status, status, 'status');
      return [...report.errors, ...(definition.validate?.(object, previous) ?? [])];
    },
  };
  definitions.set(made, definition as unknown as AnyDefinition);
  return made;
}

const definitions = new WeakMap<Kind<any>, AnyDefinition>();

/** What a kind was made of, if `defineKind` made it. */
export const definitionOf = (kind: Kind<any>): AnyDefinition | undefined => definitions.get(kind);

type AnyDefinition = KindDefinition<string, ZodType, ZodType | undefined, boolean>;

function pluralOf(singular: string): string {
  if (/(?:s|x|z|ch|sh)$/.test(singular)) return `${singular}es`;
  if (/[^aeiou]y$/.test(singular)) return `${singular.slice(0, -1)}ies`;
  return `${singular}s`;
}

function checkDefinition({
  group,
  version,
  kind,
  singular,
  plural,
  shortNames = [],
}: {
  group: string;
  version: string;
  kind: string;
  singular: string;
  plural: string;
  shortNames?: readonly string[];
}): void {
  const refuse = (what: string, problem: string): never => {
    throw new Error(`defineKind ${kind || '(no kind)'}: ${what}: ${problem}`);
  };
  if (!/^[A-Z][A-Za-z0-9]*$/.test(kind)) refuse(`kind "${kind}"`, 'must be a word in upper camel case, such as Widget');
  const groupProblem = group.includes('.')
    ? dnsSubdomainProblem(group)
    : 'must be a domain that you own, such as example.com';
  if (groupProblem) refuse(`group "${group}"`, groupProblem);
  for (const [what, name] of [
    ['version', version],
    ['singular', singular],
    ['plural', plural],
    ...shortNames.map(each => ['shortName', each]),
  ]) {
    const problem = dns1035LabelProblem(name!);
    if (problem) refuse(`${what} "${name}"`, problem);
  }
}

function schemaOfDefinition<K extends string, S extends ZodType, T extends ZodType | undefined, N extends boolean>(
  definition: KindDefinition<K, S, T, N>,
): StructSchema {
  const { group, version, kind, spec, status } = definition;
  const name = `${group}/${version}.${kind}`;
  const fields = new Map<string, FieldSchema>();
  const add = (field: string, schema: FieldSchema['schema'], required: boolean): void => {
    fields.set(field, { name: field, schema, required, pointer: true, omitEmpty: true });
  };
  add('apiVersion', { type: 'scalar', form: 'string' }, false);
  add('kind', { type: 'scalar', form: 'string' }, false);
  add('metadata', builtinSchema('meta/v1.ObjectMeta'), false);
  add('spec', lowerZod(spec, `${name}Spec`, `spec of ${kind}`), true);
  if (status) add('status', lowerZod(status, `${name}Status`, `status of ${kind}`), false);
  return { type: 'struct', name, fields };
}

function subresourcesOf({
  group,
  version,
  kind,
  subresources,
}: Pick<AnyDefinition, 'group' | 'version' | 'kind' | 'subresources'>): Subresource[] {
  const readAndWrite = ['get', 'patch', 'update'];
  return [
    ...(subresources?.scale
      ? [{ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: readAndWrite }]
      : []),
    ...(subresources?.status ? [{ name: 'status', group, version, kind, verbs: readAndWrite }] : []),
  ];
}

function columnsOf<K extends string, S extends ZodType, T extends ZodType | undefined, N extends boolean>({
  columns,
}: KindDefinition<K, S, T, N>): readonly Column<any>[] {
  if (!columns) return customDefaultColumns;
  return [
    nameColumn,
    ...columns.map(({ name, value, type = 'string', description = '', wide = false }) => {
      const cell = typeof value === 'string' ? cellAt(value) : value;
      return column(name, description, type === 'date' ? ageCell(cell) : cell, { type, wide });
    }),
  ];
}

/** kubectl prints what it is given: a time becomes an age here. */
function ageCell(cell: Column<any>['cell']): Column<any>['cell'] {
  return (object, now) => {
    const value = cell(object, now);
    return typeof value === 'string' && parseTime(value) !== undefined ? ageOf(value, now) : value;
  };
}

/** `.spec.size`, `.status.conditions[0].type`: what stands there, objects as JSON. */
function cellAt(path: string): (object: unknown) => string | number | boolean | null {
  const steps = path
    .replace(/^\./, '')
    .replace(/\[(\d+)\]/g, '.$1')
    .split('.');
  return object => {
    let value: unknown = object;
    for (const step of steps) value = (value as Record<string, unknown> | null | undefined)?.[step];
    if (value === undefined || value === null) return null;
    return typeof value === 'object' ? JSON.stringify(value) : (value as string | number | boolean);
  };
}

function checkWithZod(report: Report, schema: ZodType, value: unknown, at: string): void {
  const result = schema.safeParse(value);
  if (result.success) return;
  for (const issue of result.error.issues) {
    const steps = issue.path.map(step => (typeof step === 'number' ? step : String(step)));
    const field = formatPath([at, ...steps]);
    const given = steps.reduce<unknown>(
      (inner, step) => (inner as Record<string | number, unknown> | undefined)?.[step],
      value,
    );
    if (given === undefined && issue.code === 'invalid_type') report.required(field);
    else if (issue.code === 'invalid_value') report.unsupported(field, given, issue.values.map(String));
    else report.invalid(field, given, issue.message);
  }
}
