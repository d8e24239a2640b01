/**
 * Objects in a cache are shared by everyone who reads it, so they are deeply read-only by type; whoever wants to change
 * one takes a copy first. The type costs nothing at run time; `freeze` on an informer makes a violation throw (tests).
 */

/** Also `string & {}`, which stands for "any other text" in unions of known texts. */
type Primitive = string | number | boolean | bigint | symbol | null | undefined;

/** `T` with every property and list read-only, all the way down. */
export type DeepReadonly<T> = T extends Primitive
  ? T
  : T extends readonly (infer E)[]
    ? readonly DeepReadonly<E>[]
    : T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
        : T;

/** `DeepReadonly` undone: what a copy is. */
export type Mutable<T> = T extends Primitive
  ? T
  : T extends readonly (infer E)[]
    ? Mutable<E>[]
    : T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { -readonly [K in keyof T]: Mutable<T[K]> }
        : T;

/**
 * A deep copy of a JSON value that the caller may change. Ten times faster than `structuredClone` on API objects, which
 * is why it exists; it knows nothing but JSON.
 */
export function mutableCopy<T>(value: DeepReadonly<T>): T {
  return copy(value) as T;
}

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list = new Array(value.length);
    for (let i = 0; i < value.length; i++) list[i] = copy(value[i]);
    return list;
  }
  const result: Record<string, unknown> = {};
  for (const key in value) result[key] = copy((value as Record<string, unknown>)[key]);
  return result;
}

/** Freezes a JSON value all the way down, in place. */
export function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const key in value) deepFreeze(value[key]);
  }
  return value as DeepReadonly<T>;
}
