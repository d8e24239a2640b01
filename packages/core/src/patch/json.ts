/**
 * JSON values as patches see them. Keys are data: one called `__proto__` is a member like any other and never reaches a
 * prototype.
 */
import { badRequest } from '../errors/status-error.js';

/** Any value of JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A mapping of JSON. */
export type JsonObject = { [key: string]: Json };

/** Deeper values are refused: every walk here is recursive. */
const deepest = 512;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function setMember(object: JsonObject, key: string, value: Json): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  else object[key] = value;
}

/** The member, or undefined when the object has none of its own. */
export function memberOf(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Deep equality; the order of members does not count, that of elements does. Undefined equals undefined alone. */
export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]!));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every(key => Object.hasOwn(b, key) && jsonEqual(a[key]!, b[key]!))
  );
}

/** A deep copy that shares nothing. The value must be JSON: no cycles, no dates. */
export function jsonCopy<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map(jsonCopy) as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, member] of Object.entries(value)) setMember(copy, key, jsonCopy(member));
  return copy as T;
}

/** @throws StatusError BadRequest when the value is nested too deep to walk. */
export function refuseTooDeep(value: Json, left: number = deepest): void {
  if (typeof value !== 'object' || value === null) return;
  if (left === 0) throw badRequest(`the patch is nested deeper than ${deepest} levels`);
  for (const member of Array.isArray(value) ? value : Object.values(value)) refuseTooDeep(member, left - 1);
}
