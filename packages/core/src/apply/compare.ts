/**
 * What differs between two values of one type, as sets of paths: what server-side apply calls added, modified and removed.
 *
 * One walk over both. A container that only one side has is named itself, beside all that is in it; an empty container, a null and
 * everything atomic is a leaf. Elements that share their key (legal in stored lists, forbidden in applied ones) count as one leaf.
 * Source: structured-merge-diff `typed.Compare`.
 */
import type { ListSchema, Schema } from '../kinds/schema.js';
import { isObject, type Json, type JsonObject, memberOf } from '../patch/json.js';
import { emptySet, type FieldSet, inOrder } from './field-set.js';
import { fieldElement, type PathElement } from './path-element.js';
import {
  type Collection,
  elementOf,
  isEmptyList,
  isEmptyMapping,
  itemsOf,
  memberSchema,
  membersOf,
  shapeOf,
  structMembers,
} from './typing.js';

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

export const isSame = ({ added, modified, removed }: Comparison): boolean =>
  added === emptySet && modified === emptySet && removed === emptySet;

export const noDifference: Comparison = Object.freeze({ added: emptySet, modified: emptySet, removed: emptySet });

/** @param skip Top-level members that are left out, and below `metadata` those of `skip.metadata`. */
export function compare(
  schema: Schema,
  old: Json | undefined,
  now: Json | undefined,
  skip?: SkippedFields,
): Comparison {
  const found = new Differences();
  if (shapeOf(schema, now) === 'mapping') {
    compareMembers(schema as Collection, membersOf(old), membersOf(now), found, skip);
  }
  return found.isEmpty ? noDifference : found.sets();
}

/** Top-level members, and members of metadata, that nobody owns. */
export interface SkippedFields {
  readonly fields: ReadonlySet<string>;
  readonly metadata: ReadonlySet<string>;
}

type Draft = Record<PathElement, FieldSet>;

/** Differences below one node; parts exist once there is something in them. */
class Differences {
  added: Draft | undefined;
  modified: Draft | undefined;
  removed: Draft | undefined;

  get isEmpty(): boolean {
    return this.added === undefined && this.modified === undefined && this.removed === undefined;
  }

  addedAt(element: PathElement, node: FieldSet): void {
    this.added ??= {};
    this.added[element] = node;
  }
  removedAt(element: PathElement, node: FieldSet): void {
    this.removed ??= {};
    this.removed[element] = node;
  }
  modifiedAt(element: PathElement): void {
    this.modified ??= {};
    this.modified[element] = emptySet;
  }
  /** Takes over what was found below a step. */
  below(element: PathElement, inner: Differences): void {
    if (inner.added !== undefined) this.addedAt(element, inOrder(inner.added));
    if (inner.removed !== undefined) this.removedAt(element, inOrder(inner.removed));
    if (inner.modified !== undefined) {
      this.modified ??= {};
      this.modified[element] = inOrder(inner.modified);
    }
  }
  sets(): Comparison {
    const ordered = (draft: Draft | undefined) => (draft === undefined ? emptySet : inOrder(draft));
    return { added: ordered(this.added), modified: ordered(this.modified), removed: ordered(this.removed) };
  }
}

/** Whether two objects are equal, order of lists included, but for what is left out. */
export function sameBut(skip: SkippedFields, old: JsonObject, now: JsonObject): boolean {
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (skip.fields.has(name)) continue;
    const [before, after] = [memberOf(old, name), memberOf(now, name)];
    const inMetadata = name === 'metadata' && isObject(before) && isObject(after);
    if (inMetadata ? !sameBut({ fields: skip.metadata, metadata: noFields }, before, after) : !sameValue(before, after))
      return false;
  }
  return true;
}

/** Both sides are there (null counts). */
function compareBoth(schema: Schema, old: Json, now: Json, element: PathElement, found: Differences): void {
  if (old === now) return;
  const [before, after] = [shapeOf(schema, old), shapeOf(schema, now)];
  // Of a deduced type the sides may be of two shapes: then each has its say.
  if (before !== after) compareAs(before, schema, old, now, element, found);
  compareAs(after, schema, old, now, element, found);
}

function compareAs(
  shape: 'leaf' | 'mapping' | 'list',
  schema: Schema,
  old: Json,
  now: Json,
  element: PathElement,
  found: Differences,
): void {
  if (
    shape === 'leaf' ||
    (shape === 'mapping' ? isEmptyMapping(old) && isEmptyMapping(now) : isEmptyList(old) && isEmptyList(now))
  ) {
    if (!sameValue(old, now)) found.modifiedAt(element);
    return;
  }
  const inner = new Differences();
  if (shape === 'mapping') compareMembers(schema as Collection, membersOf(old), membersOf(now), inner);
  else compareElementsOf(schema as ListSchema, itemsOf(old) ?? [], itemsOf(now) ?? [], inner);
  if (!inner.isEmpty) found.below(element, inner);
}

/** Equal as JSON; a member that is undefined is absent. */
export function sameValue(old: Json | undefined, now: Json | undefined): boolean {
  if (old === now) return true;
  if (Array.isArray(old)) {
    return Array.isArray(now) && old.length === now.length && old.every((item, index) => sameValue(item, now[index]));
  }
  if (!isObject(old) || !isObject(now)) return false;
  for (const key in old) if (!sameValue(old[key], memberOf(now, key))) return false;
  for (const key in now) if (now[key] !== undefined && memberOf(old, key) === undefined) return false;
  return true;
}

function compareMembers(
  schema: Collection,
  old: { readonly [key: string]: Json } | undefined,
  now: { readonly [key: string]: Json } | undefined,
  found: Differences,
  skip?: SkippedFields,
): void {
  const members = skip === undefined ? structMembers(schema) : undefined;
  if (members !== undefined) {
    for (const key in now) {
      const after = now[key];
      const member = members.get(key);
      if (after === undefined || member === undefined) continue;
      const before = old?.[key];
      if (before === after) continue;
      if (before === undefined) found.addedAt(member.element, wholeOf(member.schema, after));
      else compareBoth(member.schema, before, after, member.element, found);
    }
    for (const key in old) {
      const member = members.get(key);
      if (old[key] === undefined || member === undefined || now?.[key] !== undefined) continue;
      found.removedAt(member.element, wholeOf(member.schema, old[key]));
    }
    return;
  }
  for (const key in now) {
    const after = now[key];
    if (after === undefined || skip?.fields.has(key)) continue;
    const before = old === undefined ? undefined : memberOf(old as { [key: string]: Json }, key);
    if (before === after) continue;
    const type = memberSchema(schema, key);
    if (type === undefined) continue;
    const element = fieldElement(key);
    if (skip !== undefined && key === 'metadata') {
      const inner = new Differences();
      compareMembers(type as Collection, membersOf(before), membersOf(after), inner, {
        fields: skip.metadata,
        metadata: noFields,
      });
      if (!inner.isEmpty) found.below(element, inner);
    } else if (before === undefined) found.addedAt(element, wholeOf(type, after));
    else compareBoth(type, before, after, element, found);
  }
  for (const key in old) {
    const before = old[key];
    if (before === undefined || skip?.fields.has(key)) continue;
    if (now !== undefined && memberOf(now as { [key: string]: Json }, key) !== undefined) continue;
    const type = memberSchema(schema, key);
    if (type !== undefined) found.removedAt(fieldElement(key), wholeOf(type, before));
  }
}
const noFields: ReadonlySet<string> = new Set();

function byElement(schema: ListSchema, items: readonly Json[]): Map<PathElement, Json[]> {
  const found = new Map<PathElement, Json[]>();
  for (const item of items) {
    const element = elementOf(schema, item);
    // Without a key it cannot be owned.
    if (typeof element !== 'string') continue;
    const same = found.get(element);
    if (same === undefined) found.set(element, [item]);
    else same.push(item);
  }
  return found;
}

function compareElementsOf(schema: ListSchema, old: readonly Json[], now: readonly Json[], found: Differences): void {
  const [before, after] = [byElement(schema, old), byElement(schema, now)];
  for (const [element, items] of after) {
    const previous = before.get(element);
    if (previous === undefined) {
      found.addedAt(element, items.length === 1 ? wholeOf(schema.items, items[0]!) : emptySet);
    } else if (items.length === 1 && previous.length === 1) {
      compareBoth(schema.items, previous[0]!, items[0]!, element, found);
    } else if (!sameValue(previous, items)) {
      // From or to duplicates: the element as such changed, and what is now alone is new.
      found.modifiedAt(element);
      if (items.length === 1) found.addedAt(element, wholeOf(schema.items, items[0]!));
    }
  }
  for (const [element, items] of before) {
    if (!after.has(element)) found.removedAt(element, items.length === 1 ? wholeOf(schema.items, items[0]!) : emptySet);
  }
}

/** All paths of a value that only one side has, itself included. */
function wholeOf(schema: Schema, value: Json): FieldSet {
  const shape = shapeOf(schema, value);
  if (shape === 'leaf') return emptySet;
  let draft: Draft | undefined;
  if (shape === 'mapping') {
    if (!isObject(value)) return emptySet;
    const members = structMembers(schema);
    if (members !== undefined) {
      for (const key in value) {
        const member = members.get(key);
        if (value[key] === undefined || member === undefined) continue;
        draft ??= { '.': emptySet };
        draft[member.element] = wholeOf(member.schema, value[key]);
      }
      return draft === undefined ? emptySet : inOrder(draft);
    }
    for (const key in value) {
      const member = value[key];
      if (member === undefined) continue;
      const type = memberSchema(schema, key);
      if (type === undefined) continue;
      draft ??= { '.': emptySet };
      draft[fieldElement(key)] = wholeOf(type, member);
    }
  } else {
    const { items } = schema as ListSchema;
    for (const [element, same] of byElement(schema as ListSchema, itemsOf(value) ?? [])) {
      draft ??= { '.': emptySet };
      draft[element] = same.length === 1 ? wholeOf(items, same[0]!) : emptySet;
    }
  }
  return draft === undefined ? emptySet : inOrder(draft);
}
