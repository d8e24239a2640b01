/** What the clocks of a time zone show, as the platform's own tables know it (IANA names). */
import { formatTime } from '@orbitkit/core';

export interface LocalTime {
  year: number;
  /** From 1. */
  month: number;
  day: number;
  /** Sunday is 0. */
  weekday: number;
  hour: number;
  minute: number;
}

/** One for each zone that was asked about: they are costly to make. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError for a name that is none. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  formats.set(timeZone, format);
  return format;
}

export function isTimeZone(name: string): boolean {
  try {
    return formatOf(name) !== undefined;
  } catch {
    return false;
  }
}

/** Milliseconds by which the zone is ahead of UTC then. */
function offsetAt(timeZone: string, ms: number): number {
  if (timeZone === 'UTC') return 0;
  const text = formatOf(timeZone)
    .formatToParts(ms)
    .find(({ type }) => type === 'timeZoneName')!.value;
  // `GMT`, `GMT-03:30`; long ago also with seconds.
  const [, sign, hours = 0, minutes = 0, seconds = 0] = /([+-])(\d+):(\d+)(?::(\d+))?$/.exec(text) ?? [];
  const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === '-' ? -size : size;
}

export function localTime(timeZone: string, ms: number): LocalTime {
  const shown = new Date(ms + offsetAt(timeZone, ms));
  return {
    year: shown.getUTCFullYear(),
    month: shown.getUTCMonth() + 1,
    day: shown.getUTCDate(),
    weekday: shown.getUTCDay(),
    hour: shown.getUTCHours(),
    minute: shown.getUTCMinutes(),
  };
}

/** The first moment of a day; a month or day beyond the last goes on in the next. Where midnight is skipped, what comes instead. */
export function firstOfDay(timeZone: string, year: number, month: number, day: number): number {
  const midnight = Date.UTC(year, month - 1, day);
  // By the clocks of the evening before, and, if they were changed since, by those of then.
  const early = midnight - offsetAt(timeZone, midnight - 26 * 3_600_000);
  const offset = offsetAt(timeZone, early);
  const exact = midnight - offset;
  return offsetAt(timeZone, exact) === offset ? exact : early;
}

/** RFC 3339 as the clocks of a zone show it: `2026-07-01T09:00:00+02:00`. */
export function timestampIn(timeZone: string, ms: number): string {
  const offset = offsetAt(timeZone, ms);
  if (offset === 0) return formatTime(ms);
  const minutes = Math.abs(offset) / 60_000;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return formatTime(ms + offset).replace('Z', `${offset < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`);
}
