import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Quantity } from '../meta/quantity.js';
import { base64Fault, isDuration, isQuantity, normalMicroTime, normalTime } from './scalar-forms.js';

const anyTime = fc.date({
  min: new Date('0001-01-02T00:00:00Z'),
  max: new Date('9998-12-30T00:00:00Z'),
  noInvalidDate: true,
});

test('every ISO time normalises to its own second, whatever its zone', () => {
  fc.assert(
    fc.property(anyTime, fc.integer({ min: -14 * 60, max: 14 * 60 }), (date, zone) => {
      const local = new Date(date.getTime() + zone * 60_000).toISOString().slice(0, -1);
      const two = (value: number): string => String(value).padStart(2, '0');
      const offset = `${zone < 0 ? '-' : '+'}${two(Math.floor(Math.abs(zone) / 60))}:${two(Math.abs(zone) % 60)}`;
      expect(normalTime(local + offset)).toBe(`${date.toISOString().slice(0, 19)}Z`);
      expect(normalMicroTime(date.toISOString())).toBe(date.toISOString().replace('Z', '000Z'));
    }),
  );
});

test('a normal form is its own normal form', () => {
  fc.assert(
    fc.property(anyTime, date => {
      const time = normalTime(date.toISOString())!;
      const micro = normalMicroTime(date.toISOString())!;
      expect(normalTime(time)).toBe(time);
      expect(normalMicroTime(micro)).toBe(micro);
    }),
  );
});

test('what is no time is refused', () => {
  for (const text of [
    '',
    'now',
    '2026-01-02',
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-01-02T24:00:00Z',
    '2026-01-02T00:60:00Z',
    '2026-01-02T00:00:00',
    '2026-01-02 00:00:00Z',
    '2026-01-02T00:00:00+1:00',
    ' 2026-01-02T00:00:00Z',
  ]) {
    expect(normalTime(text), text).toBeUndefined();
    expect(normalMicroTime(text), text).toBeUndefined();
  }
  expect(normalTime('2024-02-29T00:00:00Z')).toBe('2024-02-29T00:00:00Z');
});

test('the check of a quantity and its parser agree', () => {
  const pieces = fc.array(
    fc.constantFrom('1', '0', '25', '.', '-', '+', 'm', 'k', 'K', 'i', 'M', 'Ki', 'e', 'E', 'e3', ' ', 'x'),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(pieces, parts => {
      expect(isQuantity(parts.join(''))).toBe(Quantity.isQuantity(parts.join('')));
    }),
    { numRuns: 2000 },
  );
});

test('durations', () => {
  for (const text of ['0', '1s', '1h2m3s', '1.5h', '-1m', '100ms', '.5s', '1us', '1µs'])
    expect(isDuration(text), text).toBe(true);
  for (const text of ['', '1', 's', '1d', '1h 2m', '--1s', '.s']) expect(isDuration(text), text).toBe(false);
});

test('base64 is what a Buffer writes, and its line ends may stay', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      const text = Buffer.from(bytes).toString('base64');
      expect(base64Fault(text)).toBeUndefined();
      expect(base64Fault(text.replace(/(.{4})/g, '$1\r\n'))).toBeUndefined();
    }),
  );
  for (const text of ['a', 'ab', 'abc', 'a===', '=abc', 'ab=c', 'ab_-', 'a b='])
    expect(base64Fault(text), text).toBeTypeOf('number');
});
