/** JSON as the engine's values: whole numbers are ints, objects are maps; and their equality. */

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
    return a.every((each, i) => sameValue(each, b[i]));
  }
  if (a instanceof Date || b instanceof Date)
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime();
  const left = membersOf(a);
  const right = membersOf(b);
  if (left.size !== right.size) return false;
  for (const [name, value] of left) if (!right.has(name) || !sameValue(value, right.get(name))) return false;
  return true;
}

const membersOf = (value: object): ReadonlyMap<unknown, unknown> =>
  value instanceof Map ? value : new Map(Object.entries(value));
