/**
 * The strategic merge patch that a client-side apply sends: additions and changes from the live object to the new one,
 * removals of what the last applied object had and the new one has not. What others added to the live object stays.
 *
 * Lists with a merge key are compared element by element, and `$setElementOrder` carries the new order. What `kubectl apply`
 * computes (apimachinery `CreateThreeWayMergePatch` with overwrite), with the removals left out that find nothing to remove.
 */
import type { Schema } from '../kinds/schema.js';
import { isObject, type Json, type JsonObject, jsonEqual, memberOf, setMember } from './json.js';
import type { ThreeWay } from './merge-patch.js';
import {
  deleteFromListPrefix,
  elementOrderPrefix,
  patchDirective,
  retainKeysDirective,
} from './strategic-directives.js';
import { itemsOf, type PatchedField, patchedField } from './strategic-patch.js';

/** An empty result: nothing is to be done. */
export function createStrategicPatch({ original = {}, modified, current }: ThreeWay, schema: Schema): JsonObject {
  return difference(original as JsonObject, modified as JsonObject, current as JsonObject, schema, false);
}

function difference(
  original: JsonObject,
  modified: JsonObject,
  current: JsonObject,
  schema: Schema | undefined,
  retainsKeys: boolean,
): JsonObject {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(modified)) {
    const live = memberOf(current, key);
    const before = memberOf(original, key);
    const field = patchedField(schema, key);
    if (value === null) {
      if (live !== undefined && live !== null) setMember(patch, key, null);
    } else if (isObject(value) && isObject(live)) {
      const inner = difference(isObject(before) ? before : {}, value, live, field.schema, field.retainsKeys);
      if (Object.keys(inner).length > 0) setMember(patch, key, inner);
    } else if (Array.isArray(value) && Array.isArray(live) && field.mergesList) {
      listDifference(patch, key, Array.isArray(before) ? before : [], value, live, field);
    } else if (!jsonEqual(value, live)) setMember(patch, key, value);
  }
  for (const key of Object.keys(original)) {
    if (!Object.hasOwn(modified, key) && Object.hasOwn(current, key)) setMember(patch, key, null);
  }
  if (retainsKeys) {
    const kept = Object.keys(modified).filter(key => modified[key] !== null);
    const goes = Object.keys(current).some(key => current[key] !== null && !Object.hasOwn(modified, key));
    if (kept.length > 0 && (goes || Object.keys(patch).length > 0)) setMember(patch, retainKeysDirective, kept.sort());
  }
  return patch;
}

/** Writes the members of `patch` that take the live list to the modified one. */
function listDifference(
  patch: JsonObject,
  key: string,
  original: readonly Json[],
  modified: readonly Json[],
  current: readonly Json[],
  field: PatchedField,
): void {
  const { mergeKey } = field;
  if (mergeKey === undefined) {
    const added = modified.filter(value => !current.includes(value));
    const removed = [...new Set(original)].filter(value => !modified.includes(value) && current.includes(value));
    if (added.length > 0) setMember(patch, key, added);
    if (removed.length > 0) setMember(patch, deleteFromListPrefix + key, removed);
    const reordered = !sameOrder(modified, current);
    if (added.length > 0 || removed.length > 0 || reordered) setMember(patch, elementOrderPrefix + key, [...modified]);
    return;
  }

  const keyed = [original, modified, current].map(list => byKey(list, mergeKey));
  const [before, after, live] = keyed;
  if (!before || !after || !live) {
    // Elements without their key cannot be told apart: the list is replaced as a whole.
    if (!jsonEqual([...modified], [...current])) setMember(patch, key, [{ [patchDirective]: 'replace' }, ...modified]);
    return;
  }
  const changes: Json[] = [];
  for (const [value, element] of after) {
    const there = live.get(value);
    if (!there) {
      changes.push(element);
      continue;
    }
    const inner = difference(before.get(value) ?? {}, element, there, itemsOf(field.schema), field.retainsKeys);
    if (Object.keys(inner).length > 0) changes.push({ ...inner, [mergeKey]: value });
  }
  for (const value of before.keys()) {
    if (!after.has(value) && live.has(value)) changes.push({ [patchDirective]: 'delete', [mergeKey]: value });
  }
  if (changes.length > 0) setMember(patch, key, changes);
  if (changes.length > 0 || !sameOrder([...after.keys()], [...live.keys()])) {
    setMember(
      patch,
      elementOrderPrefix + key,
      [...after.keys()].map(value => ({ [mergeKey]: value })),
    );
  }
}

/** Whether the values that both lists have stand in the same relative order. */
function sameOrder(wanted: readonly Json[], live: readonly Json[]): boolean {
  const inWanted = new Set(wanted);
  const inLive = new Set(live);
  return jsonEqual(
    [...inWanted].filter(value => inLive.has(value)),
    [...inLive].filter(value => inWanted.has(value)),
  );
}

/** The elements by merge key, or undefined when one has none or two have the same. */
function byKey(list: readonly Json[], mergeKey: string): Map<Json, JsonObject> | undefined {
  const elements = new Map<Json, JsonObject>();
  for (const element of list) {
    if (!isObject(element)) return undefined;
    const value = memberOf(element, mergeKey);
    if (value === undefined || value === null || typeof value === 'object' || elements.has(value)) return undefined;
    elements.set(value, element);
  }
  return elements;
}
