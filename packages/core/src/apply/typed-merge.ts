/**
 * The merge of server-side apply: what the applied configuration says wins, what it does not mention stays.
 *
 * Pure; the result may share parts with both. Elements of merged lists come in the order of the configuration; those that only
 * the live list has keep their place relative to their neighbours. Null of the configuration stands for nothing in a mapping or
 * list that has content, and is a value elsewhere.
 * Source: structured-merge-diff `typed.Merge` (order of lists as since v4.2).
 */
import type { ListSchema, Schema } from '../kinds/schema.js';
import { type Json, type JsonObject, memberOf, setMember } from '../patch/json.js';
import type { PathElement } from './path-element.js';
import {
  type Collection,
  deduced,
  elementOf,
  isEmptyList,
  isEmptyMapping,
  itemsOf,
  memberSchema,
  membersOf,
  shapeOf,
} from './typing.js';

export function mergeTyped(schema: Schema, live: Json | undefined, applied: Json | undefined): Json | undefined {
  if (applied === undefined) return live;
  if (live === undefined) return applied;
  switch (shapeOf(schema, applied)) {
    case 'leaf':
      return applied;
    case 'mapping':
      return isEmptyMapping(live) && isEmptyMapping(applied)
        ? applied
        : mergeMembers(schema as Collection, membersOf(live), membersOf(applied));
    case 'list':
      return isEmptyList(live) && isEmptyList(applied)
        ? applied
        : mergeLists(schema as ListSchema, itemsOf(live) ?? [], itemsOf(applied) ?? []);
  }
}

function mergeMembers(
  schema: Collection,
  live: { readonly [key: string]: Json } | undefined,
  applied: { readonly [key: string]: Json } | undefined,
): JsonObject {
  const result: JsonObject = {};
  for (const key in live) {
    if (live[key] === undefined) continue;
    const wanted = applied === undefined ? undefined : memberOf(applied as JsonObject, key);
    setMember(result, key, mergeTyped(memberSchema(schema, key) ?? deduced, live[key], wanted)!);
  }
  for (const key in applied) {
    if (applied[key] !== undefined && !Object.hasOwn(result, key)) setMember(result, key, applied[key]!);
  }
  return result;
}

interface Element {
  readonly element: PathElement;
  readonly item: Json;
}

function elementsOf(schema: ListSchema, items: readonly Json[]): Element[] {
  return items.map((item, index) => {
    const element = elementOf(schema, item);
    return { element: typeof element === 'string' ? element : `i:${index}`, item };
  });
}

function mergeLists(schema: ListSchema, liveItems: readonly Json[], appliedItems: readonly Json[]): Json[] {
  const [live, applied] = [elementsOf(schema, liveItems), elementsOf(schema, appliedItems)];
  const wanted = new Set(applied.map(({ element }) => element));
  const liveOf = new Map<PathElement, Json | undefined>();
  // What the live list has twice cannot be told apart: the applied element takes its place.
  for (const { element, item } of live) liveOf.set(element, liveOf.has(element) ? undefined : item);
  const shared = applied.filter(({ element }) => liveOf.has(element)).map(({ element }) => element);

  const result: Json[] = [];
  const merged = new Set<PathElement>();
  let nextShared = 0;
  const take = ({ element, item }: Element): void => {
    merged.add(element);
    result.push(mergeTyped(schema.items, liveOf.get(element), item)!);
    if (shared[nextShared] === element) nextShared += 1;
  };
  let [l, a] = [0, 0];
  while (l < live.length || a < applied.length) {
    const [mine, theirs] = [live[l], applied[a]];
    if (mine !== undefined && theirs !== undefined) {
      if (mine.element === theirs.element) {
        take(theirs);
        l += 1;
        a += 1;
        continue;
      }
      // It comes where the configuration has it, and something else of the configuration comes first.
      if (wanted.has(mine.element) && nextShared < shared.length && shared[nextShared] !== mine.element) {
        l += 1;
        continue;
      }
    }
    if (mine !== undefined) {
      if (!wanted.has(mine.element)) {
        result.push(mine.item);
        l += 1;
        continue;
      }
      if (merged.has(mine.element)) l += 1;
    }
    if (theirs !== undefined) {
      take(theirs);
      a += 1;
    }
  }
  return result;
}
