/**
 * How server-side apply looks at a value of a type: what is one leaf, what merges member by member, what element by element.
 *
 * - Lists are leaves unless they say otherwise (`listType`); mappings and structs are merged unless they are atomic.
 * - Where a type keeps what it does not know, the value itself tells: mappings are merged, lists and scalars are leaves.
 * - A scalar of the form `any` is one leaf, whatever is in it.
 * - An element of a keyed list is known by its keys; a key that is left out has its default (`protocol: TCP`).
 * Source: structured-merge-diff `schema`, `typed` (deduced typing).
 */
import type { ListSchema, MapSchema, Schema, StructSchema } from '../kinds/schema.js';
import { isObject, type Json, memberOf } from '../patch/json.js';
import { fieldElement, keyElement, type PathElement, valueElement } from './path-element.js';

/** The type of what a type does not know but keeps. */
export const deduced: StructSchema = Object.freeze({
  type: 'struct',
  name: '',
  fields: new Map(),
  preserveUnknownFields: true,
});

export type Shape = 'leaf' | 'mapping' | 'list';

/** As what a value of this type is walked. For a deduced type null and absence count as mappings. */
export function shapeOf(schema: Schema, value: Json | undefined): Shape {
  switch (schema.type) {
    case 'scalar':
      return 'leaf';
    case 'list':
      return schema.listType === 'map' || schema.listType === 'set' ? 'list' : 'leaf';
    case 'map':
      return schema.mapType === 'atomic' ? 'leaf' : 'mapping';
    case 'struct':
      if (schema === deduced) return value === undefined || value === null || isObject(value) ? 'mapping' : 'leaf';
      return schema.structType === 'atomic' ? 'leaf' : 'mapping';
  }
}

/** The type of a member; undefined when the type has no such member. */
export function memberSchema(schema: Schema, name: string): Schema | undefined {
  if (schema.type === 'map') return schema.values;
  if (schema.type !== 'struct') return undefined;
  return schema.fields.get(name)?.schema ?? (schema.preserveUnknownFields ? deduced : undefined);
}

/** Whether a member is a field that the type names (rather than a key of a map, or something it only keeps). */
export const isNamedField = (schema: Schema, name: string): boolean =>
  schema.type === 'struct' && schema.fields.has(name);

/** One field of a struct, ready for walks. */
export interface StructMember {
  readonly element: PathElement;
  readonly schema: Schema;
}
export type StructMembers = ReadonlyMap<string, StructMember>;
const membersOfStructs = new WeakMap<StructSchema, StructMembers | null>();

/**
 * The fields of a struct by name; undefined where others may be kept beside them. Walks go over the members that an object has: most types
 * have many more.
 */
export function structMembers(schema: Schema): StructMembers | undefined {
  if (schema.type !== 'struct') return undefined;
  let members = membersOfStructs.get(schema);
  if (members === undefined) {
    // A field whose name every object answers to needs the careful walk.
    const careful = schema.preserveUnknownFields || [...schema.fields.keys()].some(name => name in Object.prototype);
    members = careful
      ? null
      : new Map(
          [...schema.fields.values()].map(({ name, schema: type }) => [
            name,
            { element: fieldElement(name), schema: type },
          ]),
        );
    membersOfStructs.set(schema, members);
  }
  return members ?? undefined;
}

interface Keys {
  readonly names: readonly string[];
  readonly defaults: readonly (Json | undefined)[];
  /** Steps by the value of a lone key: the same few come again and again. Bounded. */
  readonly byName: Map<string, PathElement>;
}
const mostKnownNames = 1024;
const keysOfLists = new WeakMap<ListSchema, Keys>();

function keysOf(list: ListSchema): Keys {
  let keys = keysOfLists.get(list);
  if (keys === undefined) {
    const names = [...(list.listMapKeys ?? [])].sort();
    const { items } = list;
    keys = {
      names,
      byName: new Map(),
      defaults: names.map(name =>
        items.type === 'struct' ? (items.fields.get(name)?.default as Json | undefined) : undefined,
      ),
    };
    keysOfLists.set(list, keys);
  }
  return keys;
}

/** The members that are the key of an element; undefined where the elements themselves are (a set). */
export const keysOfElements = (list: ListSchema): readonly string[] | undefined =>
  list.listType === 'set' ? undefined : keysOf(list).names;

/** The step to an element of a list that merges, or (as an object) why there is none. */
export function elementOf(list: ListSchema, element: Json): PathElement | { readonly problem: string } {
  if (list.listType === 'set') {
    if (isObject(element)) return { problem: "associative list without keys has an element that's a map type" };
    if (Array.isArray(element)) return { problem: 'not supported: associative list with lists as elements' };
    if (element === null) return { problem: "associative list without keys has an element that's an explicit null" };
    return valueElement(element);
  }
  if (element === null) return { problem: 'associative list with keys may not have a null element' };
  if (!isObject(element)) return { problem: 'associative list with keys may not have non-map elements' };
  const { names, defaults, byName } = keysOf(list);
  const lone = names.length === 1 ? element[names[0]!] : undefined;
  if (typeof lone === 'string') {
    let step = byName.get(lone);
    if (step === undefined) {
      if (byName.size >= mostKnownNames) byName.clear();
      step = keyElement(names, [lone]);
      byName.set(lone, step);
    }
    return step;
  }
  const values: Json[] = [];
  for (let i = 0; i < names.length; i++) {
    const value = memberOf(element, names[i]!) ?? defaults[i];
    if (value === undefined) {
      return {
        problem: `associative list with keys has an element that omits key field ${JSON.stringify(names[i])} (and doesn't have default value)`,
      };
    }
    values.push(value);
  }
  return keyElement(names, values);
}

/** The members of a value that is walked as a mapping; none when it is something else. */
export const membersOf = (value: Json | undefined): { readonly [key: string]: Json } | undefined =>
  isObject(value) ? value : undefined;
export const itemsOf = (value: Json | undefined): readonly Json[] | undefined =>
  Array.isArray(value) ? value : undefined;
/** Nothing, null and `{}`. */
export function isEmptyMapping(value: Json | undefined): boolean {
  if (!isObject(value)) return true;
  for (const key in value) if (value[key] !== undefined) return false;
  return true;
}
export const isEmptyList = (value: Json | undefined): boolean => !Array.isArray(value) || value.length === 0;

export type Collection = MapSchema | StructSchema;
