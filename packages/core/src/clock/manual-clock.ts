/**
 * A clock that stands still until it is told to go on: for tests and for simulations.
 *
 * - `advance(ms)` runs the timers that fall due in order of their time (equal times: in the order in which they were
 *   set), with `now()` at each one's own time, and lets promise continuations run in between, so that code which sets
 *   its next timer after `await clock.sleep(…)` is served within the same `advance`.
 * - What a timer throws rejects `advance`; the remaining timers stay set.
 * - Real input and output is not waited for.
 */
import type { Clock } from './clock.js';

/** A clock that a test moves by hand. */
export interface ManualClock extends Clock {
  /** Moves time forward by `ms` and runs what falls due. */
  advance(ms: number): Promise<void>;
  /** Moves time to the next timer and runs all that are due at that moment. False when none is set. */
  runNext(): Promise<boolean>;
  /** Timers and sleeps that are set. A component that was closed leaves 0. */
  readonly pending: number;
  /** Time of the next timer in milliseconds since 1970. */
  readonly nextAt: number | undefined;
}

interface Timer {
  at: number;
  order: number;
  run: (() => void) | undefined;
}

const earlier = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A binary heap: a simulation of thousands of nodes keeps tens of thousands of timers. */
function timerHeap() {
  const heap: Timer[] = [];
  const swap = (i: number, j: number) => {
    const held = heap[i]!;
    heap[i] = heap[j]!;
    heap[j] = held;
  };
  return {
    peek: () => heap[0],
    push(timer: Timer): void {
      heap.push(timer);
      for (let i = heap.length - 1; i > 0; ) {
        const parent = (i - 1) >> 1;
        if (!earlier(heap[i]!, heap[parent]!)) return;
        swap(i, parent);
        i = parent;
      }
    },
    pop(): void {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
      for (let i = 0; ; ) {
        const left = 2 * i + 1;
        const right = left + 1;
        let least = i;
        if (left < heap.length && earlier(heap[left]!, heap[least]!)) least = left;
        if (right < heap.length && earlier(heap[right]!, heap[least]!)) least = right;
        if (least === i) return;
        swap(i, least);
        i = least;
      }
    },
  };
}

/** All promise continuations that can run, have run. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** @param startMs Milliseconds since 1970. Default: the start of 2026, so that dates in output look like dates. */
export function manualClock(startMs: number = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = timerHeap();
  let now = startMs;
  let order = 0;
  let pending = 0;

  function setTimer(ms: number, run: () => void): { cancel(): void } {
    const timer: Timer = { at: now + Math.max(0, ms), order: order++, run };
    timers.push(timer);
    pending += 1;
    return {
      cancel() {
        if (timer.run) pending -= 1;
        timer.run = undefined;
      },
    };
  }

  /** The next timer that was not cancelled. */
  function next(): Timer | undefined {
    for (let timer = timers.peek(); timer; timer = timers.peek()) {
      if (timer.run) return timer;
      timers.pop();
    }
    return undefined;
  }

  async function runUntil(limit: number): Promise<void> {
    await settle();
    for (let timer = next(); timer && timer.at <= limit; timer = next()) {
      now = Math.max(now, timer.at);
      timers.pop();
      pending -= 1;
      const run = timer.run!;
      timer.run = undefined;
      run();
      if (next()?.at !== now) await settle();
    }
  }

  return {
    now: () => now,
    setTimer,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          timer.cancel();
          reject(signal!.reason);
        };
        const timer = setTimer(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
    async advance(ms) {
      const limit = now + ms;
      await runUntil(limit);
      now = Math.max(now, limit);
    },
    async runNext() {
      await settle();
      const timer = next();
      if (!timer) return false;
      await runUntil(timer.at);
      return true;
    },
    get pending() {
      return pending;
    },
    get nextAt() {
      return next()?.at;
    },
  };
}
