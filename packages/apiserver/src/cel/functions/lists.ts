/**
 * isSorted, sum, min, max, indexOf, lastIndexOf; first, last and unwrap of optional types; and sets.
 * Source: apiserver `cel/library/lists`, cel-go `ext/sets`, `cel/library` (optional types).
 */
import { Optional } from '@marcbachmann/cel-js';
import { spend } from '../budget.js';
import type { CelEnvironment } from '../expression.js';
import { sameValue } from '../values.js';

type Ordered = bigint | number | string | boolean | Date;

function extreme(list: readonly Ordered[], better: (a: Ordered, b: Ordered) => boolean, name: string): Ordered {
  if (list.length === 0) throw new Error(`${name} called on empty list`);
  return list.reduce((best, each) => (better(each, best) ? each : best));
}
const sorted = (list: readonly Ordered[]): boolean => list.every((each, i) => i === 0 || list[i - 1]! <= each);
/** Each element is looked for in the other list. */
function has(list: readonly unknown[], value: unknown): boolean {
  spend(list.length * 0.1);
  return list.some(each => sameValue(each, value));
}

const present = (list: readonly unknown[]): unknown[] =>
  list.flatMap(each => (each instanceof Optional && each.hasValue() ? [each.value()] : []));

class SetsNamespace {}

export function listFunctions(environment: CelEnvironment): void {
  environment
    .registerFunction('list<int>.sum(): int', (list: bigint[]) => list.reduce((sum, each) => sum + each, 0n))
    .registerFunction('list<double>.sum(): double', (list: number[]) => list.reduce((sum, each) => sum + each, 0))
    .registerFunction('list<T>.first(): optional<T>', (list: unknown[]) => Optional.of(list[0]))
    .registerFunction('list<T>.last(): optional<T>', (list: unknown[]) => Optional.of(list.at(-1)))
    .registerFunction('list<optional<T>>.unwrapOpt(): list<T>', present)
    .registerFunction('list<T>.isSorted(): bool', sorted)
    .registerFunction('list<T>.min(): T', (list: Ordered[]) => extreme(list, (a, b) => a < b, 'min'))
    .registerFunction('list<T>.max(): T', (list: Ordered[]) => extreme(list, (a, b) => a > b, 'max'))
    .registerFunction('list<T>.indexOf(T): int', (list: unknown[], value: unknown) =>
      BigInt(list.findIndex(each => sameValue(each, value))),
    )
    .registerFunction('list<T>.lastIndexOf(T): int', (list: unknown[], value: unknown) =>
      BigInt(list.findLastIndex(each => sameValue(each, value))),
    )
    .registerType('SetsNamespace', { ctor: SetsNamespace, fields: {} })
    .registerConstant('sets', 'SetsNamespace', new SetsNamespace())
    .registerFunction('SetsNamespace.contains(list<T>, list<T>): bool', (_: unknown, a: unknown[], b: unknown[]) =>
      b.every(each => has(a, each)),
    )
    .registerFunction(
      'SetsNamespace.equivalent(list<T>, list<T>): bool',
      (_: unknown, a: unknown[], b: unknown[]) => b.every(each => has(a, each)) && a.every(each => has(b, each)),
    )
    .registerFunction('SetsNamespace.intersects(list<T>, list<T>): bool', (_: unknown, a: unknown[], b: unknown[]) =>
      b.some(each => has(a, each)),
    );
}
