/** Time that passes only from event to event. Of the same instant, what was planned first comes first; nothing here waits. */
import type { Clock } from '@orbitkit/core';
import { Heap } from '../queue/heap.js';

interface Planned {
  readonly at: number;
  readonly sequence: number;
  run: (() => void) | undefined;
}

export class VirtualClock implements Clock {
  #now: number;
  #sequence = 0;
  readonly #planned = new Heap<Planned>((a, b) => a.at - b.at || a.sequence - b.sequence);

  /** @param start milliseconds since 1970 */
  constructor(readonly start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }
  /** Seconds since the start. */
  get seconds(): number {
    return (this.#now - this.start) / 1_000;
  }

  /** At that many seconds since the start, or now if that is over. */
  at(seconds: number, run: () => void): { cancel(): void } {
    const planned: Planned = {
      at: Math.max(this.#now, this.start + seconds * 1_000),
      sequence: this.#sequence++,
      run,
    };
    this.#planned.push(planned);
    return {
      cancel: () => {
        planned.run = undefined;
      },
    };
  }
  setTimer(ms: number, run: () => void): { cancel(): void } {
    return this.at(this.seconds + ms / 1_000, run);
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        timer.cancel();
        reject(signal!.reason);
      };
      const timer = this.setTimer(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** When the next thing is planned, in milliseconds since 1970; Infinity when nothing is. */
  get next(): number {
    for (let top = this.#planned.peek(); top; top = this.#planned.peek()) {
      if (top.run) return top.at;
      this.#planned.pop();
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Goes to that time and runs what is planned until then. */
  advanceTo(ms: number): void {
    this.#now = Math.max(this.#now, ms);
    while (this.next <= this.#now) this.#planned.pop()!.run!();
  }
}
