/**
 * The events of a store in etcd, in order, once: one watch over all of the store's keys, from which every watch of this process is served.
 *
 * - It goes on where it was after any break of the stream; what was written meanwhile comes then. When that is compacted away, every
 *   watcher is told so (CompactedError), and the feed begins anew.
 * - Recent events are kept, so that a watch from the recent past costs etcd nothing. A watch from before them reads the past through a
 *   watch of its own, up to a marker that is written for it, and joins the others there.
 * - `expect` tells that etcd is at a revision. When no event brings the feed there (other users of etcd write too), a marker is written
 *   whose event does. etcd's own answer to a request for progress may overtake events (before 3.4.25 and 3.5.8), so it is not used;
 *   the progress that etcd tells of itself is.
 */
import type { Clock } from '@orbitkit/core';
import {
  CompactedError,
  type StoreBatch,
  type StoreEvent,
  type StoreUnavailableError,
  WatchOverflowError,
} from '../contract.js';
import { WatchHub, type WatchSource } from '../versioned/watch-hub.js';
import type { KeySpace } from './key-space.js';
import type { WatchAnswer, WatchEvent } from './messages.js';
import type { WatchStream } from './watch-stream.js';

export interface WatchFeedOptions {
  readonly stream: WatchStream;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly queueBytes: number;
  readonly progressMs: number;
  /** How long a revision may be ahead of the watches before a marker is written. */
  readonly markAfterMs: number;
  /** Added to etcd's revisions. */
  readonly revisionOffset: bigint;
  /** etcd's revision now, read from a quorum. */
  readonly start: bigint;
  /** The oldest revision that etcd still has. */
  oldest(): Promise<bigint>;
  /** Writes the marker; the revision of that write, offset included. */
  mark(): Promise<bigint>;
  /** A write to one of the store's own keys. Must not throw. */
  own(event: { type: 'put' | 'delete'; key: ReturnType<KeySpace['parse']> }): void;
  /** The cluster behind the addresses is another one than before. */
  replaced(): void;
}

/** Kept events: enough for every watch that begins from a list. */
const keptEvents = 20_000;
const keptBytes = 16 * 1024 * 1024;
/** etcd looks at a new watch that begins in the past up to 100 ms late (`syncWatchersLoop`). */
const syncMs = 150;
/** Markers are written at most this often. */
const markEveryMs = 250;
/** What a watch from the far past may be ahead of its reader. */
const replayBytes = 64 * 1024 * 1024;

export class WatchFeed {
  readonly #options: WatchFeedOptions;
  readonly #hub: WatchHub;
  readonly #source: WatchSource;
  #main: { cancel(): void } | undefined;
  /** Everything up to it was published. */
  #position: bigint;
  /** Events after it are kept. */
  #trimmed: bigint;
  #kept: (StoreEvent | undefined)[] = [];
  #head = 0;
  #keptBytes = 0;
  #clusterId = 0n;
  #expected = 0n;
  #expecting: { cancel(): void } | undefined;
  #marked = Number.NEGATIVE_INFINITY;
  #created = performance.now();
  #closed: StoreUnavailableError | undefined;
  /** Wakes the watches that read the past. */
  readonly #replays = new Set<() => void>();

  constructor(options: WatchFeedOptions) {
    this.#options = options;
    this.#position = options.start + options.revisionOffset;
    this.#trimmed = this.#position;
    const { clock, queueBytes, progressMs } = options;
    this.#hub = new WatchHub({ clock, queueBytes, progressMs });
    const feed = this;
    this.#source = {
      get revision() {
        return feed.#position;
      },
      eventsAfter: (prefix, revision) => feed.#eventsAfter(prefix, revision),
    };
  }

  get position(): bigint {
    return this.#position;
  }

  /** Resolves when etcd watches. */
  start(): Promise<void> {
    // A watch that begins behind the newest revision is up to date at once; later ones begin at what was seen (see #resumeAt).
    let first = true;
    return new Promise(resolve => {
      this.#follow(
        () => {
          const at = this.#resumeAt(this.#position);
          return first ? at + 1n : at;
        },
        () => {
          if (first) this.#checkStart(this.#position);
          first = false;
          resolve();
        },
      );
    });
  }

  #follow(start: () => bigint, created: () => void): void {
    const { stream, keys } = this.#options;
    this.#main?.cancel();
    this.#main = stream.add({
      key: keys.all.key,
      rangeEnd: keys.all.end,
      start,
      answer: answer => {
        if (answer.created) created();
        this.#receive(answer);
      },
    });
  }

  /** Begins anew where the kept history begins, or where the feed is. */
  #again(): void {
    this.#follow(
      () => this.#resumeAt(this.#position),
      () => undefined,
    );
  }

  /** What was compacted between the read of the start and the watch may have taken the event behind it along. */
  #checkStart(position: bigint): void {
    this.#options.oldest().then(
      oldest => {
        if (oldest > position) this.#lost(oldest);
      },
      () => this.#again(),
    );
  }

  #lost(oldest: bigint): void {
    if (this.#closed) return;
    this.#hub.cutOff(new CompactedError(this.#position, oldest));
    if (oldest > this.#position) this.#position = oldest;
    this.#dropKept(this.#position);
    this.#again();
  }

  watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncIterable<StoreBatch> {
    return {
      [Symbol.asyncIterator]: () => {
        let chosen: AsyncIterator<StoreBatch> | undefined;
        const done = { done: true, value: undefined } as const;
        return {
          next: async () => {
            if (chosen === undefined) {
              if (this.#closed) throw this.#closed;
              if (signal.aborted) return done;
              chosen = this.#keeps(fromRevision)
                ? this.#hub.watch(prefix, fromRevision, signal, this.#source)[Symbol.asyncIterator]()
                : this.#replay(prefix, fromRevision, signal);
            }
            return chosen.next();
          },
          return: async () => {
            await chosen?.return?.();
            return done;
          },
        };
      },
    };
  }

  /** etcd is at this revision: the feed has to get there. */
  expect(revision: bigint): void {
    if (revision <= this.#position || revision <= this.#expected) return;
    this.#expected = revision;
    if (this.#expecting !== undefined || this.#closed) return;
    const { clock, markAfterMs } = this.#options;
    const wait = Math.max(
      markAfterMs,
      this.#created + syncMs - performance.now(),
      this.#marked + markEveryMs - performance.now(),
    );
    this.#expecting = clock.setTimer(wait, () => {
      this.#expecting = undefined;
      // Events are on their way, or will be when the stream stands again: the rest is for the next look.
      if (this.#position >= revision) this.#expectAgain();
      else if (this.#options.stream.healthy && !this.#closed) {
        this.#marked = performance.now();
        this.#options.mark().catch(() => this.#forget());
      } else this.#forget();
    });
  }

  /** Watches from before this revision are refused from now on. */
  compacted(revision: bigint): void {
    while (this.#head < this.#kept.length && this.#kept[this.#head]!.revision <= revision) this.#forgetOldest();
    if (revision > this.#trimmed) this.#trimmed = revision;
  }

  close(error: StoreUnavailableError): void {
    this.#closed ??= error;
    this.#expecting?.cancel();
    this.#main?.cancel();
    this.#hub.close(error);
    for (const wake of this.#replays) wake();
  }

  #expectAgain(): void {
    const expected = this.#expected;
    this.#expected = 0n;
    this.expect(expected);
  }
  /** The next read that finds etcd ahead asks again. */
  #forget(): void {
    this.#expected = 0n;
  }

  /** etcd's revision to watch from, so that nothing after this one is missed: from it, not behind it, or a compaction would go unseen. */
  #resumeAt(position: bigint): bigint {
    const at = position - this.#options.revisionOffset;
    return at > 0n ? at : 1n;
  }

  #receive(answer: WatchAnswer): void {
    if (this.#closed) return;
    const { revisionOffset, keys, own, replaced } = this.#options;
    if (answer.clusterId !== 0n && answer.clusterId !== this.#clusterId) {
      if (this.#clusterId !== 0n) {
        replaced();
        return;
      }
      this.#clusterId = answer.clusterId;
    }
    if (answer.canceled) {
      // Nothing is missing after the oldest revision that is left.
      this.#lost(answer.compactRevision + revisionOffset);
      return;
    }
    if (answer.created) {
      this.#created = performance.now();
      return;
    }
    if (answer.events.length === 0) {
      this.#advance(answer.revision + revisionOffset);
      this.#hub.progress(this.#position);
      return;
    }
    const events: StoreEvent[] = [];
    let position = this.#position;
    for (const event of answer.events) {
      const revision = event.entry.modRevision + revisionOffset;
      if (revision <= this.#position) continue;
      position = revision;
      const key = keys.parse(event.entry.key);
      if (key.type === 'data') events.push(storeEvent(key.key, event, revisionOffset));
      else own({ type: event.type, key });
    }
    if (position === this.#position) return;
    for (const event of events) this.#keep(event);
    this.#advance(position);
    this.#trim();
    if (events.length > 0) this.#hub.publish(events, position);
    else this.#hub.progress(position);
  }

  #advance(position: bigint): void {
    if (position <= this.#position) return;
    this.#position = position;
    if (this.#expected !== 0n && position >= this.#expected) {
      this.#expected = 0n;
      this.#expecting?.cancel();
      this.#expecting = undefined;
    }
  }

  /** Whether the kept events are all that there are after this revision. A store that nothing was written to begins at 1. */
  #keeps(revision: bigint): boolean {
    return revision >= this.#trimmed || (this.#trimmed === 1n + this.#options.revisionOffset && revision >= 0n);
  }

  #eventsAfter(prefix: string, revision: bigint): StoreEvent[] {
    if (!this.#keeps(revision)) throw new CompactedError(revision, this.#trimmed);
    const events: StoreEvent[] = [];
    // Most watches begin near the end.
    let from = this.#kept.length;
    while (from > this.#head && this.#kept[from - 1]!.revision > revision) from--;
    for (; from < this.#kept.length; from++) {
      const event = this.#kept[from]!;
      if (event.key.startsWith(prefix)) events.push(event);
    }
    return events;
  }

  #keep(event: StoreEvent): void {
    this.#kept.push(event);
    this.#keptBytes += event.value.length + 256;
  }

  #trim(): void {
    while (this.#kept.length - this.#head > keptEvents || this.#keptBytes > keptBytes) this.#forgetOldest();
    if (this.#head > 1024 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }

  #forgetOldest(): void {
    const event = this.#kept[this.#head]!;
    this.#kept[this.#head++] = undefined;
    this.#keptBytes -= event.value.length + 256;
    this.#trimmed = event.revision;
  }

  #dropKept(trimmed: bigint): void {
    this.#kept = [];
    this.#head = 0;
    this.#keptBytes = 0;
    this.#trimmed = trimmed;
  }

  /** The past from etcd, up to a marker; from there on the feed. */
  async *#replay(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncGenerator<StoreBatch, void, void> {
    const { stream, keys, mark, revisionOffset } = this.#options;
    if (fromRevision < revisionOffset) throw new CompactedError(fromRevision, revisionOffset + 1n);
    const marker = await mark();
    const live = this.#hub.watch(prefix, marker, signal, this.#source)[Symbol.asyncIterator]();
    const firstLive = live.next();
    firstLive.catch(() => undefined);
    let reached = fromRevision;
    let queue: StoreBatch[] = [];
    let bytes = 0;
    let failure: unknown;
    let wake = (): void => undefined;
    const target = stream.add({
      key: keys.all.key,
      rangeEnd: keys.all.end,
      start: () => this.#resumeAt(reached),
      answer: answer => {
        if (answer.canceled) failure ??= new CompactedError(fromRevision, answer.compactRevision + revisionOffset);
        const events: StoreEvent[] = [];
        for (const event of answer.events) {
          const revision = event.entry.modRevision + revisionOffset;
          if (revision <= reached || revision > marker) continue;
          reached = revision;
          const key = keys.parse(event.entry.key);
          if (key.type !== 'data' || !key.key.startsWith(prefix)) continue;
          events.push(storeEvent(key.key, event, revisionOffset));
          bytes += event.entry.value.length + 256;
        }
        if (bytes > replayBytes) failure ??= new WatchOverflowError(replayBytes);
        if (events.length > 0) queue.push({ events, revision: reached });
        wake();
      },
    });
    const onAbort = (): void => wake();
    this.#replays.add(onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        if (signal.aborted) return;
        if (this.#closed) throw this.#closed;
        const batches = queue;
        queue = [];
        bytes = 0;
        const complete = reached >= marker;
        for (const batch of batches) yield batch;
        if (failure !== undefined) throw failure;
        if (complete) break;
        if (queue.length > 0) continue;
        await new Promise<void>(resolve => {
          wake = resolve;
          if (queue.length > 0 || failure !== undefined || signal.aborted || reached >= marker) resolve();
        });
      }
      target.cancel();
      for (let next = await firstLive; !next.done; next = await live.next()) yield next.value;
    } finally {
      target.cancel();
      this.#replays.delete(onAbort);
      signal.removeEventListener('abort', onAbort);
      await live.return?.();
    }
  }
}

function storeEvent(key: string, { type, entry, previous }: WatchEvent, offset: bigint): StoreEvent {
  const before =
    previous === undefined
      ? undefined
      : {
          key,
          value: Buffer.from(previous.value),
          createRevision: previous.createRevision + offset,
          modRevision: previous.modRevision + offset,
        };
  return {
    type,
    key,
    value: type === 'put' ? Buffer.from(entry.value) : (before?.value ?? Buffer.alloc(0)),
    revision: entry.modRevision + offset,
    createRevision: type === 'put' ? entry.createRevision + offset : (before?.createRevision ?? 0n),
    previous: before,
  };
}
