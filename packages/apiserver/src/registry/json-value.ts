/** Equality and copies of JSON values, as fast as the hot paths of writes need them (a pod: 2 µs, a parse 10 µs). */

/** A member that is undefined is absent, and the order of members does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameJson(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  // Own members only: `constructor` is a legal key too.
  for (const key in left) if (!sameJson(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) return false;
  for (const key in right) {
    if (right[key] !== undefined && (!Object.hasOwn(left, key) || left[key] === undefined)) return false;
  }
  return true;
}

/** A copy that shares nothing. */
export function copyJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = new Array(value.length);
    for (let i = 0; i < value.length; i++) items[i] = copyJson(value[i]);
    return items as T;
  }
  const copy: Record<string, unknown> = {};
  for (const key in value) {
    // A legal key of a ConfigMap, which an assignment would take for something else.
    if (key === '__proto__') {
      Object.defineProperty(copy, key, {
        value: copyJson(value[key]),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } else copy[key] = copyJson(value[key]);
  }
  return copy as T;
}
