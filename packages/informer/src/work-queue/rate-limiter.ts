/**
 * How long an item has to wait before it is tried again. `when` counts the attempt; `forget` makes the item new again.
 *
 * The default for controllers is client-go's (`util/workqueue/default_rate_limiters.go`): the longer of a per-item
 * exponential back-off, 5 ms doubled up to 1000 s, and an overall bucket of 10 a second with a burst of 100.
 */
import { type Clock, systemClock } from '@orbitkit/core';

/** Decides about waits; it keeps no timers. */
export interface RateLimiter<K> {
  /** Milliseconds to wait. Counts as one more attempt. */
  when(item: K): number;
  /** The item succeeded, or nobody will try it again. */
  forget(item: K): void;
  /** Attempts since the item was last forgotten. */
  numRequeues(item: K): number;
}

/** 5 ms, the first wait of an item that failed. */
const itemBackoffBaseMs = 5;
/** 1000 s, the longest. */
const itemBackoffMaxMs = 1_000_000;
const overallQps = 10;
const overallBurst = 100;

/** `base * 2^failures`, at most `max`. Each item by itself. */
export function itemExponentialRateLimiter<K>(baseMs = itemBackoffBaseMs, maxMs = itemBackoffMaxMs): RateLimiter<K> {
  const failures = new Map<K, number>();
  return {
    when(item) {
      const attempts = failures.get(item) ?? 0;
      failures.set(item, attempts + 1);
      return Math.min(baseMs * 2 ** attempts, maxMs);
    },
    forget: item => void failures.delete(item),
    numRequeues: item => failures.get(item) ?? 0,
  };
}

/** One token bucket for all items: each call reserves the next token and says when it will be there. */
export function bucketRateLimiter<K>(options: { qps?: number; burst?: number; clock?: Clock } = {}): RateLimiter<K> {
  const { qps = overallQps, burst = overallBurst, clock = systemClock } = options;
  let tokens = burst;
  let at: number | undefined;
  return {
    when() {
      const now = clock.now();
      tokens = Math.min(burst, tokens + (Math.max(0, now - (at ?? now)) / 1000) * qps);
      at = now;
      tokens -= 1;
      return tokens >= 0 ? 0 : (-tokens / qps) * 1000;
    },
    forget() {},
    numRequeues: () => 0,
  };
}

/** The longest wait of several limiters; every one of them counts the attempt. */
export function maxOfRateLimiter<K>(...limiters: RateLimiter<K>[]): RateLimiter<K> {
  return {
    when: item => limiters.reduce((longest, limiter) => Math.max(longest, limiter.when(item)), 0),
    forget: item => {
      for (const limiter of limiters) limiter.forget(item);
    },
    numRequeues: item => limiters.reduce((most, limiter) => Math.max(most, limiter.numRequeues(item)), 0),
  };
}

/** client-go's default for controllers; one for each queue, since it counts attempts. */
export function controllerRateLimiter<K>(clock: Clock = systemClock): RateLimiter<K> {
  return maxOfRateLimiter<K>(itemExponentialRateLimiter(), bucketRateLimiter({ clock }));
}
