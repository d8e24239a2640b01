/**
 * Waits until something holds, for tests of what happens sooner or later; and watches that something goes on to hold, for what must not happen.
 *
 * With a manual clock each look also moves that clock on by the interval: backoffs, delays and resyncs of the controllers under test then
 * take no real time.
 */
import { type Clock, type ManualClock, systemClock } from '@orbitkit/core';

/** How long it is waited, and how often looked. */
export interface EventuallyOptions {
  /** Default 10 s. */
  timeoutMs?: number;
  /** Default 10 ms. */
  intervalMs?: number;
  /** Of a manual clock, whose time is then what passes. */
  clock?: Clock | ManualClock;
}

/** How long it is watched. */
export type ConsistentlyOptions = Omit<EventuallyOptions, 'timeoutMs'> & {
  /** Default 200 ms. */
  forMs?: number;
};

/** Lets the time between two looks pass; a manual clock's by moving it on, and with it what is real about the process by a turn. */
async function pass(clock: Clock | ManualClock, ms: number): Promise<void> {
  if ('advance' in clock) {
    await clock.advance(ms);
    await systemClock.sleep(1);
  } else await clock.sleep(ms);
}

/**
 * Calls `check` until it neither throws nor returns false or undefined, and returns its value.
 * @throws the last error of `check`, with how long was waited.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 10, clock = systemClock }: EventuallyOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const until = clock.now() + timeoutMs;
  for (;;) {
    let problem: unknown;
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value as Exclude<T, false | undefined>;
    } catch (error) {
      problem = error;
    }
    if (clock.now() >= until) {
      const why = problem instanceof Error ? problem.message : 'the check said no';
      throw new Error(`not within ${timeoutMs / 1000} s: ${why}`, { cause: problem });
    }
    await pass(clock, intervalMs);
  }
}

/**
 * Calls `check` again and again; all is well as long as it neither throws nor returns false.
 * @throws Error when it did, with how long it had held.
 */
export async function consistently(
  check: () => unknown,
  { forMs = 200, intervalMs = 10, clock = systemClock }: ConsistentlyOptions = {},
): Promise<void> {
  const began = clock.now();
  for (;;) {
    let problem: unknown;
    try {
      if ((await check()) === false) problem = new Error('the check said no');
    } catch (error) {
      problem = error;
    }
    const heldMs = clock.now() - began;
    if (problem !== undefined) {
      const why = problem instanceof Error ? problem.message : String(problem);
      throw new Error(`it held for ${heldMs} ms, then no more: ${why}`, { cause: problem });
    }
    if (heldMs >= forMs) return;
    await pass(clock, intervalMs);
  }
}
