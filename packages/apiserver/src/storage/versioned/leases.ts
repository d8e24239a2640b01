/**
 * Leases and the keys that hang on them. Only what is committed; time through the clock. After a restart every lease has its full
 * time again, as in etcd after a change of its leader: an owner that still lives gets the chance to say so.
 */
import { type Clock, systemClock } from '@orbitkit/core';
import { LeaseNotFoundError } from '../contract.js';

interface Lease {
  readonly ttlMs: number;
  readonly keys: Set<string>;
  expiresAt: number;
  /** Its end is being written; nobody can renew it any more. */
  ending: boolean;
}

/** Time until another attempt when the end of a lease could not be written. */
const retryMs = 1_000;
/** Timers beyond 2^31 ms fire at once in Node. */
const longestTimerMs = 2 ** 31 - 1;

export class LeaseTable {
  readonly #leases = new Map<bigint, Lease>();
  readonly #leaseOf = new Map<string, bigint>();
  readonly #clock: Clock;
  /** Milliseconds that pass evenly: the wall clock may jump, and leases must not end with it. */
  readonly #now: () => number;
  readonly #expire: (lease: bigint) => Promise<void>;
  #timer: { at: number; cancel(): void } | undefined;
  #running = false;

  /** `expire` writes the end of a lease; it may reject, then it is called again later. */
  constructor(clock: Clock, expire: (lease: bigint) => Promise<void>) {
    this.#clock = clock;
    this.#now = clock === systemClock ? () => performance.now() : () => clock.now();
    this.#expire = expire;
  }

  get size(): number {
    return this.#leases.size;
  }

  *entries(): Generator<{ lease: bigint; ttlMs: number }, void, void> {
    for (const [lease, { ttlMs }] of this.#leases) yield { lease, ttlMs };
  }

  /** Starts the watch over time; before, nothing expires (replay). */
  start(): void {
    this.#running = true;
    const now = this.#now();
    for (const lease of this.#leases.values()) lease.expiresAt = now + lease.ttlMs;
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  grant(id: bigint, ttlMs: number): void {
    if (this.#leases.has(id)) return;
    this.#leases.set(id, { ttlMs, keys: new Set(), expiresAt: this.#now() + ttlMs, ending: false });
    this.#arm();
  }

  revoke(id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    for (const key of lease.keys) this.#leaseOf.delete(key);
    this.#leases.delete(id);
  }

  /** @throws LeaseNotFoundError */
  keepAlive(id: bigint): void {
    this.check(id);
    const lease = this.#leases.get(id)!;
    lease.expiresAt = this.#now() + lease.ttlMs;
  }

  /** @throws LeaseNotFoundError when the lease does not exist, has expired or is being revoked. */
  check(id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.ending || (this.#running && lease.expiresAt <= this.#now()))
      throw new LeaseNotFoundError(id);
  }

  setEnding(id: bigint, ending: boolean): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.ending = ending;
  }

  /** A key was written with this lease (0: with none), or deleted. */
  attach(key: string, id: bigint): void {
    const before = this.#leaseOf.get(key);
    if (before === id || (before === undefined && id === 0n)) return;
    if (before !== undefined) {
      this.#leases.get(before)?.keys.delete(key);
      this.#leaseOf.delete(key);
    }
    const lease = id === 0n ? undefined : this.#leases.get(id);
    if (lease === undefined) return;
    lease.keys.add(key);
    this.#leaseOf.set(key, id);
  }

  leaseOf(key: string): bigint {
    return this.#leaseOf.get(key) ?? 0n;
  }

  /** Keys and what they hang on. */
  attachments(): IterableIterator<[string, bigint]> {
    return this.#leaseOf.entries();
  }

  keysOf(id: bigint): readonly string[] {
    return [...(this.#leases.get(id)?.keys ?? [])];
  }

  /** One timer, for the lease that ends first; renewals leave it and are seen when it fires. */
  #arm(): void {
    if (!this.#running || this.#leases.size === 0) return;
    let at = Number.POSITIVE_INFINITY;
    for (const lease of this.#leases.values()) if (!lease.ending) at = Math.min(at, lease.expiresAt);
    this.#armAt(at);
  }

  #armAt(at: number): void {
    if (at === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const wait = Math.min(Math.max(0, at - this.#now()), longestTimerMs);
    const { cancel } = this.#clock.setTimer(wait, () => this.#onTimer());
    this.#timer = { at, cancel };
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (!this.#running) return;
    const now = this.#now();
    for (const [id, lease] of this.#leases) {
      if (lease.ending || lease.expiresAt > now) continue;
      lease.ending = true;
      this.#expire(id).catch(() => {
        lease.ending = false;
        lease.expiresAt = this.#now();
        if (this.#running) this.#armAt(lease.expiresAt + retryMs);
      });
    }
    this.#arm();
  }
}
