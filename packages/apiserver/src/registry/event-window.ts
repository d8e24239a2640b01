/**
 * The last events of one resource, from which a watch can start in the past. Bounded by count, by bytes and by age; `since` is the
 * revision up to which events were dropped: a watch may start there or later.
 */
import type { CacheEvent } from './watch-events.js';

export interface WindowBounds {
  /** Default 10,000. */
  events?: number;
  /** Bytes of the objects. Default 16 MiB. */
  bytes?: number;
  /** Default 10 minutes; so long can a client be away and still resume without listing again. */
  ageMs?: number;
}

export class EventWindow {
  readonly #events: number;
  readonly #maxBytes: number;
  readonly #ageMs: number;
  #ring: (CacheEvent | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #since: bigint;

  constructor(since: bigint, { events = 10_000, bytes = 16 << 20, ageMs = 600_000 }: WindowBounds = {}) {
    this.#since = since;
    this.#events = events;
    this.#maxBytes = bytes;
    this.#ageMs = ageMs;
  }

  get since(): bigint {
    return this.#since;
  }
  get length(): number {
    return this.#ring.length - this.#head;
  }

  push(event: CacheEvent): void {
    this.#ring.push(event);
    this.#bytes += event.object.size;
    while (this.length > 1) {
      const oldest = this.#ring[this.#head]!;
      if (this.length <= this.#events && this.#bytes <= this.#maxBytes && event.time - oldest.time <= this.#ageMs)
        break;
      this.#ring[this.#head++] = undefined;
      this.#bytes -= oldest.object.size;
      this.#since = oldest.revision;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#ring.length) {
      this.#ring = this.#ring.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The events after a revision, which must not be before `since`. */
  after(revision: bigint): CacheEvent[] {
    let low = this.#head;
    let high = this.#ring.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ring[middle]!.revision > revision) high = middle;
      else low = middle + 1;
    }
    return this.#ring.slice(low) as CacheEvent[];
  }
}
