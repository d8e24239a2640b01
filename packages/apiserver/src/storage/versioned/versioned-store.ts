/**
 * The store of the memory and embedded back ends: an index in memory, group commit through a journal (or none), leases, watches.
 *
 * Readers see applied state only. A write's compares are checked against what is applied plus what is staged before it; a compare that
 * fails because of a staged write is answered after that write's commit, so no answer ever rests on what a crash could undo.
 */
import { type Clock, systemClock } from '@orbitkit/core';
import {
  CompactedError,
  type Compare,
  type Entry,
  FutureRevisionError,
  type GetResult,
  type ListOptions,
  type ListResult,
  type ReadOptions,
  type Store,
  type StoreBatch,
  type StoreDump,
  type StoreEvent,
  StoreUnavailableError,
  type TxnResult,
  type WatchOptions,
  type Write,
} from '../contract.js';
import { checkKey } from '../key.js';
import { type Change, type Journal, noLease } from './change.js';
import { GroupCommit, type Staged } from './group-commit.js';
import { defaultHistoryLimits, type HistoryLimits, historyEnd } from './history-limits.js';
import { LeaseTable } from './leases.js';
import { VersionIndex } from './version-index.js';
import { checkWatchStart, WatchHub } from './watch-hub.js';

export interface VersionedStoreOptions {
  /** Default: the system's. */
  clock?: Clock;
  /** Keep at most this many past writes for reads at a revision and for watches. Default: 100,000. */
  historyRevisions?: number;
  /** Keep at most this many bytes of values of past writes. Default: 64 MiB. */
  historyBytes?: number;
  /** A watcher that does not read is cut off beyond this many bytes. Default: 16 MiB. */
  watchQueueBytes?: number;
  /** How often an idle watcher is told how far the store is, while others write. Default: 1 s. */
  progressMs?: number;
  /** Writers wait while this many bytes are staged. Default: 64 MiB. */
  stagedBytes?: number;
}

const dumpPage = 256;

export const historyLimits = (options: VersionedStoreOptions): HistoryLimits => ({
  revisions: options.historyRevisions ?? defaultHistoryLimits.revisions,
  bytes: options.historyBytes ?? defaultHistoryLimits.bytes,
});

/** What recovery hands over. */
export interface RestoredState {
  readonly index: VersionIndex;
  /** Reads and watches before this revision are refused. */
  readonly compactedRevision: bigint;
  readonly leases: ReadonlyMap<bigint, number>;
  /** Keys that hang on a lease. */
  readonly attachments: ReadonlyMap<string, bigint>;
  /** The highest lease id ever granted. */
  readonly lastLease: bigint;
}

export interface HeldState {
  readonly revision: bigint;
  readonly lastLease: bigint;
  readonly leases: readonly { lease: bigint; ttlMs: number }[];
  /** As of now; for a key that was not written since the revision, as of then too. */
  leaseOf(key: string): bigint;
  /** The next entries after a key, in order. */
  read(after: string | undefined, limit: number): readonly Entry[];
  release(): void;
}

export class VersionedStore implements Store {
  readonly name: string;
  readonly #index: VersionIndex;
  readonly #journal: Journal | undefined;
  readonly #hub: WatchHub;
  readonly #leases: LeaseTable;
  readonly #commits: GroupCommit;
  readonly #limits: HistoryLimits;
  #compacted: bigint;
  #lastLease: bigint;
  #held: bigint | undefined;
  #closed: Promise<void> | undefined;

  constructor(name: string, options: VersionedStoreOptions = {}, journal?: Journal, restored?: RestoredState) {
    const clock = options.clock ?? systemClock;
    this.name = name;
    this.#journal = journal;
    this.#index = restored?.index ?? new VersionIndex();
    this.#compacted = restored?.compactedRevision ?? this.#index.trimmed;
    this.#lastLease = restored?.lastLease ?? 0n;
    this.#limits = historyLimits(options);
    this.#hub = new WatchHub({
      clock,
      queueBytes: options.watchQueueBytes ?? 16 * 1024 * 1024,
      progressMs: options.progressMs ?? 1_000,
    });
    this.#commits = new GroupCommit({
      journal,
      revision: this.#index.revision,
      stagedBytes: options.stagedBytes ?? 64 * 1024 * 1024,
      apply: change => this.#applyChange(change),
      applied: events => {
        if (events.length > 0) this.#hub.publish(events, this.#index.revision);
        this.#boundHistory();
      },
    });
    this.#leases = new LeaseTable(clock, lease => this.#endLease(lease));
    for (const [lease, ttlMs] of restored?.leases ?? []) this.#leases.grant(lease, ttlMs);
    for (const [key, lease] of restored?.attachments ?? []) this.#leases.attach(key, lease);
    this.#leases.start();
    this.#boundHistory();
  }

  async get(key: string, options: ReadOptions = {}): Promise<GetResult> {
    this.#checkRead(options);
    const { revision } = options;
    const entry = revision === undefined ? this.#index.get(key) : this.#index.getAt(key, revision);
    return { entry, revision: this.#index.revision };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    this.#checkRead(options);
    const { limit, after } = options;
    if (limit !== undefined && !(limit >= 0))
      throw new RangeError(`the limit of a list must be a number from 0 on, not ${limit}`);
    const revision = options.revision ?? this.#index.revision;
    const entries = this.#index.page(prefix, { revision, limit, after });
    const remaining =
      limit === undefined || entries.length < limit
        ? 0
        : this.#index.count(prefix, entries[entries.length - 1]?.key ?? after, revision);
    return { entries, revision, more: remaining > 0, remaining };
  }

  async txn(compare: readonly Compare[], write: Write, options: { signal?: AbortSignal } = {}): Promise<TxnResult> {
    checkKey(write.key);
    for (const { key } of compare) checkKey(key);
    while (this.#commits.isFull && this.#closed === undefined) await this.#commits.room(options.signal);
    options.signal?.throwIfAborted();
    this.#checkOpen();
    for (const { key, modRevision } of compare) {
      const staged = this.#commits.staged(key);
      const current =
        staged === undefined
          ? (this.#index.get(key)?.modRevision ?? 0n)
          : staged.lease === undefined
            ? 0n
            : staged.revision;
      if (current !== modRevision) return this.#refuse(key, staged);
    }
    const staged = this.#commits.staged(write.key);
    if (write.type === 'delete') {
      const absent = staged === undefined ? this.#index.get(write.key) === undefined : staged.lease === undefined;
      if (absent) return this.#absent(staged);
    } else if (write.lease !== undefined && write.lease !== noLease) this.#leases.check(write.lease);
    return this.#write(write);
  }

  watch(prefix: string, fromRevision: bigint, options: WatchOptions): AsyncIterable<StoreBatch> {
    const store = this;
    return this.#hub.watch(prefix, fromRevision, options.signal, {
      get revision() {
        return store.#index.revision;
      },
      eventsAfter(under, revision) {
        checkWatchStart(revision, store.#compacted);
        return store.#index.eventsAfter(under, revision);
      },
    });
  }

  async compact(revision: bigint): Promise<void> {
    this.#checkOpen();
    if (revision > this.#index.revision) throw new FutureRevisionError(revision, this.#index.revision);
    if (revision <= this.#compacted) return;
    await this.#commits.stage([{ type: 'compact', revision }], () => undefined);
  }

  async status(): Promise<{ revision: bigint; compactedRevision: bigint; keys: number; bytes: number }> {
    this.#checkOpen();
    const { revision, keys, liveBytes, historyBytes } = this.#index;
    return { revision, compactedRevision: this.#compacted, keys, bytes: liveBytes + historyBytes };
  }

  async grantLease(ttlMs: number): Promise<bigint> {
    if (!Number.isFinite(ttlMs) || ttlMs <= 0)
      throw new RangeError(`the time of a lease must be positive milliseconds, not ${ttlMs}`);
    this.#checkOpen();
    const lease = ++this.#lastLease;
    await this.#commits.stage([{ type: 'grant', lease, ttlMs: Math.ceil(ttlMs) }], () => undefined);
    return lease;
  }

  async keepAlive(lease: bigint): Promise<void> {
    this.#checkOpen();
    this.#leases.keepAlive(lease);
  }

  async revokeLease(lease: bigint): Promise<void> {
    this.#checkOpen();
    this.#leases.check(lease);
    this.#leases.setEnding(lease, true);
    try {
      await this.#endLease(lease);
    } catch (error) {
      this.#leases.setEnding(lease, false);
      throw error;
    }
  }

  async dump({ signal }: { signal?: AbortSignal } = {}): Promise<StoreDump> {
    signal?.throwIfAborted();
    this.#checkOpen();
    // Entries do not change: a list of them is the state of this moment, however long reading it takes.
    const entries = this.#index.page('', { revision: this.#index.revision });
    const leaseOf = new Map(this.#leases.attachments());
    return {
      revision: this.#index.revision,
      leases: [...this.#leases.entries()],
      entries: (async function* () {
        for (let from = 0; from < entries.length; from += dumpPage) {
          signal?.throwIfAborted();
          const page = entries.slice(from, from + dumpPage);
          yield page.map(entry => ({ ...entry, lease: leaseOf.get(entry.key) ?? noLease }));
        }
      })(),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Reads and watches before it are refused. */
  get compactedRevision(): bigint {
    return this.#compacted;
  }

  /**
   * The state at the oldest readable revision, which stays in memory until `release`, also when it is compacted meanwhile. With the
   * writes after that revision it makes up the whole store, its history included.
   */
  hold(): HeldState {
    const revision = this.#compacted;
    this.#held = revision;
    return {
      revision,
      leases: [...this.#leases.entries()],
      lastLease: this.#lastLease,
      leaseOf: key => this.#leases.leaseOf(key),
      read: (after, limit) => this.#index.page('', { revision, limit, after }),
      release: () => {
        this.#held = undefined;
        this.#index.trim(this.#compacted);
      },
    };
  }

  #write(write: Write): Promise<TxnResult> {
    const revision = this.#commits.stagedRevision + 1n;
    const change: Change =
      write.type === 'put'
        ? { type: 'put', key: write.key, value: write.value, lease: write.lease ?? noLease, revision }
        : { type: 'delete', key: write.key, revision };
    return this.#commits.stage<TxnResult>([change], event => ({ ok: true, revision, previous: event!.previous }));
  }

  /** Not what was compared. When that rests on a staged write, the answer waits for its commit. */
  #refuse(key: string, staged: Staged | undefined): Promise<TxnResult> | TxnResult {
    if (staged === undefined) return { ok: false, revision: this.#index.revision, current: this.#index.get(key) };
    const { revision } = staged;
    return this.#commits.after(staged, () => ({ ok: false, revision, current: this.#index.getAt(key, revision) }));
  }

  #absent(staged: Staged | undefined): Promise<TxnResult> | TxnResult {
    if (staged === undefined) return { ok: true, revision: this.#index.revision, previous: undefined };
    return this.#commits.after(staged, () => ({ ok: true, revision: staged.revision, previous: undefined }));
  }

  #applyChange(change: Change): StoreEvent | undefined {
    switch (change.type) {
      case 'put':
        this.#leases.attach(change.key, change.lease);
        return this.#index.put(change.key, change.value, change.revision);
      case 'delete':
        this.#leases.attach(change.key, noLease);
        return this.#index.delete(change.key, change.revision);
      case 'grant':
        this.#leases.grant(change.lease, change.ttlMs);
        return undefined;
      case 'revoke':
        this.#leases.revoke(change.lease);
        return undefined;
      case 'compact':
        this.#compactTo(change.revision);
        return undefined;
    }
  }

  /** Deletes come first: cut off in between, the lease still exists and ends again. */
  async #endLease(lease: bigint): Promise<void> {
    this.#checkOpen();
    const keys = new Set(this.#leases.keysOf(lease));
    for (const [key, staged] of this.#commits.allStaged()) {
      if (staged.lease === lease) keys.add(key);
      else keys.delete(key);
    }
    const deletes = [...keys].map(
      (key, i): Change => ({ type: 'delete', key, revision: this.#commits.stagedRevision + BigInt(i + 1) }),
    );
    await this.#commits.stage([...deletes, { type: 'revoke', lease }], () => undefined);
  }

  #compactTo(revision: bigint): void {
    if (revision > this.#compacted) this.#compacted = revision;
    this.#index.trim(this.#held !== undefined && this.#held < this.#compacted ? this.#held : this.#compacted);
  }

  #boundHistory(): void {
    this.#compactTo(historyEnd(this.#index, this.#limits));
  }

  #checkRead({ revision, signal }: ReadOptions): void {
    signal?.throwIfAborted();
    this.#checkOpen();
    if (revision === undefined) return;
    if (revision > this.#index.revision) throw new FutureRevisionError(revision, this.#index.revision);
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw closedError(this.name);
  }

  async #close(): Promise<void> {
    this.#leases.stop();
    await this.#commits.settled();
    this.#hub.close(closedError(this.name));
    await this.#journal?.close();
  }
}

const closedError = (name: string) => new StoreUnavailableError(`the ${name} store is closed: open it again to use it`);
