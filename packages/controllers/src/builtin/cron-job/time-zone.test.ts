import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstOfDay, isTimeZone, localTime, timestampIn } from './time-zone.js';

const time = (text: string) => Date.parse(text);

it.each([
  ['UTC', '2026-07-01T09:00:00Z', '2026-07-01T09:00:00Z'],
  ['Europe/Berlin', '2026-07-01T07:00:00Z', '2026-07-01T09:00:00+02:00'],
  ['America/St_Johns', '2026-01-01T03:30:00Z', '2026-01-01T00:00:00-03:30'],
])('in %s, %s is written %s', (zone, ms, expected) => {
  expect(timestampIn(zone, time(ms))).toBe(expected);
});

it('knows which zones there are', () => {
  expect([isTimeZone('Europe/Berlin'), isTimeZone('Europe/Nowhere')]).toEqual([true, false]);
});

it('the first moment of a day is of that day, and the minute before is not', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/Sao_Paulo', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Asia/Beirut'];
  const days = fc.record({ zone: fc.constantFrom(...zones), day: fc.integer({ min: 0, max: 20_000 }) });
  fc.assert(
    fc.property(days, ({ zone, day }) => {
      const wanted = new Date(day * 86_400_000);
      const first = firstOfDay(zone, wanted.getUTCFullYear(), wanted.getUTCMonth() + 1, wanted.getUTCDate());
      expect(localTime(zone, first)).toMatchObject({ month: wanted.getUTCMonth() + 1, day: wanted.getUTCDate() });
      expect(localTime(zone, first - 60_000).day).not.toBe(wanted.getUTCDate());
    }),
    { numRuns: 2_000 },
  );
});
