/**
 * Leases whose entries end one by one. etcd deletes all keys of a lease in one transaction, with one revision for all: a watch that is
 * cut among them could never say where it was. So only one key of the store hangs on etcd's lease, the lease's sign of life; every
 * put with the lease notes its key beside the entry, in the same transaction. When the sign is gone, the servers delete what
 * was noted, each entry in a write of its own, and only when nobody wrote it since.
 *
 * - Whoever granted the lease does it at once, the others a moment later, in case that one is gone too. A server that starts, and each one
 *   every few minutes, looks for leases that nobody cleaned up after. Several at once do no harm.
 * - Time is etcd's own: it does not jump with a server's clock, and after a change of leader every lease has its full time again.
 */
import type { Clock, Logger } from '@orbitkit/core';
import { LeaseNotFoundError } from '../contract.js';
import type { Administration } from './administration.js';
import type { KeySpace } from './key-space.js';
import { isGrpcError, type Kv } from './kv.js';
import type { KeyValue, Operation } from './messages.js';

export interface EtcdLeasesOptions {
  readonly kv: Kv;
  readonly keys: KeySpace;
  readonly administration: Administration;
  readonly clock: Clock;
  readonly log?: Pick<Logger, 'warn'> | undefined;
  readonly random?: () => number;
}

const nothing = Buffer.alloc(0);
const page = 128;
/** Longest wait of a server that did not grant the lease. */
const otherServerMs = 1_500;
const sweepMs = 10 * 60_000;
const retryMs = 1_000;
const parallelDeletes = 16;

export class EtcdLeases {
  readonly #options: EtcdLeasesOptions;
  readonly #granted = new Set<bigint>();
  readonly #timers = new Set<{ cancel(): void }>();
  readonly #ending = new Map<bigint, Promise<void>>();
  #closed = false;

  constructor(options: EtcdLeasesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#later(0, () => this.#sweep());
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  async grant(ttlMs: number): Promise<bigint> {
    const { administration, kv, keys } = this.#options;
    const { id } = await administration.grantLease(Math.max(1, Math.ceil(ttlMs / 1_000)));
    try {
      await kv.txn(
        {
          compare: [],
          success: [{ type: 'put', key: keys.lease(id), value: Buffer.from(String(Math.ceil(ttlMs))), lease: id }],
          failure: [],
        },
        true,
      );
    } catch (error) {
      await administration.revokeLease(id).catch(() => undefined);
      throw error;
    }
    this.#granted.add(id);
    return id;
  }

  /** Goes into the transaction of a put with the lease. */
  note(lease: bigint, key: string): Operation {
    return { type: 'put', key: this.#options.keys.leaseKey(lease, key), value: nothing };
  }

  /** @throws LeaseNotFoundError */
  async keepAlive(lease: bigint): Promise<void> {
    const { kv, keys } = this.#options;
    // A revoked one may still be known to etcd for a moment: its sign decides.
    const { count } = await kv.range({ key: keys.lease(lease), countOnly: true });
    if (count === 0 || (await kv.keepAlive(lease)) <= 0) throw new LeaseNotFoundError(lease);
  }

  /** @throws LeaseNotFoundError */
  async revoke(lease: bigint): Promise<void> {
    const { kv, keys, administration } = this.#options;
    const key = keys.lease(lease);
    const { succeeded } = await kv.txn({
      compare: [{ key, target: 'version', greater: true, value: 0n }],
      success: [{ type: 'delete', key }],
      failure: [],
    });
    if (!succeeded) throw new LeaseNotFoundError(lease);
    await this.#end(lease);
    await administration.revokeLease(lease);
  }

  /** The leases as of etcd's revision, and which of them an entry that was last written at a revision hangs on. */
  async dump(revision: bigint): Promise<{
    leases: { lease: bigint; ttlMs: number }[];
    leaseOf(key: string, modRevision: bigint): bigint;
  }> {
    const { kv, keys } = this.#options;
    const leases: { lease: bigint; ttlMs: number }[] = [];
    for await (const { entries } of kv.pages(keys.leases, { limit: 1_000, revision })) {
      for (const { key, value } of entries) {
        const parsed = keys.parse(key);
        if (parsed.type === 'lease') leases.push({ lease: parsed.id, ttlMs: Number(value.toString()) });
      }
    }
    const notes = new Map<string, { id: bigint; revision: bigint }>();
    for await (const { entries } of kv.pages(keys.leaseKeys(), { limit: 1_000, keysOnly: true, revision })) {
      for (const { key, modRevision } of entries) {
        const parsed = keys.parse(key);
        if (parsed.type !== 'lease-key' || (notes.get(parsed.key)?.revision ?? 0n) > modRevision) continue;
        notes.set(parsed.key, { id: parsed.id, revision: modRevision });
      }
    }
    return {
      leases,
      leaseOf(key, modRevision) {
        const note = notes.get(key);
        return note?.revision === modRevision ? note.id : 0n;
      },
    };
  }

  /** The sign of a lease is gone: seen by the watch of every server. */
  ended(lease: bigint): void {
    const mine = this.#granted.delete(lease);
    if (this.#ending.has(lease)) return;
    const wait = mine ? 0 : (this.#options.random ?? Math.random)() * otherServerMs;
    this.#later(wait, () => this.#end(lease));
  }

  #end(lease: bigint): Promise<void> {
    let ending = this.#ending.get(lease);
    if (ending === undefined) {
      ending = this.#deleteEntries(lease).finally(() => this.#ending.delete(lease));
      this.#ending.set(lease, ending);
    }
    return ending;
  }

  async #deleteEntries(lease: bigint): Promise<void> {
    const { kv, keys } = this.#options;
    const { key, end } = keys.leaseKeys(lease);
    for (;;) {
      const { entries, count } = await kv.range({ key, rangeEnd: end, limit: page, keysOnly: true });
      for (let i = 0; i < entries.length; i += parallelDeletes) {
        await Promise.all(entries.slice(i, i + parallelDeletes).map(noted => this.#deleteEntry(noted)));
      }
      if (this.#closed || count <= entries.length) return;
    }
  }

  async #deleteEntry(noted: KeyValue): Promise<void> {
    const { kv, keys } = this.#options;
    const parsed = keys.parse(noted.key);
    if (parsed.type !== 'lease-key') return;
    const key = keys.data(parsed.key);
    // Entry and note have the revision of one write, unless the entry was written again.
    await kv.txn(
      {
        compare: [{ key, target: 'mod', value: noted.modRevision }],
        success: [
          { type: 'delete', key },
          { type: 'delete', key: noted.key },
        ],
        failure: [{ type: 'delete', key: noted.key }],
      },
      true,
    );
  }

  /** Leases that ended while no server was there to see it. */
  async #sweep(): Promise<void> {
    const { kv, keys } = this.#options;
    const known = new Map<bigint, boolean>();
    for await (const { entries } of kv.pages(keys.leaseKeys(), { limit: 1_000, keysOnly: true })) {
      for (const { key } of entries) {
        const parsed = keys.parse(key);
        if (parsed.type !== 'lease-key' || known.has(parsed.id)) continue;
        const alive = (await kv.range({ key: keys.lease(parsed.id), countOnly: true })).count > 0;
        known.set(parsed.id, alive);
      }
      if (this.#closed) return;
    }
    for (const [lease, alive] of known) if (!alive && !this.#closed) await this.#end(lease);
    this.#later(sweepMs, () => this.#sweep());
  }

  /** Runs later, and again after a while when etcd could not be reached. */
  #later(ms: number, work: () => Promise<void>): void {
    if (this.#closed) return;
    const timer = this.#options.clock.setTimer(ms, () => {
      this.#timers.delete(timer);
      work().catch(error => {
        if (this.#closed) return;
        const known = isGrpcError(error) ? error.message : String(error);
        this.#options.log?.warn('the entries of a lease could not be deleted yet', { error: known });
        this.#later(retryMs, work);
      });
    });
    this.#timers.add(timer);
  }
}
