/**
 * What one value of a type says, alone: which fields it sets, what is left without some of them, what is wrong with it, and which of
 * an older set still make sense. Pure.
 * Source: structured-merge-diff `typed` (ToFieldSet, RemoveItems, Validate, ReconcileFieldSetWithSchema).
 */
import type { ListSchema, ScalarForm, Schema } from '../kinds/schema.js';
import { isObject, type Json, type JsonObject, setMember } from '../patch/json.js';
import { asMember, emptySet, type FieldSet, hasChildren, inOrder, isMember } from './field-set.js';
import { elementText, fieldElement, fieldNameOf, isKeyElement, type PathElement } from './path-element.js';
import { deduced, elementOf, isNamedField, memberSchema, shapeOf } from './typing.js';

type Draft = Record<PathElement, FieldSet>;

/**
 * The fields that an applied configuration sets: its leaves, the elements of its lists, the keys of its maps, and what is empty or null.
 * An element that comes twice is in it as such, without what is below.
 */
export function fieldSetOf(schema: Schema, value: Json): FieldSet {
  return fieldsBelow(schema, value) ?? emptySet;
}

/** The paths below a container; undefined when there are none. */
function fieldsBelow(schema: Schema, value: Json): FieldSet | undefined {
  const shape = shapeOf(schema, value);
  let draft: Draft | undefined;
  if (shape === 'mapping' && isObject(value)) {
    for (const key in value) {
      const member = value[key];
      const type = memberSchema(schema, key);
      if (member === undefined || type === undefined) continue;
      const below = fieldsBelow(type, member);
      const own =
        shapeOf(type, member) === 'leaf' ||
        member === null ||
        (isObject(member) && Object.keys(member).length === 0) ||
        !isNamedField(schema, key);
      if (!own && below === undefined) continue;
      draft ??= {};
      draft[fieldElement(key)] = own ? asMember(below ?? emptySet) : below!;
    }
  } else if (shape === 'list' && Array.isArray(value)) {
    for (const item of value) {
      const element = elementOf(schema as ListSchema, item);
      if (typeof element !== 'string') continue;
      draft ??= {};
      const below = draft[element] === undefined ? fieldsBelow((schema as ListSchema).items, item) : undefined;
      draft[element] = asMember(below ?? emptySet);
    }
  }
  return draft === undefined ? undefined : inOrder(draft);
}

/**
 * The value without the fields of the set. A container that this empties is left as null, which is how the merge algebra tells it
 * from one that was never there; `emptied` collects where that happened.
 */
export function withoutFields(schema: Schema, value: Json, set: FieldSet, emptied?: Emptied[]): Json {
  const shape = shapeOf(schema, value);
  if (schema.type === 'scalar' || (schema === deduced && shape === 'leaf' && !Array.isArray(value))) return value;
  if (shape === 'leaf') return null;
  if (shape === 'mapping') {
    if (!isObject(value)) return null;
    const result: JsonObject = {};
    let left = false;
    for (const key in value) {
      const member = value[key];
      const node = set[fieldElement(key)];
      if (member === undefined || (node !== undefined && isMember(node))) continue;
      left = true;
      if (node === undefined) setMember(result, key, member);
      else {
        const rest = withoutFields(memberSchema(schema, key) ?? deduced, member, node, emptied);
        setMember(result, key, rest);
        if (rest === null && member !== null) emptied?.push({ holder: result, key });
      }
    }
    return left ? result : null;
  }
  if (!Array.isArray(value)) return null;
  const result: Json[] = [];
  for (const item of value) {
    const element = elementOf(schema as ListSchema, item);
    const node = typeof element === 'string' ? set[element] : undefined;
    if (node !== undefined && isMember(node)) continue;
    result.push(node === undefined ? item : withoutFields((schema as ListSchema).items, item, node, emptied));
  }
  return result.length > 0 ? result : null;
}

/** A member that became null because everything in it went. */
export interface Emptied {
  readonly holder: JsonObject;
  readonly key: string;
}

/**
 * The set with the fields above its paths that the type names: what must go when a list element or a struct goes as a whole.
 * Keys of maps and elements of lists are only in it when they were.
 */
export function withNamedParents(schema: Schema | undefined, set: FieldSet): FieldSet {
  let result: Draft | undefined;
  for (const element in set) {
    const node = set[element]!;
    if (element === '.' || !hasChildren(node)) continue;
    const name = fieldNameOf(element);
    const type =
      name !== undefined
        ? schema && memberSchema(schema, name)
        : isKeyElement(element) && schema?.type === 'list'
          ? schema.items
          : undefined;
    let now = withNamedParents(type, node);
    if (name !== undefined && schema !== undefined && isNamedField(schema, name)) now = asMember(now);
    if (now === node) continue;
    result ??= { ...set };
    result[element] = now;
  }
  return result ?? set;
}

/** As the types are now: what has become atomic since is owned as a whole. The set itself when nothing changed. */
export function reconciled(schema: Schema, set: FieldSet): FieldSet {
  let result: Draft | undefined;
  for (const element in set) {
    const node = set[element]!;
    if (element === '.' || !hasChildren(node)) continue;
    const name = fieldNameOf(element);
    const type = schema.type === 'list' ? schema.items : name === undefined ? undefined : memberSchema(schema, name);
    if (type === undefined || type === deduced || type.type === 'scalar') continue;
    const now = shapeOf(type, undefined) === 'leaf' ? emptySet : reconciled(type, node);
    if (now === node) continue;
    result ??= { ...set };
    result[element] = now;
  }
  return result ?? set;
}

/** What is wrong with a value; `path` as in `.spec.containers[name="c"].image`. */
export interface TypeProblem {
  readonly path: string;
  readonly message: string;
}

/** Fields that the type does not have, values of another type, elements without key or with the same one. */
export function typeProblems(schema: Schema, value: Json): TypeProblem[] {
  const problems: TypeProblem[] = [];
  check(schema, value, '', problems);
  return problems;
}

const numeric: ReadonlySet<ScalarForm> = new Set(['int32', 'int64', 'double']);
const textual: ReadonlySet<ScalarForm> = new Set(['string', 'bytes']);

/** What a scalar must be; undefined when it is that. Times, quantities and the like are looked at by whoever decodes them. */
function scalarProblem(form: ScalarForm, value: Json): string | undefined {
  if (form === 'any') return undefined;
  if (numeric.has(form)) return typeof value === 'number' ? undefined : 'numeric (int or float)';
  if (textual.has(form)) return typeof value === 'string' ? undefined : 'string';
  if (form === 'boolean') return typeof value === 'boolean' ? undefined : 'boolean';
  return typeof value === 'object' ? 'scalar' : undefined;
}

function check(schema: Schema, value: Json, path: string, problems: TypeProblem[]): void {
  if (value === null || schema === deduced) return;
  const expected = (what: string) =>
    void problems.push({ path, message: `expected ${what}, got ${JSON.stringify(value)}` });
  if (schema.type === 'scalar') {
    const wanted = scalarProblem(schema.form, value);
    if (wanted !== undefined) expected(wanted);
  } else if (schema.type === 'list') {
    if (Array.isArray(value)) checkItems(schema, value, path, problems);
    else expected('list');
  } else if (isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      const type = memberSchema(schema, key);
      if (type === undefined) problems.push({ path: `${path}.${key}`, message: 'field not declared in schema' });
      else check(type, member, `${path}.${key}`, problems);
    }
  } else expected('map');
}

function checkItems(schema: ListSchema, items: readonly Json[], path: string, problems: TypeProblem[]): void {
  const seen = new Set<PathElement>();
  const merges = shapeOf(schema, undefined) === 'list';
  for (const [index, item] of items.entries()) {
    const element = merges ? elementOf(schema, item) : `i:${index}`;
    if (typeof element !== 'string') {
      // Nothing can be said of where the rest of the list is.
      problems.push({ path, message: `element ${index}: ${element.problem}` });
      return;
    }
    if (seen.has(element)) problems.push({ path, message: `duplicate entries for key ${elementText(element)}` });
    seen.add(element);
    check(schema.items, item, path + elementText(element), problems);
  }
}
