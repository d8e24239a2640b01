/**
 * A queue of keys to work on, with the contract of client-go's `util/workqueue`:
 *
 * - Fair: items are handed out in the order in which they were added, within a priority; see `priority-order.ts`. Without priorities there is one.
 * - Stingy: an item added several times before it is handed out is handed out once.
 * - One worker per item: an item is never handed out while someone works on it. Added meanwhile, it comes again after `done`.
 * - Several producers and consumers.
 * - Later and limited: `addAfter` adds when a delay is over, `addRateLimited` when the rate limiter says so.
 * - Shutdown: no item is taken any more; what is queued is still handed out, then every `get` resolves to undefined.
 *
 * Invariant: every element of `queue` is in `dirty` and not in `processing`; what is dirty and in neither of them does not exist.
 *
 * Items are compared as Map keys are, so use strings. Nothing starts in the constructor.
 */
import { type Clock, type Metrics, systemClock } from '@orbitkit/core';
import { DelayedItems } from './delayed-items.js';
import { type WorkQueueMetrics, workQueueMetrics } from './metrics.js';
import { PriorityOrder } from './priority-order.js';
import { controllerRateLimiter, type RateLimiter } from './rate-limiter.js';

/** Everything has a default. */
export interface WorkQueueOptions<K> {
  /** Label of its metrics. Without it, or without `metrics`, nothing is measured. */
  name?: string;
  metrics?: Metrics;
  clock?: Clock;
  /** Default: client-go's for controllers, see `controllerRateLimiter`. */
  rateLimiter?: RateLimiter<K>;
}

/** Of one add. */
export interface AddOptions {
  /**
   * Higher comes first. Of several adds before the item is handed out the highest counts. Default 0; later adds (`addAfter`, `addRateLimited`) of an
   * item that is being worked on keep the priority with which it was handed out, as controller-runtime's priority queue does.
   */
  priority?: number;
}

/** For what is there and did not just change, such as a first list or a resync (controller-runtime `handler.LowPriority`). */
export const lowPriority = -100;

interface Waiter<K> {
  resolve(item: K | undefined): void;
}

/** Items are told apart as keys of a Map are: use texts. Every item that was handed out must be given to `done`. */
export class WorkQueue<K = string> implements AsyncIterable<K> {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter<K>;
  readonly #delayed: DelayedItems<K>;
  readonly #metrics: WorkQueueMetrics<K> | undefined;

  readonly #queue: PriorityOrder<K>;
  /** Needs work, and with which priority. */
  readonly #dirty = new Map<K, number>();
  readonly #delayedPriority = new Map<K, number>();
  /** Is being worked on, and with which priority it was handed out. */
  readonly #processing = new Map<K, number>();
  readonly #waiters = new Set<Waiter<K>>();
  readonly #drained = new Set<() => void>();
  #shuttingDown = false;

  constructor(options: WorkQueueOptions<K> = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#limiter = options.rateLimiter ?? controllerRateLimiter<K>(this.#clock);
    this.#queue = new PriorityOrder(this.#clock);
    this.#delayed = new DelayedItems(this.#clock, item => {
      const priority = this.#delayedPriority.get(item) ?? 0;
      this.#delayedPriority.delete(item);
      this.add(item, { priority });
    });
    if (options.name && options.metrics) {
      this.#metrics = workQueueMetrics<K>(options.metrics, options.name, this.#clock);
    }
  }

  /** Items that wait to be handed out. Those being worked on and those delayed do not count. */
  get length(): number {
    return this.#queue.size;
  }

  get shuttingDown(): boolean {
    return this.#shuttingDown;
  }

  /** Marks an item as needing work. */
  add(item: K, { priority = 0 }: AddOptions = {}): void {
    if (this.#shuttingDown) return;
    const known = this.#dirty.get(item);
    if (known !== undefined && known >= priority) return;
    this.#dirty.set(item, priority);
    const later = this.#processing.has(item);
    if (!later) this.#queue.add(item, priority);
    if (known !== undefined) return;
    this.#metrics?.added(item, this.length);
    if (!later) this.#handOut();
  }

  /** Adds the item when `ms` milliseconds are over; at once when there is nothing to wait for. */
  addAfter(item: K, ms: number, { priority = this.#processing.get(item) ?? 0 }: AddOptions = {}): void {
    if (this.#shuttingDown) return;
    if (ms <= 0) {
      this.add(item, { priority });
      return;
    }
    const known = this.#delayedPriority.get(item);
    if (known === undefined || known < priority) this.#delayedPriority.set(item, priority);
    this.#delayed.add(item, ms);
  }

  /** Adds the item when the rate limiter lets it. Call `forget` when it succeeded in the end. */
  addRateLimited(item: K, options: AddOptions = {}): void {
    if (this.#shuttingDown) return;
    this.#metrics?.retried();
    this.addAfter(item, this.#limiter.when(item), options);
  }

  /** The item is fine, or given up: its next failure is its first. Does not mark it as done. */
  forget(item: K): void {
    this.#limiter.forget(item);
  }

  /** How often the item was added rate limited since it was forgotten. */
  numRequeues(item: K): number {
    return this.#limiter.numRequeues(item);
  }

  /**
   * The next item, as soon as there is one; undefined when the queue is shut down and empty. Call `done` with it
   * afterwards, whatever happened.
   * @throws signal.reason when aborted while waiting.
   */
  get(options: { signal?: AbortSignal } = {}): Promise<K | undefined> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.length > 0) return Promise.resolve(this.#take());
    if (this.#shuttingDown && !this.#willComeAgain()) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters.delete(waiter);
        reject(signal!.reason);
      };
      const waiter: Waiter<K> = {
        resolve: item => {
          signal?.removeEventListener('abort', onAbort);
          resolve(item);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The work on an item is over. If it was added meanwhile it is queued again. */
  done(item: K): void {
    if (!this.#processing.delete(item)) return;
    this.#metrics?.finished(item);
    const priority = this.#dirty.get(item);
    if (priority !== undefined) this.#queue.add(item, priority);
    this.#handOut();
  }

  /** Takes no more items. What is queued is still handed out. A drain that waits stops waiting. Twice is harmless. */
  shutDown(): void {
    this.#stopTaking();
    this.#releaseDrains();
  }

  /**
   * Takes no more items, and resolves when all that were there are done (or `shutDown` is called).
   * @throws signal.reason when aborted first; the queue stays shut.
   */
  async shutDownWithDrain(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    this.#stopTaking();
    if (this.#empty) return;
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#drained.delete(release);
        reject(signal!.reason);
      };
      const release = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#drained.add(release);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** One worker: `for await (const key of queue)`. An item is done when the loop asks for the next, or ends. */
  async *[Symbol.asyncIterator](): AsyncGenerator<K, void, void> {
    for (let item = await this.get(); item !== undefined; item = await this.get()) {
      try {
        yield item;
      } finally {
        this.done(item);
      }
    }
  }

  get #empty(): boolean {
    return this.length === 0 && this.#processing.size === 0;
  }

  /** Whether something that is being worked on was added again, and so will be handed out once more. */
  #willComeAgain(): boolean {
    return this.#dirty.size > 0;
  }

  #take(): K {
    const item = this.#queue.take();
    this.#processing.set(item, this.#dirty.get(item) ?? 0);
    this.#dirty.delete(item);
    this.#metrics?.started(item, this.length);
    return item;
  }

  #handOut(): void {
    for (const waiter of this.#waiters) {
      if (this.length === 0) break;
      this.#waiters.delete(waiter);
      waiter.resolve(this.#take());
    }
    if (!this.#shuttingDown) return;
    if (this.length === 0 && !this.#willComeAgain()) this.#releaseWaiters();
    if (this.#empty) this.#releaseDrains();
  }

  #stopTaking(): void {
    if (this.#shuttingDown) return;
    this.#shuttingDown = true;
    this.#delayed.clear();
    this.#delayedPriority.clear();
    this.#metrics?.close();
    this.#handOut();
  }

  #releaseWaiters(): void {
    for (const waiter of this.#waiters) waiter.resolve(undefined);
    this.#waiters.clear();
  }

  #releaseDrains(): void {
    for (const release of this.#drained) release();
    this.#drained.clear();
  }
}
