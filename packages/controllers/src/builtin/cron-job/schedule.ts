/**
 * When a CronJob is due: the times of a schedule of five fields, of a word (`@daily`) or of `@every 90m`, in a time zone.
 *
 * Two rules are kube-controller-manager's (robfig/cron): when both the day of month and the day of week are restricted, either will do, unless one
 * of them begins with `*`; and `?` is `*`. One differs: a time that a zone skips when its clocks go forward is due at the end of the gap, not never.
 */
import { formatTime } from '@orbitkit/core';
import { Cron } from 'croner';
import { milliseconds } from '../../duration.js';

export interface Schedule {
  /** The first time after `after`, both in milliseconds since 1970; undefined when there is none (`0 0 30 2 *`). */
  next(after: number): number | undefined;
}

/** @throws Error when the schedule or the zone cannot be read. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule {
  const every = /^@every\s+(\S+)$/.exec(text.trim());
  if (every) {
    const period = Math.max(1000, Math.floor(milliseconds(every[1]!) / 1000) * 1000);
    return { next: after => Math.floor(after / 1000) * 1000 + period };
  }
  const [minute, hour, day, month, weekday] = text
    .trim()
    .split(/\s+/)
    .map(field => field.replace(/^\?/, '*'));
  const pattern = text.trim().startsWith('@') ? text.trim() : [minute, hour, day, month, weekday].join(' ');
  const starred = [day, weekday].some(field => field?.startsWith('*'));
  const cron = new Cron(pattern, { mode: '5-part', timezone: timeZone, sloppyRanges: true, domAndDow: starred });
  // An unknown zone is noticed only when it is used.
  cron.nextRun(new Date(0));
  return { next: after => cron.nextRun(new Date(after))?.getTime() };
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** RFC 3339 as the clocks of a zone show it: `2026-07-01T09:00:00+02:00`. */
export function timestampIn(timeZone: string, ms: number): string {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  const offset = format
    .formatToParts(ms)
    .find(({ type }) => type === 'timeZoneName')!
    .value.slice('GMT'.length);
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d+):(\d+)/.exec(offset) ?? [];
  const shift = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  return formatTime(ms + shift).replace('Z', shift === 0 ? 'Z' : `${sign}${hours}:${minutes}`);
}

export interface Due {
  /** The newest time that has come and was not served. */
  at: number;
  /** How many have come; beyond `most` they are not counted on. */
  missed: number;
}

/** Above this many, something is wrong with a clock or a deadline (`mostRecentScheduleTime`). */
export const manyMissed = 100;

/** What is due at `now`, given the last time that was served (or the birth of the CronJob). */
export function dueAt(schedule: Schedule, since: number, now: number): Due | undefined {
  let at: number | undefined;
  let missed = 0;
  // Hops over a long gap, so that a minute's schedule after a year's sleep is no half a million steps.
  for (let time = schedule.next(since); time !== undefined && time <= now; time = schedule.next(time)) {
    at = time;
    missed += 1;
    if (missed <= manyMissed) continue;
    const hop = now - (now - time) / 2;
    if (hop - time < 60_000) continue;
    const landed = schedule.next(hop);
    if (landed !== undefined && landed <= now) at = time = landed;
  }
  return at === undefined ? undefined : { at, missed };
}
