/** isSorted, sum, min, max, indexOf, lastIndexOf, flatten, and sets. Source: apiserver `cel/library/lists`, cel-go `ext/sets`. */
import type { CelEnvironment } from '../expression.js';
import { sameValue } from '../values.js';

type Ordered = bigint | number | string | boolean | Date;

function extreme(list: readonly Ordered[], better: (a: Ordered, b: Ordered) => boolean, name: string): Ordered {
  if (list.length === 0) throw new Error(`${name} called on empty list`);
  return list.reduce((best, each) => (better(each, best) ? each : best));
}
const sorted = (list: readonly Ordered[]): boolean => list.every((each, i) => i === 0 || list[i - 1]! <= each);
const has = (list: readonly unknown[], value: unknown): boolean => list.some(each => sameValue(each, value));

class SetsNamespace {}

export function listFunctions(environment: CelEnvironment): void {
  environment
    .registerFunction('list<int>.sum(): int', (list: bigint[]) => list.reduce((sum, each) => sum + each, 0n))
    .registerFunction('list<double>.sum(): double', (list: number[]) => list.reduce((sum, each) => sum + each, 0))
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
