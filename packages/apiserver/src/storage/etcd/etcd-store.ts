/**
 * The store of many servers: etcd. Every server over the same etcd and prefix is equal: reads come from a quorum and see the latest
 * acknowledged write, whoever made it, and each server's watches see every event in order.
 *
 * - A write is one etcd transaction with a revision of its own. What etcd answers is what is acknowledged; when the connection breaks before
 *   the answer, the write fails with StoreUnavailableError and may have been carried out.
 * - Revisions are etcd's. They grow with every write of the store, but not without gaps: leases, the compactor and other users of the
 *   etcd take some. After a restore an offset is added to them, so that they never go back.
 * - Expired entries are deleted one by one (leases.ts); compaction runs by itself (compactor.ts).
 *
 * Reads, writes and watches are etcd's gRPC by hand over one HTTP/2 connection (half the processor time of a generic client, and
 * control over where watches resume); the rest goes through the etcd3 client. Not given: more than etcd's own limits (1.5 MiB a
 * request, 2 GiB of database by default).
 */
import { type Clock, type Logger, systemClock } from '@orbitkit/core';
import {
  CompactedError,
  type Compare,
  type Entry,
  FutureRevisionError,
  type GetResult,
  LeaseNotFoundError,
  type ListOptions,
  type ListResult,
  type ReadOptions,
  type Store,
  type StoreBatch,
  type StoreDump,
  type StoreFactory,
  StoreUnavailableError,
  type TxnResult,
  type WatchOptions,
  type Write,
} from '../contract.js';
import { checkKey } from '../key.js';
import type { Administration } from './administration.js';
import type { Channel, ChannelTls } from './channel.js';
import { compactor } from './compactor.js';
import { addressOf, connect } from './connection.js';
import { isCompactedAnswer, isFutureAnswer, isSpaceAnswer, storeErrorOf } from './errors.js';
import type { KeySpace } from './key-space.js';
import { isGrpcError, type Kv, wasNotFound } from './kv.js';
import { EtcdLeases } from './leases.js';
import type { Comparison, KeyValue, Operation } from './messages.js';
import { readRevisionOffset } from './revision-offset.js';
import { WatchFeed } from './watch-feed.js';
import { WatchStream } from './watch-stream.js';

/** Only the hosts have no default. Milliseconds. */
export interface EtcdStoreOptions {
  /** The members' client addresses: `http://127.0.0.1:2379`, or `https://…` with `tls`. */
  hosts: string | readonly string[];
  /** Everything is kept under it; several clusters can share one etcd under different ones. Default `/orbitkit`. */
  prefix?: string;
  /** PEM: the authority that signed etcd's certificate, and the client certificate that etcd asks for. */
  tls?: ChannelTls;
  /** A user of etcd. */
  auth?: { readonly username: string; readonly password: string };
  /** How often history is compacted, by one of the servers. Default 5 minutes; 0: never, something else does it. */
  compactionMs?: number;
  /** Longest time of one call, its attempts included. Default 10 s. */
  callTimeoutMs?: number;
  /** A connection that is in use must give a sign of life this often… Default 5 s. */
  pingMs?: number;
  /** …and is given up when none comes within this time. Default 3 s. */
  pongMs?: number;
  /** A watcher that does not read is cut off beyond this many bytes. Default 16 MiB. */
  watchQueueBytes?: number;
  /** How often an idle watcher is told how far the store is, while others write. Default 1 s. */
  progressMs?: number;
  /**
   * A revision that no event has brought to the watches for so long is asked for by writing a marker: other users of the etcd write too,
   * and a consistent read waits for the watches. Default 25 ms.
   */
  markAfterMs?: number;
  /** Default: the system's. */
  clock?: Clock;
  /** Where warnings go. Default: nowhere. */
  log?: Pick<Logger, 'warn'>;
}

/**
 * Each call of the returned factory connects. The package etcd3 must be installed beside this one.
 * @throws StoreUnavailableError when etcd cannot be reached, does not let the user in, or etcd3 is missing.
 */
export function etcdStore(options: EtcdStoreOptions): StoreFactory {
  // What is no address is said at once.
  addressOf(options);
  return () => EtcdStore.open(options);
}

/** Entries of one read; longer lists are read in pieces, as of one revision. */
const pageEntries = 500;
/** A comparison with a revision from before a restore never holds. */
const impossibleRevision = 2n ** 62n;
/** How often a list that began when it was asked for starts again, because compaction overtook it. */
const listAttempts = 3;
/** How long opening waits for the watch. */
const watchStartMs = 3_000;

interface Parts {
  readonly channel: Channel;
  readonly kv: Kv;
  readonly administration: Administration;
  readonly keys: KeySpace;
  readonly revisionOffset: bigint;
  readonly revision: bigint;
}

class EtcdStore implements Store {
  readonly name = 'etcd';
  readonly shared = true;
  readonly #parts: Parts;
  readonly #stream: WatchStream;
  readonly #feed: WatchFeed;
  readonly #leases: EtcdLeases;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #compacting: Promise<void>;
  /** etcd's, as far as it is known: never behind it. */
  #compacted = 1n;
  #writing = 0;
  #settled: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  #unusable: StoreUnavailableError | undefined;

  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const { channel, kv, keys, administration: admin } = await connect(options);
    try {
      const { offset, revision } = await readRevisionOffset(kv, keys);
      const store = new EtcdStore(options, {
        channel,
        kv,
        administration: admin,
        keys,
        revisionOffset: offset,
        revision,
      });
      await store.#start();
      return store;
    } catch (error) {
      admin.close();
      await channel.close();
      throw isGrpcError(error) ? storeErrorOf(error, false, undefined) : asUnavailable(error);
    }
  }

  private constructor(options: EtcdStoreOptions, parts: Parts) {
    const { channel, kv, keys, administration: admin, revisionOffset } = parts;
    const { log } = options;
    this.#clock = options.clock ?? systemClock;
    this.#parts = parts;
    this.#stream = new WatchStream({ channel, clock: this.#clock, log });
    this.#leases = new EtcdLeases({ kv, keys, administration: admin, clock: this.#clock, log });
    this.#feed = new WatchFeed({
      stream: this.#stream,
      keys,
      clock: this.#clock,
      queueBytes: options.watchQueueBytes ?? 16 * 1024 * 1024,
      progressMs: options.progressMs ?? 1_000,
      markAfterMs: options.markAfterMs ?? 25,
      revisionOffset,
      start: parts.revision,
      oldest: () => this.#compactedRevision(),
      mark: () => this.#mark(),
      own: ({ type, key }) => {
        if (key.type === 'lease' && type === 'delete') this.#leases.ended(key.id);
        if (key.type === 'offset') this.#giveUp('the store was restored from a snapshot under this server');
      },
      replaced: () => this.#giveUp('the addresses lead to another etcd cluster than before'),
    });
    const { compactionMs = 5 * 60_000 } = options;
    const compact = (revision: bigint) => admin.compact(revision);
    this.#compacting =
      compactionMs > 0
        ? compactor({ kv, keys, clock: this.#clock, intervalMs: compactionMs, compact, log }, this.#stop.signal)
        : Promise.resolve();
  }

  /** Watches follow from here on. A stream that cannot be opened yet is tried for as long as the store is open. */
  async #start(): Promise<void> {
    this.#leases.start();
    await Promise.race([this.#feed.start(), this.#clock.sleep(watchStartMs, this.#stop.signal).catch(() => undefined)]);
  }

  async get(key: string, { revision, signal }: ReadOptions = {}): Promise<GetResult> {
    signal?.throwIfAborted();
    this.#checkOpen();
    const { keys } = this.#parts;
    const { entries, revision: now } = await this.#range(
      { key: keys.data(key), revision: this.#physical(revision) },
      revision,
      signal,
    );
    const entry = entries[0] === undefined ? undefined : this.#entry(key, entries[0]);
    return { entry, revision: this.#seen(now) };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { limit } = options;
    if (limit !== undefined && !(limit >= 0))
      throw new RangeError(`the limit of a list must be a number from 0 on, not ${limit}`);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#list(prefix, options);
      } catch (error) {
        if (!(error instanceof CompactedError) || options.revision !== undefined || attempt >= listAttempts)
          throw error;
      }
    }
  }

  async #list(prefix: string, { limit, after, revision: wanted, signal }: ListOptions): Promise<ListResult> {
    const { keys } = this.#parts;
    const bound = limit ?? Number.POSITIVE_INFINITY;
    const entries: Entry[] = [];
    let revision = wanted;
    let behind = after;
    for (;;) {
      signal?.throwIfAborted();
      this.#checkOpen();
      const left = Math.min(bound - entries.length, pageEntries);
      const { key, end } = keys.range(prefix, behind);
      const page = await this.#range(
        {
          key,
          rangeEnd: end,
          revision: this.#physical(revision),
          ...(left > 0 ? { limit: left } : { countOnly: true }),
        },
        revision,
        signal,
      );
      revision ??= this.#seen(page.revision);
      for (const each of page.entries) {
        const parsed = keys.parse(each.key);
        if (parsed.type !== 'data') continue;
        entries.push(this.#entry(parsed.key, each));
        behind = parsed.key;
      }
      const remaining = page.count - page.entries.length;
      if (remaining <= 0 || entries.length >= bound) {
        return { entries, revision, more: remaining > 0, remaining: Math.max(0, remaining) };
      }
    }
  }

  async txn(compare: readonly Compare[], write: Write, options: { signal?: AbortSignal } = {}): Promise<TxnResult> {
    checkKey(write.key);
    for (const { key } of compare) checkKey(key);
    options.signal?.throwIfAborted();
    this.#checkOpen();
    const { kv, keys } = this.#parts;
    const key = keys.data(write.key);
    const comparisons: Comparison[] = [];
    const failure: Operation[] = [];
    for (const each of compare) {
      const compared = each.key === write.key ? key : keys.data(each.key);
      comparisons.push({ key: compared, target: 'mod', value: this.#comparable(each.modRevision) });
      failure.push({ type: 'range', key: compared });
    }
    const created = compare.some(each => each.key === write.key && each.modRevision === 0n);
    const success: Operation[] = [];
    const lease = write.type === 'put' && write.lease ? write.lease : undefined;
    if (write.type === 'delete') success.push({ type: 'delete', key, previous: true });
    else success.push({ type: 'put', key, value: write.value, previous: !created });
    if (lease !== undefined) {
      const sign = keys.lease(lease);
      comparisons.push({ key: sign, target: 'version', greater: true, value: 0n });
      success.push(this.#leases.note(lease, write.key));
      failure.push({ type: 'range', key: sign });
    }
    const answer = await this.#write(() => kv.txn({ compare: comparisons, success, failure }));
    const revision = this.#seen(answer.revision);
    if (answer.succeeded) {
      const before = answer.results[0]?.previous;
      return { ok: true, revision, previous: before === undefined ? undefined : this.#entry(write.key, before) };
    }
    for (const [i, each] of compare.entries()) {
      const found = answer.results[i]?.entries[0];
      if ((found?.modRevision ?? 0n) === comparisons[i]!.value) continue;
      return { ok: false, revision, current: found === undefined ? undefined : this.#entry(each.key, found) };
    }
    throw new LeaseNotFoundError(lease ?? 0n);
  }

  watch(prefix: string, fromRevision: bigint, { signal }: WatchOptions): AsyncIterable<StoreBatch> {
    return this.#feed.watch(prefix, fromRevision, signal);
  }

  async compact(revision: bigint): Promise<void> {
    this.#checkOpen();
    const { administration: admin, kv, keys } = this.#parts;
    const now = this.#seen((await this.#call(() => kv.range({ key: keys.offset }))).revision);
    if (revision > now) throw new FutureRevisionError(revision, now);
    const physical = revision - this.#parts.revisionOffset;
    if (physical < 1n) return;
    try {
      await admin.compact(physical);
    } catch (error) {
      if (!/compacted/.test(String(error))) throw asUnavailable(error);
    }
    this.#feed.compacted(revision);
  }

  async dump({ signal }: { signal?: AbortSignal } = {}): Promise<StoreDump> {
    signal?.throwIfAborted();
    this.#checkOpen();
    const { kv, keys, revisionOffset } = this.#parts;
    const { key, end } = keys.range('');
    return this.#call(async () => {
      const { revision } = await kv.range({ key: keys.offset }, signal);
      const { leases, leaseOf } = await this.#leases.dump(revision);
      const store = this;
      return {
        revision: revision + revisionOffset,
        leases,
        entries: (async function* () {
          for await (const page of kv.pages({ key, end }, { limit: pageEntries, revision })) {
            signal?.throwIfAborted();
            yield page.entries.flatMap(each => {
              const parsed = keys.parse(each.key);
              if (parsed.type !== 'data') return [];
              return [{ ...store.#entry(parsed.key, each), lease: leaseOf(parsed.key, each.modRevision) }];
            });
          }
        })(),
      };
    });
  }

  async status(): Promise<{ revision: bigint; compactedRevision: bigint; keys: number; bytes: number }> {
    this.#checkOpen();
    const { kv, keys, administration: admin } = this.#parts;
    const { key, end } = keys.range('');
    const [{ count, revision }, compactedRevision, bytes] = await this.#call(() =>
      Promise.all([kv.range({ key, rangeEnd: end, countOnly: true }), this.#compactedRevision(), admin.size()]),
    );
    return { revision: this.#seen(revision), compactedRevision, keys: count, bytes };
  }

  async grantLease(ttlMs: number): Promise<bigint> {
    if (!Number.isFinite(ttlMs) || ttlMs <= 0)
      throw new RangeError(`the time of a lease must be positive milliseconds, not ${ttlMs}`);
    this.#checkOpen();
    return this.#write(() => this.#leases.grant(ttlMs));
  }

  async keepAlive(lease: bigint): Promise<void> {
    this.#checkOpen();
    await this.#call(() => this.#leases.keepAlive(lease));
  }

  async revokeLease(lease: bigint): Promise<void> {
    this.#checkOpen();
    await this.#write(() => this.#leases.revoke(lease));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    if (this.#writing > 0) {
      await new Promise<void>(resolve => {
        this.#settled = resolve;
      });
    }
    this.#feed.close(closedError());
    this.#leases.close();
    this.#stop.abort();
    await this.#stream.close();
    await this.#compacting;
    this.#parts.administration.close();
    await this.#parts.channel.close();
  }

  #giveUp(why: string): void {
    this.#unusable ??= new StoreUnavailableError(`the etcd store cannot go on: ${why}; restart this server`);
    this.#feed.close(this.#unusable);
  }

  #checkOpen(): void {
    if (this.#unusable !== undefined) throw this.#unusable;
    if (this.#closed !== undefined) throw closedError();
  }

  /** etcd's revision in the store's terms; the watches will get there. */
  #seen(physical: bigint): bigint {
    const revision = physical + this.#parts.revisionOffset;
    this.#feed.expect(revision);
    return revision;
  }

  #physical(revision: bigint | undefined): bigint | undefined {
    if (revision === undefined) return undefined;
    const physical = revision - this.#parts.revisionOffset;
    // 0 would mean the newest one.
    if (physical < 1n) throw new CompactedError(revision, this.#parts.revisionOffset + 1n);
    return physical;
  }

  #comparable(modRevision: bigint): bigint {
    if (modRevision === 0n) return 0n;
    const physical = modRevision - this.#parts.revisionOffset;
    return physical > 0n ? physical : impossibleRevision;
  }

  #entry(key: string, { value, createRevision, modRevision }: KeyValue): Entry {
    const { revisionOffset: offset } = this.#parts;
    // A copy: the answer's buffer must not live as long as its smallest value.
    return {
      key,
      value: Buffer.from(value),
      createRevision: createRevision + offset,
      modRevision: modRevision + offset,
    };
  }

  async #range(
    request: Parameters<Kv['range']>[0],
    revision: bigint | undefined,
    signal: AbortSignal | undefined,
  ): ReturnType<Kv['range']> {
    try {
      return await this.#parts.kv.range(request, signal);
    } catch (error) {
      if (!isGrpcError(error)) throw error;
      if (isCompactedAnswer(error)) throw new CompactedError(revision ?? 0n, await this.#compactedRevision());
      if (isFutureAnswer(error)) {
        const { revision: now } = await this.#parts.kv.range({ key: this.#parts.keys.offset }, signal);
        throw new FutureRevisionError(revision ?? 0n, this.#seen(now));
      }
      throw await this.#failure(error, false);
    }
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw await this.#failure(error, false);
    }
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#writing++;
    try {
      return await work();
    } catch (error) {
      throw await this.#failure(error, true);
    } finally {
      if (--this.#writing === 0) this.#settled?.();
    }
  }

  async #failure(error: unknown, write: boolean): Promise<unknown> {
    if (this.#unusable !== undefined) return this.#unusable;
    if (wasNotFound(error)) return error;
    if (!isGrpcError(error)) return isEtcd3Error(error) ? asUnavailable(error) : error;
    if (isSpaceAnswer(error)) return storeErrorOf(error, write, await this.#parts.administration.alarms());
    return storeErrorOf(error, write, undefined);
  }

  async #mark(): Promise<bigint> {
    const { kv, keys } = this.#parts;
    const { revision } = await this.#call(() =>
      kv.txn({ compare: [], success: [{ type: 'put', key: keys.sync, value: nothing }], failure: [] }, true),
    );
    return revision + this.#parts.revisionOffset;
  }

  /** etcd names it nowhere but to a watch that comes too late; which revisions can be read tells it as well. */
  async #compactedRevision(): Promise<bigint> {
    const { kv, keys, revisionOffset } = this.#parts;
    const readable = async (revision: bigint): Promise<boolean> => {
      try {
        await kv.range({ key: keys.offset, revision, countOnly: true });
        return true;
      } catch (error) {
        if (isGrpcError(error) && isCompactedAnswer(error)) return false;
        throw error;
      }
    };
    if (!(await readable(this.#compacted))) {
      let below = this.#compacted;
      let oldest = (await kv.range({ key: keys.offset })).revision;
      while (oldest - below > 1n) {
        const middle = (oldest + below) / 2n;
        if (await readable(middle)) oldest = middle;
        else below = middle;
      }
      this.#compacted = oldest;
    }
    return this.#compacted + revisionOffset;
  }
}

const nothing = Buffer.alloc(0);

const closedError = (): StoreUnavailableError =>
  new StoreUnavailableError('the etcd store is closed: open it again to use it');

/** Errors of the etcd3 client carry grpc's texts; what they mean for the caller is the same for all. */
const isEtcd3Error = (error: unknown): boolean =>
  error instanceof Error && /^(Etcd|GRPC|Client)/.test(error.constructor.name);

function asUnavailable(error: unknown): unknown {
  if (error instanceof StoreUnavailableError) return error;
  return new StoreUnavailableError(`etcd: ${error instanceof Error ? error.message : String(error)}`);
}
