/** Kubernetes quantities: `quantity('1Gi').isGreaterThan(quantity('500Mi'))`. Source: apiserver `cel/library/quantity`. */
import { Quantity } from '@orbitkit/core';
import type { CelEnvironment } from '../expression.js';

const type = 'kubernetes.Quantity';

const isWhole = (quantity: Quantity): boolean => Quantity.of(quantity.value()).equals(quantity);

function whole(quantity: Quantity): bigint {
  if (!isWhole(quantity)) throw new Error('cannot convert value to integer');
  return quantity.value();
}

const plus = (a: Quantity, b: Quantity | bigint): Quantity => a.add(typeof b === 'bigint' ? Quantity.of(b) : b);
const minus = (a: Quantity, b: Quantity | bigint): Quantity => a.sub(typeof b === 'bigint' ? Quantity.of(b) : b);

export function quantityFunctions(environment: CelEnvironment): void {
  environment
    .registerType(type, { ctor: Quantity, fields: {} })
    .registerFunction(`quantity(string): ${type}`, (text: string) => Quantity.parse(text))
    .registerFunction('isQuantity(string): bool', (text: string) => Quantity.isQuantity(text))
    .registerFunction(`${type}.sign(): int`, (a: Quantity) => BigInt(a.compare(Quantity.zero)))
    .registerFunction(`${type}.isInteger(): bool`, isWhole)
    .registerFunction(`${type}.asInteger(): int`, whole)
    .registerFunction(`${type}.asApproximateFloat(): double`, (a: Quantity) => a.toNumber())
    .registerFunction(`${type}.isGreaterThan(${type}): bool`, (a: Quantity, b: Quantity) => a.compare(b) > 0)
    .registerFunction(`${type}.isLessThan(${type}): bool`, (a: Quantity, b: Quantity) => a.compare(b) < 0)
    .registerFunction(`${type}.compareTo(${type}): int`, (a: Quantity, b: Quantity) => BigInt(a.compare(b)))
    .registerFunction(`${type}.add(${type}): ${type}`, plus)
    .registerFunction(`${type}.add(int): ${type}`, plus)
    .registerFunction(`${type}.sub(${type}): ${type}`, minus)
    .registerFunction(`${type}.sub(int): ${type}`, minus)
    .registerOperator(`${type} == ${type}`, (a: Quantity, b: Quantity) => a.equals(b));
}
