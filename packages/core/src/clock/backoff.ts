/**
 * Growing waits between attempts: `initialMs`, then `factor` times longer each time, at most `maxMs`; a wait `w` is then
 * stretched to somewhere in [w, w * (1 + jitter)), client-go's `wait.Jitter`. The cap is applied before the jitter, as there.
 *
 * With `resetAfterMs`, an attempt that comes after so long a quiet time starts from `initialMs` again.
 */
import { type Clock, systemClock } from './clock.js';
import { type Random, systemRandom } from './random.js';

/** Milliseconds. */
export interface BackoffOptions {
  initialMs: number;
  maxMs: number;
  /** Default 2. */
  factor?: number;
  /** Default 0: none. */
  jitter?: number;
  /** Quiet time after which the sequence starts again. Default: never by itself. */
  resetAfterMs?: number;
  clock?: Clock;
  random?: Random;
}

/** One sequence: keep one for each thing that is retried. */
export interface Backoff {
  /** The next wait in milliseconds. */
  next(): number;
  /** Starts the sequence again: call it after a success. */
  reset(): void;
  /** Waits handed out since the start or the last reset. */
  readonly attempts: number;
}

/** client-go `tools/cache` reflector: 800 ms to 30 s, doubled, jitter 1, forgotten after 2 quiet minutes. */
export const reflectorBackoff = { initialMs: 800, maxMs: 30_000, factor: 2, jitter: 1, resetAfterMs: 120_000 } as const;

/** kubelet: a crashing container waits 10 s to 300 s, doubled, forgotten after 10 minutes. */
export const containerRestartBackoff = {
  initialMs: 10_000,
  maxMs: 300_000,
  factor: 2,
  jitter: 0,
  resetAfterMs: 600_000,
} as const;

/** client-go `retry.DefaultBackoff`-like waits between attempts of a write that met a conflict: 10 ms, five-fold. */
export const conflictBackoff = { initialMs: 10, maxMs: 1_000, factor: 5, jitter: 0.1 } as const;

/** A sequence of waits; nothing is started. */
export function backoff(options: BackoffOptions): Backoff {
  const {
    initialMs,
    maxMs,
    factor = 2,
    jitter = 0,
    resetAfterMs,
    clock = systemClock,
    random = systemRandom,
  } = options;
  let attempts = 0;
  let wait = initialMs;
  let last = Number.NEGATIVE_INFINITY;

  function reset(): void {
    attempts = 0;
    wait = initialMs;
  }

  return {
    next() {
      const now = clock.now();
      if (resetAfterMs !== undefined && now - last > resetAfterMs) reset();
      last = now;
      attempts += 1;
      const base = Math.min(wait, maxMs);
      wait = Math.min(wait * factor, maxMs);
      return base + random() * jitter * base;
    },
    reset,
    get attempts() {
      return attempts;
    },
  };
}
