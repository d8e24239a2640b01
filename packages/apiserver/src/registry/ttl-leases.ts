/**
 * Leases for objects that vanish some time after their last write (Events: one hour). Objects that are written within a minute share a
 * lease, so that ten thousand events cost a few dozen leases (etcd3 lease manager: reuse for 60 s, at most 1,000 objects each).
 * An object lives for its time and up to a minute more.
 */
import type { Clock } from '@orbitkit/core';
import type { Store } from '../storage/contract.js';

const reuseMs = 60_000;
const objectsPerLease = 1_000;

interface Shared {
  lease: Promise<bigint>;
  since: number;
  objects: number;
}

export class TtlLeases {
  readonly #shared = new Map<number, Shared>();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
  ) {}

  leaseFor(ttlMs: number): Promise<bigint> {
    const now = this.clock.now();
    let shared = this.#shared.get(ttlMs);
    if (shared === undefined || now - shared.since >= reuseMs || shared.objects >= objectsPerLease) {
      const lease = this.store.grantLease(ttlMs + reuseMs);
      shared = { lease, since: now, objects: 0 };
      this.#shared.set(ttlMs, shared);
      lease.catch(() => this.#shared.delete(ttlMs));
    }
    shared.objects++;
    return shared.lease;
  }
}
