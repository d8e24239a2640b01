/**
 * One reader of a watch: first what was there when it came, then batches as they are pushed, in order.
 *
 * The queue is bounded by bytes: a reader that falls further behind is closed (its client resumes from the last event it got) and
 * never slows a writer. What was there at the start is produced piece by piece as it is read, so that a watch on a hundred
 * thousand objects neither blocks the loop nor fills the queue. Ends on abort, on the reader's `return`, after its last event.
 */
import type { WatchBatch, WatchEvent } from './contract.js';
import { EventBatch } from './watch-events.js';

export interface WatcherOptions {
  /** Pieces of the start; an empty piece means: nothing yet, let others run. */
  initial: Iterator<readonly WatchEvent[], void>;
  queueBytes: number;
  signal: AbortSignal;
  onEnd(watcher: Watcher): void;
}

type Next = IteratorResult<WatchBatch, undefined>;

/** Readers that fell behind alike take the same batches as one; the one that was made last is shared. */
let merged: { readonly parts: readonly EventBatch[]; readonly whole: EventBatch } | undefined;

function merge(parts: readonly EventBatch[]): EventBatch {
  if (parts.length === 1) return parts[0]!;
  if (merged?.parts.length === parts.length && merged.parts.every((part, i) => part === parts[i])) return merged.whole;
  merged = { parts, whole: new EventBatch(parts.flatMap(batch => batch.events)) };
  return merged.whole;
}

const done: Next = { done: true, value: undefined };

export class Watcher implements AsyncIterable<WatchBatch> {
  #initial: WatcherOptions['initial'] | undefined;
  #queue: EventBatch[] = [];
  #bytes = 0;
  #waiting: ((next: Next) => void) | undefined;
  #ended = false;
  #drop = false;
  readonly #options: WatcherOptions;
  readonly #onAbort = () => this.close();
  /** Set when it was closed because its reader did not keep up. */
  overflowed = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#initial = options.initial;
    if (options.signal.aborted) this.close();
    else options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The same batch may be pushed to many watchers. */
  push(batch: EventBatch): void {
    if (this.#ended) return;
    const reader = this.#waiting;
    if (reader !== undefined) {
      this.#waiting = undefined;
      reader({ done: false, value: batch });
      return;
    }
    this.#bytes += batch.size;
    if (this.#bytes > this.#options.queueBytes) {
      this.overflowed = true;
      this.close();
      return;
    }
    this.#queue.push(batch);
  }

  /** The stream ends after what is queued, and after these events. */
  finish(...last: WatchEvent[]): void {
    if (this.#ended) return;
    if (last.length > 0) {
      const batch = new EventBatch(last);
      const reader = this.#waiting;
      this.#waiting = undefined;
      if (reader !== undefined) reader({ done: false, value: batch });
      else this.#queue.push(batch);
    }
    this.#end();
  }

  /** Ends at once; what is queued is dropped. */
  close(): void {
    this.#drop = true;
    this.#initial = undefined;
    this.#queue = [];
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#waiting?.(done);
    this.#waiting = undefined;
    this.#options.onEnd(this);
  }

  async #next(): Promise<Next> {
    while (this.#initial !== undefined) {
      const piece = this.#initial.next();
      if (piece.done) this.#initial = undefined;
      else if (piece.value.length > 0) return { done: false, value: new EventBatch(piece.value) };
      else await new Promise(resolve => setImmediate(resolve));
    }
    if (this.#drop) return done;
    if (this.#queue.length > 0) {
      const queue = this.#queue;
      this.#queue = [];
      this.#bytes = 0;
      return { done: false, value: merge(queue) };
    }
    if (this.#ended) return done;
    return this.#pushed();
  }

  /** What is pushed next. */
  #pushed(): Promise<Next> {
    return new Promise(resolve => {
      this.#waiting = resolve;
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch, undefined> {
    return {
      // Mostly it waits for what comes.
      next: () =>
        this.#initial === undefined && this.#queue.length === 0 && !this.#ended ? this.#pushed() : this.#next(),
      return: async () => {
        this.close();
        return done;
      },
    };
  }
}
