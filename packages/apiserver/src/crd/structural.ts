/**
 * The structural part of a custom resource's schema: which fields there are, of what type, and what becomes of others. It is read
 * once per version of a definition out of `openAPIV3Schema`; pruning, defaulting, validation, apply and CEL work on it.
 *
 * Reading is lenient: whether a schema is a legal one is `schema-rules.ts`'.
 */
import type { apiextensionsv1 } from '@orbitkit/core';

export type JsonSchema = apiextensionsv1.JSONSchemaProps;

export interface Structural {
  /** As it was written; validations are read from here. */
  readonly source: JsonSchema;
  /** `object`, `array`, `string`, `integer`, `number`, `boolean`, or empty. */
  readonly type: string;
  readonly nullable: boolean;
  readonly default: unknown;
  /** Own names only: a property may be called `constructor`. */
  readonly properties: ReadonlyMap<string, Structural>;
  /** Of every other member: a schema, anything (true), or none. */
  readonly additional: Structural | boolean;
  readonly items: Structural | undefined;
  readonly preserve: boolean;
  readonly embedded: boolean;
  readonly intOrString: boolean;
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listMapKeys: readonly string[];
  readonly atomicMap: boolean;
  /** Here or below is something to fill in. */
  readonly hasDefaults: boolean;
}

/** What is neither described nor constrained: everything is kept. */
const anything: JsonSchema = { 'x-kubernetes-preserve-unknown-fields': true };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function structuralOf(schema: JsonSchema | undefined): Structural {
  const source = schema ?? anything;
  const properties = new Map<string, Structural>();
  if (isObject(source.properties)) {
    for (const name of Object.keys(source.properties)) properties.set(name, structuralOf(source.properties[name]));
  }
  const { additionalProperties, items } = source as { additionalProperties?: unknown; items?: unknown };
  const additional = isObject(additionalProperties)
    ? structuralOf(additionalProperties as JsonSchema)
    : additionalProperties === true;
  const element = isObject(items) ? structuralOf(items as JsonSchema) : undefined;
  const listType = source['x-kubernetes-list-type'];
  return {
    source,
    type: source.type ?? '',
    nullable: source.nullable === true,
    default: source.default,
    properties,
    additional,
    items: element,
    preserve: source['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: source['x-kubernetes-embedded-resource'] === true,
    intOrString: source['x-kubernetes-int-or-string'] === true,
    listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
    listMapKeys: source['x-kubernetes-list-map-keys'] ?? [],
    atomicMap: source['x-kubernetes-map-type'] === 'atomic',
    hasDefaults:
      source.default !== undefined ||
      element?.hasDefaults === true ||
      (typeof additional === 'object' && additional.hasDefaults) ||
      [...properties.values()].some(each => each.hasDefaults),
  };
}

/** Members that every resource has, whether its schema names them or not. */
export const resourceMembers: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** `spec.items[0].name`, `spec.labels.app`. */
export const memberPath = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
export const itemPath = (path: string, index: number): string => `${path}[${index}]`;

/** Which element of a list of type map this is; undefined when it has no key to be known by. */
export function mapKeyOf(node: Structural, item: unknown): string | undefined {
  if (!isObject(item)) return undefined;
  const key = node.listMapKeys.map(name => item[name] ?? node.items?.properties.get(name)?.default ?? null);
  return JSON.stringify(key);
}

export { isObject };
