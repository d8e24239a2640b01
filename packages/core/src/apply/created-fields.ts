/**
 * What the creator of a new object owns, remembered by the object's shape: objects made of one template own the same fields, whatever the
 * values are. The shape is what the set of owned fields depends on, as a row of steps: the members that are there, which containers are empty,
 * the keys of elements of lists that merge, and (where there is something before anybody sets anything) whether that was left as it was.
 *
 * The steps lead through a tree in which rows that begin alike share their way, so that any number of templates costs one walk over the
 * object, which allocates nothing when the shape is known. Bounded: a tree that has grown too large begins anew, and objects of a great many
 * members, or with very long keys, are not remembered.
 *
 * Says nothing where it would have to think (elements that share a key, deduced types beside what was there before): then the set is made
 * each time.
 */
import type { ListSchema, Schema } from '../kinds/schema.js';
import { isObject, type Json, type JsonObject, memberOf } from '../patch/json.js';
import { type SkippedFields, sameValue } from './compare.js';
import type { FieldSet } from './field-set.js';
import {
  type Collection,
  deduced,
  elementOf,
  isEmptyList,
  isEmptyMapping,
  keysOfElements,
  memberSchema,
  shapeOf,
} from './typing.js';

/** Steps of all rows of one tree, of one row, and the rows that are remembered. */
const mostSteps = 16_384;
const mostStepsOfOne = 2_048;
const mostShapes = 128;
/** Beyond it a key is not worth being kept. */
const longestKey = 512;

/** What a value of a member is to its owner. */
type Look =
  /** Not anybody's: the server's own, or of no type. */
  | 'skipped'
  /** One field, whatever its value is. */
  | 'leaf'
  /** The same, but it counts whether it is what was there before. */
  | 'compared'
  | 'container'
  | 'metadata'
  /** Not understood here. */
  | 'unclear';

/** Marks beside the names of members and the keys of elements. */
const end = 0;
const empty = 1;
const full = 2;
const element = 3;
const asBefore = 4;
const changed = 5;

type Mark = Json | undefined;

/** One step of the way; what it leads to is known by its mark. */
class Step {
  /** The way that was taken last, which is mostly the one that is taken next. */
  last: Step | undefined;
  others: Map<Mark, Step> | undefined;
  /** Of a row's last step: what the creator owns. */
  owned: FieldSet | undefined;

  constructor(
    readonly mark: Mark,
    readonly look: Look,
    readonly schema: Schema | undefined,
    readonly before: Json | undefined,
  ) {}
}

/** A shape, with the set that goes with it once somebody has put it there. */
export interface CreatedShape {
  owned: FieldSet | undefined;
}

const noFields: ReadonlySet<string> = new Set();

/** The shapes of one type's new objects. */
export class CreatedShapes {
  #root: Step;
  #steps = 0;
  #shapes = 0;
  /** Of the walk that is under way: its last step, and the steps it may still take. */
  #at: Step;
  #left = 0;

  /** @param zero What there is before anybody sets anything. */
  constructor(
    readonly schema: Schema,
    readonly zero: Readonly<JsonObject>,
    readonly skip: SkippedFields,
  ) {
    this.#root = this.#at = new Step(undefined, 'container', schema, zero as JsonObject);
  }

  /** Undefined: not one that can be remembered. */
  of(object: JsonObject): CreatedShape | undefined {
    if (this.#steps > mostSteps || this.#shapes > mostShapes) {
      this.#root = new Step(undefined, 'container', this.schema, this.zero as JsonObject);
      this.#steps = 0;
      this.#shapes = 0;
    }
    this.#at = this.#root;
    this.#left = mostStepsOfOne;
    if (!this.#members(this.schema as Collection, this.zero as JsonObject, object, this.skip.fields)) return undefined;
    if (this.#at.owned === undefined) this.#shapes += 1;
    return this.#at;
  }

  /** Goes on to a mark that stands for itself. */
  #mark(mark: Mark): boolean {
    const last = this.#at.last;
    if (last !== undefined && last.mark === mark) {
      this.#at = last;
      return --this.#left > 0;
    }
    return this.#other(mark, 'leaf', undefined, undefined);
  }

  #other(mark: Mark, look: Look, schema: Schema | undefined, before: Json | undefined): boolean {
    const from = this.#at;
    let next = from.others?.get(mark);
    if (next === undefined) {
      if (typeof mark === 'string' ? mark.length > longestKey : typeof mark === 'object') return false;
      next = new Step(mark, look, schema, before);
      this.#steps += 1;
      from.others ??= new Map();
      from.others.set(mark, next);
    }
    from.last = next;
    this.#at = next;
    return --this.#left > 0;
  }

  #members(
    schema: Collection,
    old: { readonly [key: string]: Json } | undefined,
    now: { readonly [key: string]: Json },
    skip: ReadonlySet<string>,
  ): boolean {
    for (const key in now) {
      const value = now[key];
      if (value === undefined) continue;
      const last = this.#at.last;
      if (last !== undefined && last.mark === key) {
        this.#at = last;
        if (--this.#left <= 0) return false;
      } else if (!this.#member(schema, old, key, skip)) return false;
      const { look } = this.#at;
      if (look !== 'leaf' && look !== 'skipped' && !this.#value(this.#at, value)) return false;
    }
    return this.#mark(end);
  }

  #member(
    schema: Collection,
    old: { readonly [key: string]: Json } | undefined,
    key: string,
    skip: ReadonlySet<string>,
  ): boolean {
    if (this.#at.others?.has(key)) return this.#other(key, 'leaf', undefined, undefined);
    const type = memberSchema(schema, key);
    const before = old === undefined ? undefined : memberOf(old, key);
    const look =
      skip.has(key) || type === undefined ? 'skipped' : lookOf(type, before, skip, key, skip === this.skip.metadata);
    return this.#other(key, look, type, before);
  }

  #value({ look, schema, before }: Step, value: Json): boolean {
    if (look === 'unclear') return false;
    if (look === 'compared') return this.#mark(sameValue(before, value) ? asBefore : changed);
    const type = schema!;
    const old = isObject(before) ? before : undefined;
    if (look === 'metadata')
      return isObject(value) && this.#members(type as Collection, old, value, this.skip.metadata);
    // What is only kept may be of any form.
    const shape = shapeOf(type, value);
    if (shape === 'leaf') return this.#mark(changed);
    if (shape === 'mapping' ? isEmptyMapping(value) : isEmptyList(value))
      return this.#mark(empty) && (before === undefined || this.#mark(sameValue(before, value) ? asBefore : changed));
    if (!this.#mark(full)) return false;
    return shape === 'mapping'
      ? this.#members(type as Collection, old, value as JsonObject, noFields)
      : this.#items(type as ListSchema, value as Json[]);
  }

  #items(schema: ListSchema, items: readonly Json[]): boolean {
    const keys = keysOfElements(schema);
    for (const item of items) {
      if (!this.#mark(element)) return false;
      if (keys === undefined) {
        // An element of a set is its own key.
        if (typeof item === 'object' || !this.#mark(item)) return false;
        continue;
      }
      if (!isObject(item)) return false;
      for (let i = 0; i < keys.length; i++) if (!this.#mark(memberOf(item, keys[i]!))) return false;
      if (isEmptyMapping(item) || shapeOf(schema.items, item) !== 'mapping') return false;
      if (!this.#members(schema.items as Collection, undefined, item, noFields)) return false;
    }
    return this.#mark(end) && (this.#at.last !== undefined || distinct(schema, items));
  }
}

/** How a member's value is looked at; `before` and the type are the same for all objects. */
function lookOf(
  schema: Schema,
  before: Json | undefined,
  skip: ReadonlySet<string>,
  key: string,
  inMetadata: boolean,
): Look {
  if (skip !== noFields && key === 'metadata') return inMetadata ? 'unclear' : 'metadata';
  if (schema === deduced) return before === undefined ? 'container' : 'unclear';
  const shape = shapeOf(schema, undefined);
  if (shape === 'leaf') return before === undefined ? 'leaf' : 'compared';
  return shape === 'list' && !isEmptyList(before) ? 'unclear' : 'container';
}

/** No two elements share their key. Looked at once for a shape: the way goes on only behind elements that were found to be distinct. */
function distinct(schema: ListSchema, items: readonly Json[]): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const step = elementOf(schema, item);
    if (typeof step !== 'string' || seen.has(step)) return false;
    seen.add(step);
  }
  return true;
}
