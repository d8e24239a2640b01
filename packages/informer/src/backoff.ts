/**
 * Waits between attempts that failed: exponential with jitter, back to the start after a quiet time.
 *
 * Defaults are those of client-go's reflector (`tools/cache/reflector.go`): 800 ms to 30 s, factor 2, jitter 1 (a wait
 * is stretched by up to its own length), forgotten after 2 minutes without a failure.
 */
import { type Clock, systemClock } from '@orbitkit/core';

export interface BackoffOptions {
  initialMs?: number;
  maxMs?: number;
  factor?: number;
  jitter?: number;
  resetAfterMs?: number;
  clock?: Clock;
  /** In [0, 1). */
  random?: () => number;
}

export interface Backoff {
  /** Counts a failure and says how long to wait, in milliseconds. */
  next(): number;
  reset(): void;
}

export function backoff(options: BackoffOptions = {}): Backoff {
  const { initialMs = 800, maxMs = 30_000, factor = 2, jitter = 1, resetAfterMs = 120_000 } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  let current = initialMs;
  let last = Number.NEGATIVE_INFINITY;
  return {
    next() {
      const now = clock.now();
      if (now - last > resetAfterMs) current = initialMs;
      last = now;
      const wait = current * (1 + random() * jitter);
      current = Math.min(current * factor, maxMs);
      return wait;
    },
    reset() {
      current = initialMs;
      last = Number.NEGATIVE_INFINITY;
    },
  };
}
