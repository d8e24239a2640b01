/**
 * JSON as the engine's values: whole numbers are ints, objects are maps; and their equality.
 *
 * A list of which a schema says that it is a set, or that its elements are known by keys, is compared without order, and `+` unites it with
 * another; the left side decides, as in upstream (apiserver `cel/common/values.go`, v0.33). What is made out of such a list (filter, map) is
 * a plain one.
 */
import { spend } from './budget.js';

/** How the elements of a list are told apart; undefined for a plain list in which such lists are. */
export type KeyOf = ((element: unknown) => string) | undefined;

const keyed = new WeakMap<object, { readonly keyOf: KeyOf }>();

/** Says it of a list, or of a list or map that holds such lists. */
export function markKeyed<T extends object>(value: T, keyOf: KeyOf): T {
  keyed.set(value, { keyOf });
  return value;
}

/** Whether equality and `+` of the engine, which know of no such lists, must not be asked. */
export const isKeyed = (value: unknown): boolean => typeof value === 'object' && value !== null && keyed.has(value);

/** By what a value is worth: for elements of sets. */
export function keyOfValue(value: unknown): string {
  if (typeof value === 'bigint') return `n${value}`;
  if (typeof value === 'number') return `n${Number.isSafeInteger(value) ? BigInt(value) : value}`;
  if (typeof value !== 'object' || value === null) return `${(typeof value)[0]}${String(value)}`;
  const worth = worthOf(value);
  if (worth !== undefined) return `t${worth}`;
  if (Array.isArray(value))
    return `[${value
      .map(keyOfValue)
      .map(text => JSON.stringify(text))
      .join()}]`;
  const members = [...membersOf(value)].map(
    ([name, each]) => `${JSON.stringify(name)}:${JSON.stringify(keyOfValue(each))}`,
  );
  return `{${members.sort().join()}}`;
}

/** `left + right`, without those of the left that the right has again: they take their place. */
export function united(left: readonly unknown[], right: readonly unknown[]): unknown[] {
  const { keyOf } = keyed.get(left) ?? {};
  if (keyOf === undefined) return [...left, ...right];
  spend((left.length + right.length) / 10);
  const elements = new Map(left.map(each => [keyOf(each), each]));
  for (const each of right) elements.set(keyOf(each), each);
  return markKeyed([...elements.values()], keyOf);
}

function sameElements(
  left: readonly unknown[],
  right: readonly unknown[],
  keyOf: (element: unknown) => string,
): boolean {
  spend((left.length + right.length) / 10);
  const elements = new Map(left.map(each => [keyOf(each), each]));
  return right.every(each => {
    const key = keyOf(each);
    return elements.has(key) && sameValue(elements.get(key), each);
  });
}

/** A JSON value of which no type is known. */
export function celOf(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(celOf);
  const map = new Map<string, unknown>();
  for (const name of Object.keys(value)) map.set(name, celOf((value as Record<string, unknown>)[name]));
  return map;
}

/** Deep equality of values; numbers of both kinds by what they are worth. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === 'bigint' || typeof b === 'bigint') {
    const numbers = [a, b].every(each => typeof each === 'number' || typeof each === 'bigint');
    return numbers && !((a as bigint) < (b as bigint)) && !((a as bigint) > (b as bigint));
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    const keyOf = keyed.get(a)?.keyOf;
    return keyOf === undefined ? a.every((each, i) => sameValue(each, b[i])) : sameElements(a, b, keyOf);
  }
  const worth = worthOf(a);
  if (worth !== undefined || worthOf(b) !== undefined) return worth === worthOf(b) && a.constructor === b.constructor;
  const left = membersOf(a);
  const right = membersOf(b);
  if (left.size !== right.size) return false;
  for (const [name, value] of left) if (!right.has(name) || !sameValue(value, right.get(name))) return false;
  return true;
}

/** Of times, durations and unsigned numbers, whose parts are private. */
function worthOf(value: object): unknown {
  const own = ((Object.getPrototypeOf(value) ?? Object.prototype) as object).valueOf;
  return own === Object.prototype.valueOf ? undefined : own.call(value);
}

const membersOf = (value: object): ReadonlyMap<unknown, unknown> =>
  value instanceof Map ? value : new Map(Object.entries(value));
