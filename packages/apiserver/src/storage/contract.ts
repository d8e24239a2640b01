/**
 * The storage contract: a keyed, versioned store in etcd's terms, nothing more.
 *
 * - One global, strictly increasing revision; every committed write has one of its own. An empty store is at revision 1.
 * - A write is acknowledged, and becomes visible to reads and watches, only when it would survive `kill -9` and power loss
 *   (the memory back end says in its name that it does not).
 * - Values are opaque bytes. They must not be changed by the caller after `txn`, nor by a reader.
 * - Reads at a revision see the store as it was then, until it is compacted.
 * - A watch delivers every write after its start revision, in order, without gaps, one batch a commit.
 *
 * Keys are strings without NUL, compared bytewise as UTF-8.
 */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the write that made the key exist. */
  readonly createRevision: bigint;
  /** Revision of the last write. */
  readonly modRevision: bigint;
}

/** Of every read. */
export interface ReadOptions {
  /** Read as of this revision. Default: the newest. */
  revision?: bigint;
  signal?: AbortSignal;
}

/** What one key holds; no entry is no error. */
export interface GetResult {
  readonly entry: Entry | undefined;
  /** The store's revision at the time of the read. */
  readonly revision: bigint;
}

/** For pages: `after` is the last key of the page before, `revision` that of the first page. */
export interface ListOptions extends ReadOptions {
  /** At most this many entries. Default: all. */
  limit?: number;
  /** Only keys greater than this one. */
  after?: string;
}

/** Entries of one moment. */
export interface ListResult {
  /** In key order. */
  readonly entries: readonly Entry[];
  /** The revision that was read. */
  readonly revision: bigint;
  /** There are entries beyond the limit. */
  readonly more: boolean;
  /** Entries beyond the limit. */
  readonly remaining: number;
}

/** `0n`: the key must not exist. Without a compare the write is unconditional. */
export interface Compare {
  readonly key: string;
  readonly modRevision: bigint;
}

/** One change of one key. With a lease the entry goes when the lease ends. */
export type Write =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: bigint }
  | { readonly type: 'delete'; readonly key: string };

/** What became of a write: done, or refused because a compare did not hold. */
export type TxnResult =
  | {
      readonly ok: true;
      readonly revision: bigint;
      /** The entry before the write. */
      readonly previous: Entry | undefined;
    }
  /** Nothing was written; `current` is what the compared key holds. */
  | { readonly ok: false; readonly revision: bigint; readonly current: Entry | undefined };

/** One committed write, as watches tell it. */
export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** The new value; for a delete the last one. */
  readonly value: Uint8Array;
  /** The revision of this write. */
  readonly revision: bigint;
  readonly createRevision: bigint;
  /** The entry before this write, when the back end still has it. */
  readonly previous: Entry | undefined;
}

/** What one commit (or several, gathered) wrote under the watched prefix. A batch without events tells progress. */
export interface StoreBatch {
  readonly events: readonly StoreEvent[];
  /** Everything up to this revision has been delivered. */
  readonly revision: bigint;
}

/** A watch has no other end than its signal. */
export interface WatchOptions {
  signal: AbortSignal;
}

/** An entry with the lease that it was put with. */
export interface DumpedEntry extends Entry {
  /** 0: none. */
  readonly lease: bigint;
}

/** The whole store as of one revision, for snapshots. */
export interface StoreDump {
  readonly revision: bigint;
  /** Those that live, with their full time. */
  readonly leases: readonly { readonly lease: bigint; readonly ttlMs: number }[];
  /** In key order, in pieces; to be read once. */
  readonly entries: AsyncIterable<readonly DumpedEntry[]>;
}

/** One open store. Any number of calls may be under way at once; after `close` they fail with StoreUnavailableError. */
export interface Store {
  /** For messages and metrics: `memory (not durable)`, `embedded`, `etcd`. */
  readonly name: string;
  /** Several processes may have it open at once. Default: false. */
  readonly shared?: boolean;
  get(key: string, options?: ReadOptions): Promise<GetResult>;
  /** @throws CompactedError when the revision is compacted, FutureRevisionError when it is not written yet. */
  list(prefix: string, options?: ListOptions): Promise<ListResult>;
  /**
   * Compare-and-write, atomically. All compares must hold. A delete of an absent key is ok and consumes no revision
   * (`revision` is then the current one, `previous` undefined).
   * @throws LeaseNotFoundError; StoreUnavailableError when it could not be made durable; TypeError for a key that is none.
   */
  txn(compare: readonly Compare[], write: Write, options?: { signal?: AbortSignal }): Promise<TxnResult>;
  /**
   * Every write under the prefix after `fromRevision`. Ends when the signal aborts.
   * @throws CompactedError from the iteration when events after `fromRevision` are compacted away, WatchOverflowError when the reader
   * fell behind by more than the back end's bound, StoreUnavailableError when the store is closed.
   */
  watch(prefix: string, fromRevision: bigint, options: WatchOptions): AsyncIterable<StoreBatch>;
  /**
   * Forgets history before this revision; the newest value of each key stays. What is compacted already stays so.
   * @throws FutureRevisionError
   */
  compact(revision: bigint): Promise<void>;
  /** The newest revision that readers can see, and the oldest that they can read. */
  status(): Promise<{ revision: bigint; compactedRevision: bigint; keys: number; bytes: number }>;
  /** Entries put with this lease are deleted (each with a revision of its own) when it is not renewed for `ttlMs`. */
  grantLease(ttlMs: number): Promise<bigint>;
  /** @throws LeaseNotFoundError */
  keepAlive(lease: bigint): Promise<void>;
  revokeLease(lease: bigint): Promise<void>;
  /** Everything that there is, values as they are stored. Writers go on meanwhile. */
  dump(options?: { signal?: AbortSignal }): Promise<StoreDump>;
  /** Writes under way settle first. Twice is harmless. */
  close(): Promise<void>;
}

/** Opens a store. The owner of the returned store closes it. */
export type StoreFactory = () => Promise<Store>;

const branded = (name: string) => Symbol.for(`orbitkit.storage.${name}`);
abstract class StoreError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
    Object.defineProperty(this, branded(name), { value: true });
  }
}
const is = (error: unknown, name: string): boolean =>
  typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[branded(name)] === true;

/** The revision asked for is older than what the store still holds. */
export class CompactedError extends StoreError {
  constructor(
    readonly requested: bigint,
    readonly compacted: bigint,
  ) {
    super('CompactedError', `revision ${requested} is compacted; the oldest readable one is ${compacted}`);
  }
}

/** Whether the store no longer holds the revision: read a newer one, or list again. */
export const isCompacted = (error: unknown): error is CompactedError => is(error, 'CompactedError');

/** The revision asked for is not written yet. */
export class FutureRevisionError extends StoreError {
  constructor(
    readonly requested: bigint,
    readonly current: bigint,
  ) {
    super('FutureRevisionError', `revision ${requested} is in the future; the current one is ${current}`);
  }
}

/** Whether the client is ahead of this store: it talked to another one, or to this one before a restore. */
export const isFutureRevision = (error: unknown): error is FutureRevisionError => is(error, 'FutureRevisionError');

/** The lease was revoked, has run out, or never was. */
export class LeaseNotFoundError extends StoreError {
  constructor(readonly lease: bigint) {
    super('LeaseNotFoundError', `lease ${lease} does not exist or has expired`);
  }
}

/** Whether the lease is gone: grant a new one. */
export const isLeaseNotFound = (error: unknown): error is LeaseNotFoundError => is(error, 'LeaseNotFoundError');

/** A watcher read more slowly than others wrote; it is cut off rather than fed from memory without end. */
export class WatchOverflowError extends StoreError {
  constructor(bound: number) {
    super('WatchOverflowError', `the watcher fell behind by more than ${bound} bytes; list again`);
  }
}

/** Whether the watcher was cut off for its slowness: list again and watch from there. */
export const isWatchOverflow = (error: unknown): error is WatchOverflowError => is(error, 'WatchOverflowError');

/** The store cannot be used: locked by another process, damaged, closed. The message says what to do. */
export class StoreUnavailableError extends StoreError {
  constructor(message: string) {
    super('StoreUnavailableError', message);
  }
}

/** Whether the store could not be used at all; the message says what to do. */
export const isStoreUnavailable = (error: unknown): error is StoreUnavailableError =>
  is(error, 'StoreUnavailableError');
