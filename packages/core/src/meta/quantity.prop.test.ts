import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Quantity, type QuantityFormat } from './quantity.js';

const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'T', 'Ki', 'Mi', 'Gi', 'Ti', 'e3', 'e-3', 'E2');
const text = fc
  .tuple(fc.constantFrom('', '-', '+'), fc.nat(10_000_000), fc.option(fc.nat(999_999)), suffix)
  .map(([sign, whole, fraction, unit]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${unit}`);
const format = fc.constantFrom<QuantityFormat>('DecimalSI', 'BinarySI', 'DecimalExponent');
const quantity = fc
  .tuple(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), format)
  .map(([nanos, family]) => Quantity.ofNano(nanos, family));

describe('properties of Quantity', () => {
  it('what it prints means the same, and prints as itself', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          text.map(each => Quantity.parse(each)),
          quantity,
        ),
        value => {
          const printed = value.toString();
          const again = Quantity.parse(printed);
          expect(again.equals(value)).toBe(true);
          expect(again.toString()).toBe(printed);
          expect(printed).toMatch(/^-?\d+([numkMGTPE]|[KMGTPE]i|e-?\d+)?$/);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('has the largest suffix that loses nothing', () => {
    fc.assert(
      fc.property(quantity, value => {
        const [, digits, unit = ''] = /^-?(\d+)(.*)$/.exec(value.toString())!;
        if (unit.endsWith('i') && unit !== 'Ei') expect(BigInt(digits!) % 1024n).not.toBe(0n);
        else if (digits !== '0' && !unit.endsWith('i') && !(value.format === 'BinarySI' && unit === ''))
          expect(BigInt(digits!) % 1000n).not.toBe(0n);
      }),
      { numRuns: 1_000 },
    );
  });

  it('reads as the rational number that it is', () => {
    const powers: Record<string, bigint> = {
      '': 1n,
      k: 1000n,
      M: 10n ** 6n,
      Ki: 1024n,
      Mi: 1024n ** 2n,
      Gi: 1024n ** 3n,
    };
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.nat(999),
        fc.constantFrom(...Object.keys(powers)),
        (whole, thousandths, unit) => {
          const parsed = Quantity.parse(`${whole}.${String(thousandths).padStart(3, '0')}${unit}`);
          expect(parsed.milliValue()).toBe((BigInt(whole) * 1000n + BigInt(thousandths)) * powers[unit]!);
        },
      ),
    );
  });

  it('adds as a group does, and keeps the order', () => {
    fc.assert(
      fc.property(quantity, quantity, quantity, (a, b, c) => {
        expect(a.add(b).equals(b.add(a))).toBe(true);
        expect(
          a
            .add(b)
            .add(c)
            .equals(a.add(b.add(c))),
        ).toBe(true);
        expect(a.add(b).sub(b).equals(a)).toBe(true);
        expect(a.compare(b)).toBe(a.add(c).compare(b.add(c)));
        expect(a.compare(b)).toBe((b.compare(a) * -1 || 0) as -1 | 0 | 1);
      }),
    );
  });

  it('rounds up by less than one', () => {
    fc.assert(
      fc.property(quantity, value => {
        const distance = Quantity.of(value.value()).sub(value);
        const outward = value.compare(Quantity.zero) < 0 ? Quantity.zero.sub(distance) : distance;
        expect(outward.compare(Quantity.zero)).toBeGreaterThanOrEqual(0);
        expect(outward.compare(Quantity.of(1))).toBe(-1);
      }),
    );
  });
});
