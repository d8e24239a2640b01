/** Waits until something holds, for tests of what happens sooner or later. */
import { type Clock, systemClock } from '@orbitkit/core';

export interface EventuallyOptions {
  /** Default 10 s. */
  timeoutMs?: number;
  /** Default 10 ms. */
  intervalMs?: number;
  clock?: Clock;
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
    await clock.sleep(intervalMs);
  }
}
