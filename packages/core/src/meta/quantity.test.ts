import { describe, expect, it } from 'vitest';
import { Quantity } from './quantity.js';

const canonical = (text: string | number) => Quantity.parse(text).toString();

describe('Quantity', () => {
  it('prints in canonical form', () => {
    // As `kubectl set resources --local` of 1.32 and 1.35 prints them, which leaves some forms (5. +5 0001 1E3) as they are typed.
    const pairs: [string | number, string][] = [
      ['100m', '100m'],
      ['0.1', '100m'],
      ['1.5', '1500m'],
      ['1', '1'],
      ['1000', '1k'],
      ['1000m', '1'],
      ['1500m', '1500m'],
      ['1.5Gi', '1536Mi'],
      ['1024Mi', '1Gi'],
      ['1024', '1024'],
      ['1024Ki', '1Mi'],
      ['1e3', '1e3'],
      ['1E3', '1e3'],
      ['100e-3', '100e-3'],
      ['12345e1', '123450'],
      ['1e1', '10'],
      ['0', '0'],
      ['0Gi', '0'],
      ['000', '0'],
      ['.5', '500m'],
      ['5.', '5'],
      ['+5', '5'],
      ['-1.5', '-1500m'],
      ['-0', '0'],
      ['0.5Gi', '512Mi'],
      ['0.1Ki', '102400m'],
      ['0.3Mi', '314572800m'],
      ['1000Ki', '1000Ki'],
      ['1Ki', '1Ki'],
      ['0.5Ki', '512'],
      ['1n', '1n'],
      ['0.1n', '1n'],
      ['0.0000000001', '1n'],
      ['1u', '1u'],
      ['1.0000000001', '1000000001n'],
      ['1E', '1E'],
      ['10E', '10E'],
      ['8Ei', '9223372036854775807'],
      ['100Ei', '9223372036854775807'],
      ['9223372036854775808', '9223372036854775808'],
      ['123456789012345678', '123456789012345678'],
      ['0001', '1'],
      [0.1, '100m'],
      [1e21, '1e21'],
      [2, '2'],
    ];
    for (const [text, printed] of pairs) expect([text, canonical(text)]).toEqual([text, printed]);
  });

  it('refuses what is not a quantity, and says what is', () => {
    for (const text of [
      '',
      ' ',
      '1 Gi',
      '1ki',
      '1KI',
      '1gi',
      '1e',
      '1e1.5',
      '1.2.3',
      '--1',
      'Gi',
      '.',
      '+',
      '1mm',
      '1Mib',
      '0x10',
      '1_000',
      'NaN',
      'Infinity',
    ]) {
      expect(() => Quantity.parse(text), JSON.stringify(text)).toThrow(
        `"${text}" is not a quantity: write a number with a suffix`,
      );
      expect(Quantity.isQuantity(text)).toBe(false);
    }
    expect(() => Quantity.parse('1e301')).toThrow('is not a quantity');
    expect(() => Quantity.parse('9'.repeat(129))).toThrow('is not a quantity');
    expect(() => Quantity.parse('x')).toThrow(expect.objectContaining({ code: 400, reason: 'BadRequest' }));
  });

  it('rounds units and thousandths away from zero', () => {
    expect(Quantity.parse('100m').value()).toBe(1n);
    expect(Quantity.parse('-100m').value()).toBe(-1n);
    expect(Quantity.parse('1100m').value()).toBe(2n);
    expect(Quantity.parse('1Gi').value()).toBe(1024n ** 3n);
    expect(Quantity.parse('1n').milliValue()).toBe(1n);
    expect(Quantity.parse('1.5').milliValue()).toBe(1_500n);
    expect(Quantity.parse('250m').toNumber()).toBe(0.25);
  });

  it('adds and subtracts exactly, in the family of the first that is not zero', () => {
    const sum = (a: string, b: string) => Quantity.parse(a).add(Quantity.parse(b)).toString();
    expect(sum('0.1', '0.2')).toBe('300m');
    expect(sum('1Gi', '512Mi')).toBe('1536Mi');
    expect(sum('1Gi', '1G')).toBe('2073741824');
    expect(sum('0', '1Gi')).toBe('1Gi');
    expect(sum('1G', '1Gi')).toBe('2073741824');
    expect(sum('9223372036854775807', '1')).toBe('9223372036854775808');
    expect(Quantity.parse('1').sub(Quantity.parse('1.5')).toString()).toBe('-500m');
    expect(Quantity.zero.isZero()).toBe(true);
    expect(Quantity.of(1536, 'BinarySI').toString()).toBe('1536');
    expect(Quantity.ofMilli(1_500).toString()).toBe('1500m');
  });

  it('compares across families', () => {
    const sorted = ['1Gi', '1G', '100m', '0.5', '1e9', '-1'].map(text => Quantity.parse(text)).sort(Quantity.compare);
    expect(sorted.map(String)).toEqual(['-1', '100m', '500m', '1G', '1e9', '1Gi']);
    expect(Quantity.parse('1000m').equals(Quantity.parse('1'))).toBe(true);
    expect(JSON.stringify({ cpu: Quantity.parse('0.5') })).toBe('{"cpu":"500m"}');
  });
});
