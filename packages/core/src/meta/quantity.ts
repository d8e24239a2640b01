/**
 * Amounts as Kubernetes writes them: `100m`, `1.5Gi`, `1e3`, `0.1`. Exact: no floating point anywhere.
 *
 * - A quantity keeps billionths; what is finer is rounded away from zero, so that something asked for is never nothing.
 * - It remembers its family of suffixes and prints in canonical form: no fraction, the largest suffix that loses nothing
 *   (`1.5Gi` is `1536Mi`, `0.1` is `100m`, `1000` is `1k`). A binary amount below 1024 or with a fraction prints as decimal.
 * - `value()` and `milliValue()` round away from zero.
 *
 * Rules: apimachinery `pkg/api/resource`: grammar, canonical form, the cap of 2^63-1 for binary amounts. Of our own: no digits
 * is no number (`Gi` is 0 there); a form like `+5` or `1E3` is printed in canonical form too; at most 128 characters and an
 * exponent within ±300, since a bigint has no other bound.
 */
import { badRequest } from '../errors/status-error.js';

/** The family of suffixes: `100m`, `1Ki`, `1e3`. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const nanosInOne = 1_000_000_000n;
const decimalSuffixes: readonly (readonly [string, number])[] = [
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
];
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;
const exponentOf = new Map(decimalSuffixes);
const suffixOf = new Map(decimalSuffixes.map(([suffix, exponent]) => [exponent, suffix]));

const largest = (2n ** 63n - 1n) * nanosInOne;
const longestText = 128;
const largestExponent = 300;

const grammar = /^([+-]?)(\d*)(?:\.(\d*))?([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;

const abs = (value: bigint): bigint => (value < 0n ? -value : value);

/** Division that rounds away from zero. */
function divideAway(value: bigint, by: bigint): bigint {
  const whole = value / by;
  if (whole * by === value) return whole;
  return value < 0n ? whole - 1n : whole + 1n;
}

function refuse(text: string): never {
  const shown = text.length > longestText ? `${text.slice(0, 32)}…` : text;
  throw badRequest(
    `"${shown}" is not a quantity: write a number with a suffix such as 100m, 0.5, 2, 1.5Gi or 1e3 ` +
      '(n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent)',
  );
}

/** An exact amount. Immutable; operations give new ones. */
export class Quantity {
  readonly #nanos: bigint;
  readonly format: QuantityFormat;

  private constructor(nanos: bigint, format: QuantityFormat) {
    this.#nanos = nanos;
    this.format = format;
  }

  static readonly zero = new Quantity(0n, 'DecimalSI');

  /** @throws StatusError BadRequest when the text is not a quantity. */
  static parse(text: string | number): Quantity {
    return parse(typeof text === 'number' ? String(text) : text) ?? refuse(String(text));
  }

  static isQuantity(text: string | number): boolean {
    return parse(String(text)) !== undefined;
  }

  /** Whole units: bytes, cores, pods. */
  static of(units: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(units) * nanosInOne, format);
  }

  /** Thousandths. */
  static ofMilli(milli: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(milli) * 1_000_000n, format);
  }

  static ofNano(nanos: bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(nanos, format);
  }

  /** The smaller is negative. */
  static compare(a: Quantity, b: Quantity): number {
    return a.compare(b);
  }

  compare(other: Quantity): -1 | 0 | 1 {
    return this.#nanos < other.#nanos ? -1 : this.#nanos > other.#nanos ? 1 : 0;
  }

  equals(other: Quantity): boolean {
    return this.#nanos === other.#nanos;
  }

  isZero(): boolean {
    return this.#nanos === 0n;
  }

  /** The sum prints in this quantity's family; a zero takes the other's. */
  add(other: Quantity): Quantity {
    return new Quantity(this.#nanos + other.#nanos, this.isZero() ? other.format : this.format);
  }

  sub(other: Quantity): Quantity {
    return new Quantity(this.#nanos - other.#nanos, this.isZero() ? other.format : this.format);
  }

  /** Whole units, rounded away from zero. */
  value(): bigint {
    return divideAway(this.#nanos, nanosInOne);
  }

  /** Thousandths, rounded away from zero. */
  milliValue(): bigint {
    return divideAway(this.#nanos, 1_000_000n);
  }

  /** The nearest double: for shares and scores, never for sums. */
  toNumber(): number {
    return Number(this.#nanos) / 1e9;
  }

  /** Canonical form. */
  toString(): string {
    if (this.#nanos === 0n) return '0';
    const whole = this.#nanos % nanosInOne === 0n;
    if (this.format === 'BinarySI' && whole && abs(this.#nanos) >= 1024n * nanosInOne) {
      return printBinary(this.#nanos / nanosInOne);
    }
    return printDecimal(this.#nanos, this.format === 'DecimalExponent');
  }

  toJSON(): string {
    return this.toString();
  }
}

function printBinary(units: bigint): string {
  let power = 0;
  while (power < binarySuffixes.length - 1 && units % 1024n === 0n) {
    units /= 1024n;
    power += 1;
  }
  return `${units}${binarySuffixes[power]}`;
}

function printDecimal(nanos: bigint, asExponent: boolean): string {
  let exponent = -9;
  while (nanos % 1000n === 0n) {
    nanos /= 1000n;
    exponent += 3;
  }
  if (exponent === 0) return String(nanos);
  const suffix = asExponent ? undefined : suffixOf.get(exponent);
  return `${nanos}${suffix ?? `e${exponent}`}`;
}

/** The same few texts stand in all pods, and each is read several times on the way of a write. */
const parsed = new Map<string, Quantity>();
const mostParsed = 4_096;

function parse(text: string): Quantity | undefined {
  if (text.length > longestText) return undefined;
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const quantity = parseAnew(text);
  if (quantity !== undefined && text.length <= 32) {
    if (parsed.size >= mostParsed) parsed.clear();
    parsed.set(text, quantity);
  }
  return quantity;
}

function parseAnew(text: string): Quantity | undefined {
  const match = grammar.exec(text);
  if (!match) return undefined;
  const [, sign = '', digits = '', fraction = '', suffix = ''] = match;
  // "." and "+" alone are no numbers; "1." and ".5" are.
  if (digits === '' && fraction === '') return undefined;

  let format: QuantityFormat = 'DecimalSI';
  let exponent = 0;
  let factor = 1n;
  if (suffix.endsWith('i')) {
    format = 'BinarySI';
    factor = 1024n ** BigInt(binarySuffixes.indexOf(suffix as (typeof binarySuffixes)[number]));
  } else if (suffix.length > 1) {
    format = 'DecimalExponent';
    exponent = Number(suffix.slice(1));
    if (Math.abs(exponent) > largestExponent) return undefined;
  } else {
    exponent = exponentOf.get(suffix)!;
  }

  const unscaled = BigInt(digits + fraction || '0') * factor;
  const scale = exponent - fraction.length + 9;
  let nanos = scale >= 0 ? unscaled * 10n ** BigInt(scale) : divideAway(unscaled, 10n ** BigInt(-scale));
  if (format === 'BinarySI' && nanos > largest) nanos = largest;
  if (format === 'BinarySI' && nanos > 0n && nanos < nanosInOne) format = 'DecimalSI';
  return Quantity.ofNano(sign === '-' ? -nanos : nanos, format);
}
