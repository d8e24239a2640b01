import { describe, expect, it } from 'vitest';
import { dueAt, parseSchedule } from './schedule.js';

const time = (text: string) => Date.parse(text);
const shown = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16));

describe('parseSchedule', () => {
  it.each([
    ['*/5 * * * *', 'UTC', '2026-01-01T00:03:00Z', '2026-01-01T00:05'],
    ['@daily', 'UTC', '2026-01-01T00:00:00Z', '2026-01-02T00:00'],
    ['@every 90m', 'UTC', '2026-01-01T00:00:00Z', '2026-01-01T01:30'],
    ['0 9 * * mon', 'America/New_York', '2026-01-01T00:00:00Z', '2026-01-05T14:00'],
    ['0 0 ? * 1', 'UTC', '2026-01-01T00:00:00Z', '2026-01-05T00:00'],
    // Lists, ranges, steps, names.
    ['0/15 * * * *', 'UTC', '2026-01-01T00:46:00Z', '2026-01-01T01:00'],
    ['5/15 * * * *', 'UTC', '2026-01-01T00:21:00Z', '2026-01-01T00:35'],
    ['20-35/15 * * * *', 'UTC', '2026-01-01T23:40:00Z', '2026-01-02T00:20'],
    ['0 8,20 * jan,Jul *', 'UTC', '2026-01-31T21:00:00Z', '2026-07-01T08:00'],
    ['59 23 31 12 *', 'UTC', '2026-12-31T23:59:00Z', '2027-12-31T23:59'],
    ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    // Either day will do when both are restricted; a step of one restricts nothing.
    ['0 0 13 * 5', 'UTC', '2026-01-03T00:00:00Z', '2026-01-09T00:00'],
    ['0 0 */2 * 1', 'UTC', '2026-01-01T00:00:00Z', '2026-01-03T00:00'],
    ['0 0 */1 * 1', 'UTC', '2026-01-01T00:00:00Z', '2026-01-05T00:00'],
    ['0 0 1,15 * *', 'UTC', '2026-01-02T00:00:00Z', '2026-01-15T00:00'],
    // The clocks go forward over 02:30, and back over it.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-30T00:30'],
    ['30 2 11 3 ?', 'America/New_York', '2012-03-11T05:00:00Z', '2013-03-11T06:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T01:30'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-26T01:30'],
    ['0 * * * *', 'Europe/Berlin', '2026-03-29T00:30:00Z', '2026-03-29T01:00'],
    // Where midnight itself is skipped.
    ['0 0 * * *', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', '2018-11-05T02:00'],
    ['0 1 * * *', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', '2018-11-04T03:00'],
  ])('%s in %s after %s: %s', (text, zone, after, expected) => {
    expect(shown(parseSchedule(text, zone).next(time(after)))).toBe(expected);
  });

  it('knows that some never come', () => {
    expect(parseSchedule('0 0 30 2 *').next(0)).toBeUndefined();
  });

  it.each([
    ['61 * * * *', 'UTC'],
    ['* * * *', 'UTC'],
    ['@sometimes', 'UTC'],
    ['* * * * *', 'Europe/Nowhere'],
    ['@every soon', 'UTC'],
    ['0 0 * * 7', 'UTC'],
    ['5-1 * * * *', 'UTC'],
  ])('refuses %s in %s', (text, zone) => {
    expect(() => parseSchedule(text, zone)).toThrow();
  });
});

describe('dueAt', () => {
  const hourly = parseSchedule('0 * * * *');
  it('is nothing before the first time', () => {
    expect(dueAt(hourly, time('2026-01-01T00:00:00Z'), time('2026-01-01T00:59:59Z'))).toBeUndefined();
  });
  it('is the newest of those that were missed', () => {
    const due = dueAt(hourly, time('2026-01-01T00:00:00Z'), time('2026-01-01T03:30:00Z'));
    expect([shown(due?.at), due?.missed]).toEqual(['2026-01-01T03:00', 3]);
  });
  it('finds it after years of sleep without walking through every minute', () => {
    const minutely = parseSchedule('* * * * *');
    const began = performance.now();
    const due = dueAt(minutely, time('2016-01-01T00:00:00Z'), time('2026-01-01T03:30:20Z'));
    expect(shown(due?.at)).toBe('2026-01-01T03:30');
    expect(due!.missed).toBeGreaterThan(100);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
