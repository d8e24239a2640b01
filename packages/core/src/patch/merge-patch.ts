/**
 * JSON merge patch (RFC 7396): members of mappings are merged, null removes, everything else replaces. Pure: nothing that
 * comes in is changed; the result may share parts with both.
 *
 * `createMergePatch` computes what `kubectl apply` sends for kinds without merge keys (custom resources): additions and
 * changes from the live object to the new one, and removals of what the last applied object had and the new one has not.
 */
import { badRequest } from '../errors/status-error.js';
import { isObject, type Json, type JsonObject, jsonEqual, memberOf, refuseTooDeep, setMember } from './json.js';

/** @throws StatusError BadRequest when the patch is not a mapping. */
export function applyMergePatch<T extends Json>(target: T, patch: unknown): Json {
  if (!isObject(patch)) throw badRequest('error decoding patch: a merge patch of an object is a mapping');
  refuseTooDeep(patch);
  return merge(target, patch);
}

function merge(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: JsonObject = {};
  if (isObject(target)) for (const [key, value] of Object.entries(target)) setMember(result, key, value);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setMember(result, key, merge(memberOf(result, key), value));
  }
  return result;
}

/** The three states that a client-side apply knows. */
export interface ThreeWay {
  /** The object as it was applied last; empty when it never was. */
  original?: object;
  /** The object as it shall be. */
  modified: object;
  /** The object as the server has it. */
  current: object;
}

/**
 * What turns the live object into the new one without undoing what others set. Empty (`{}`) when nothing differs. Without `original` nothing
 * is removed.
 */
export function createMergePatch({ original = {}, modified, current }: ThreeWay): JsonObject {
  return difference(original as JsonObject, modified as JsonObject, current as JsonObject);
}

function difference(original: JsonObject, modified: JsonObject, current: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(modified)) {
    const live = memberOf(current, key);
    const before = memberOf(original, key);
    if (value === null) {
      if (live !== undefined && live !== null) setMember(patch, key, null);
    } else if (isObject(value) && isObject(live)) {
      const inner = difference(isObject(before) ? before : {}, value, live);
      if (Object.keys(inner).length > 0) setMember(patch, key, inner);
    } else if (!jsonEqual(value, live)) setMember(patch, key, value);
  }
  for (const key of Object.keys(original)) {
    if (!Object.hasOwn(modified, key) && Object.hasOwn(current, key)) setMember(patch, key, null);
  }
  return patch;
}
