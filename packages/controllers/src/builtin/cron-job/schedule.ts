/**
 * When a CronJob is due: the times of a schedule of five fields, of a word (`@daily`) or of `@every 90m`, in a time zone.
 *
 * The rules are kube-controller-manager's (robfig/cron v3):
 * - when both the day of month and the day of week are restricted, either will do; `*`, `?` and steps of one restrict nothing;
 * - a time that a zone skips when its clocks go forward does not come that day; one that it has twice when they go back comes twice.
 */
import { cronProblem } from '@orbitkit/core';
import { milliseconds } from '../../duration.js';
import { firstOfDay, isTimeZone, localTime } from './time-zone.js';

export interface Schedule {
  /** The first time after `after`, both in milliseconds since 1970; undefined when none comes in five years (`0 0 30 2 *`). */
  next(after: number): number | undefined;
}

interface Field {
  values: ReadonlySet<number>;
  isRestricted: boolean;
}

const minuteMs = 60_000;
const yearMs = 366 * 24 * 60 * minuteMs;

const words: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const bounds = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
] as const;

/** @throws Error when the schedule or the zone cannot be read. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule {
  const trimmed = text.trim();
  const problem = cronProblem(trimmed);
  if (problem) throw new Error(problem);
  if (!isTimeZone(timeZone)) throw new Error(`unknown time zone ${timeZone}`);
  const every = /^@every\s+(\S+)$/.exec(trimmed);
  if (every) {
    const period = Math.max(1000, Math.floor(milliseconds(every[1]!) / 1000) * 1000);
    return { next: after => Math.floor(after / 1000) * 1000 + period };
  }
  const fields = (words[trimmed] ?? trimmed).split(/\s+/).map(fieldOf) as [Field, Field, Field, Field, Field];
  return { next: after => nextTime(fields, timeZone, after) };
}

/** `1-5,10/2`; what cannot be was refused before. */
function fieldOf(text: string, index: number): Field {
  const { min, max, names } = bounds[index]!;
  const values = new Set<number>();
  let isRestricted = true;
  const numberOf = (word: string) => {
    const named = (names as readonly string[]).indexOf(word.toLowerCase());
    return named >= 0 ? named + min : Number(word);
  };
  for (const part of text.split(',').filter(Boolean)) {
    const [range = '', step] = part.split('/');
    const [low = '', high] = range.split('-');
    const isAll = low === '*' || low === '?';
    const by = step === undefined ? 1 : Number(step);
    const first = isAll ? min : numberOf(low);
    // `5/2` goes on to the end.
    const last = isAll || (high === undefined && step !== undefined) ? max : numberOf(high ?? low);
    for (let value = first; value <= last; value += by) values.add(value);
    if (isAll && by === 1) isRestricted = false;
  }
  return { values, isRestricted };
}

/** Goes on by months, days, hours and minutes, as long as one of them does not fit. */
function nextTime(
  [minutes, hours, days, months, weekdays]: readonly [Field, Field, Field, Field, Field],
  timeZone: string,
  after: number,
): number | undefined {
  const isDay = (day: number, weekday: number) => {
    const [byDay, byWeekday] = [days.values.has(day), weekdays.values.has(weekday)];
    return days.isRestricted && weekdays.isRestricted ? byDay || byWeekday : byDay && byWeekday;
  };
  let time = (Math.floor(after / minuteMs) + 1) * minuteMs;
  for (const end = after + 5 * yearMs; time <= end; ) {
    const { year, month, day, weekday, hour, minute } = localTime(timeZone, time);
    if (!months.values.has(month)) time = firstOfDay(timeZone, year, month + 1, 1);
    else if (!isDay(day, weekday)) time = firstOfDay(timeZone, year, month, day + 1);
    else if (!hours.values.has(hour)) time += (60 - minute) * minuteMs;
    else if (!minutes.values.has(minute)) {
      let later = minute + 1;
      while (later < 60 && !minutes.values.has(later)) later += 1;
      time += (later - minute) * minuteMs;
    } else return time;
  }
  return undefined;
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
