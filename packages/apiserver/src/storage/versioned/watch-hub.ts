/**
 * Hands the writes of each commit to the watchers whose prefix they fall under, and to no other: a commit costs one lookup per
 * distinct prefix length, however many watchers there are. Watchers of one prefix share the same batch object.
 *
 * A watcher that does not read keeps at most `queueBytes` of events; then it is cut off with WatchOverflowError (its reader lists
 * again) and never slows a writer. Batches that wait are handed out as one. When other prefixes are written, an idle watcher
 * gets a batch without events at most every `progressMs`, so that its reader knows how far it is.
 */
import type { Clock } from '@orbitkit/core';
import {
  CompactedError,
  type StoreBatch,
  type StoreEvent,
  type StoreUnavailableError,
  WatchOverflowError,
} from '../contract.js';

/** Where a watcher gets what was written before it came. */
export interface WatchSource {
  readonly revision: bigint;
  /** @throws CompactedError */
  eventsAfter(prefix: string, revision: bigint): StoreEvent[];
}

export interface WatchHubOptions {
  clock: Clock;
  queueBytes: number;
  progressMs: number;
}

/** What an event without a value costs to keep, roughly. */
const eventOverhead = 128;

export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** Distinct prefix lengths, and how many prefixes have each. */
  readonly #lengths = new Map<number, number>();
  #revision = 0n;
  #progress: { cancel(): void } | undefined;
  #closed: StoreUnavailableError | undefined;

  constructor(options: WatchHubOptions) {
    this.#options = options;
  }

  /** For metrics and tests. */
  get size(): number {
    let size = 0;
    for (const group of this.#watchers.values()) size += group.size;
    return size;
  }

  /** Each iteration is a watcher of its own; it starts with the first `next()`. */
  watch(prefix: string, fromRevision: bigint, signal: AbortSignal, source: WatchSource): AsyncIterable<StoreBatch> {
    return {
      [Symbol.asyncIterator]: () => {
        let watcher: Watcher | undefined;
        const start = (): Watcher => {
          if (this.#closed) throw this.#closed;
          const from = fromRevision > source.revision ? fromRevision : source.revision;
          const first: StoreBatch = { events: source.eventsAfter(prefix, fromRevision), revision: source.revision };
          watcher = new Watcher(prefix, from, first, this.#options.queueBytes, signal, ended => this.#remove(ended));
          this.#add(watcher);
          return watcher;
        };
        const done = { done: true, value: undefined } as const;
        return {
          next: async () => (watcher === undefined && signal.aborted ? done : (watcher ?? start()).next()),
          return: async () => {
            watcher?.end();
            return done;
          },
        };
      },
    };
  }

  /** One commit: its events in order, and the store's revision after it. */
  publish(events: readonly StoreEvent[], revision: bigint): void {
    this.#revision = revision;
    if (this.#watchers.size === 0) return;
    const touched = new Map<Set<Watcher>, StoreEvent[]>();
    for (const event of events) {
      for (const length of this.#lengths.keys()) {
        if (length > event.key.length) continue;
        const group = this.#watchers.get(length === event.key.length ? event.key : event.key.slice(0, length));
        if (group === undefined) continue;
        const batch = touched.get(group);
        if (batch === undefined) touched.set(group, [event]);
        else batch.push(event);
      }
    }
    for (const [group, groupEvents] of touched) {
      const batch: StoreBatch = { events: groupEvents, revision };
      let bytes = 0;
      for (const event of groupEvents) bytes += event.value.length + eventOverhead;
      for (const watcher of group) watcher.push(batch, bytes);
    }
    this.#progress ??= this.#options.clock.setTimer(this.#options.progressMs, () => this.#tellProgress());
  }

  /** Everything up to the revision was published: tells the watchers that have not heard of it, at once. */
  progress(revision: bigint): void {
    if (revision > this.#revision) this.#revision = revision;
    this.#tellProgress();
  }

  /** Ends the watchers of now with the error; new ones may come. */
  cutOff(error: unknown): void {
    for (const group of [...this.#watchers.values()]) for (const watcher of [...group]) watcher.end(error);
  }

  /** Ends every watcher with the error. */
  close(error: StoreUnavailableError): void {
    this.#closed ??= error;
    this.#progress?.cancel();
    for (const group of [...this.#watchers.values()]) for (const watcher of [...group]) watcher.end(this.#closed);
  }

  #tellProgress(): void {
    this.#progress?.cancel();
    this.#progress = undefined;
    const batch: StoreBatch = { events: [], revision: this.#revision };
    for (const group of this.#watchers.values()) {
      for (const watcher of group) if (watcher.pushed < this.#revision) watcher.push(batch, 0);
    }
  }

  #add(watcher: Watcher): void {
    const group = this.#watchers.get(watcher.prefix);
    if (group !== undefined) {
      group.add(watcher);
      return;
    }
    this.#watchers.set(watcher.prefix, new Set([watcher]));
    const { length } = watcher.prefix;
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
  }

  #remove(watcher: Watcher): void {
    const group = this.#watchers.get(watcher.prefix);
    if (!group?.delete(watcher) || group.size > 0) return;
    this.#watchers.delete(watcher.prefix);
    const { length } = watcher.prefix;
    const left = this.#lengths.get(length)! - 1;
    if (left === 0) this.#lengths.delete(length);
    else this.#lengths.set(length, left);
  }
}

type Next = IteratorResult<StoreBatch, undefined>;

class Watcher {
  /** The revision of the newest batch that was handed over or queued. */
  pushed: bigint;
  #queue: StoreBatch[];
  #bytes = 0;
  #waiting: { resolve(next: Next): void; reject(error: unknown): void }[] = [];
  #ended = false;
  #error: unknown;
  readonly #from: bigint;
  readonly #onAbort = () => this.end();

  constructor(
    readonly prefix: string,
    from: bigint,
    first: StoreBatch,
    private readonly queueBytes: number,
    private readonly signal: AbortSignal,
    private readonly onEnd: (watcher: Watcher) => void,
  ) {
    this.#from = from;
    this.pushed = from;
    // What came before the watcher does not count against its queue: those events are the store's own history.
    this.#queue = [first];
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  next(): Promise<Next> {
    if (this.#queue.length > 0) return Promise.resolve({ done: false, value: this.#take() });
    if (this.#ended) {
      const error = this.#error;
      this.#error = undefined;
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  push(batch: StoreBatch, bytes: number): void {
    if (batch.revision <= this.#from) return;
    if (this.pushed === this.#from && batch.events.length > 0 && batch.events[0]!.revision <= this.#from) {
      batch = { ...batch, events: batch.events.filter(event => event.revision > this.#from) };
    }
    this.pushed = batch.revision;
    const reader = this.#waiting.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: batch });
      return;
    }
    this.#bytes += bytes;
    if (this.#bytes > this.queueBytes) {
      this.end(new WatchOverflowError(this.queueBytes));
      return;
    }
    this.#queue.push(batch);
  }

  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    this.signal.removeEventListener('abort', this.#onAbort);
    this.onEnd(this);
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) this.#error = error;
    waiting.forEach((reader, i) => {
      if (i === 0 && error !== undefined) reader.reject(error);
      else reader.resolve({ done: true, value: undefined });
    });
  }

  #take(): StoreBatch {
    const queue = this.#queue;
    this.#queue = [];
    this.#bytes = 0;
    if (queue.length === 1) return queue[0]!;
    return { events: queue.flatMap(batch => batch.events), revision: queue[queue.length - 1]!.revision };
  }
}

/** For sources: refuses a start that is older than the events that are left. */
export function checkWatchStart(fromRevision: bigint, compacted: bigint): void {
  // An empty store begins at revision 1, which no write has: before the first compaction nothing is missing after 0 either.
  if (fromRevision < compacted && compacted > 1n) throw new CompactedError(fromRevision, compacted);
}
