/**
 * Puts a snapshot into etcd. Every entry is written anew, with a revision of its own; since etcd's revisions cannot be set, an offset is
 * kept that lifts them above every revision of the snapshot. Servers must not run meanwhile; one that does notices, and stops
 * serving. Until the end a note says that the restore is not complete, and no server opens the store.
 */
import { systemClock } from '@orbitkit/core';
import { StoreUnavailableError } from '../contract.js';
import { defaultRevisionBump, type LoadedSnapshot } from '../snapshot/snapshot.js';
import { connect } from './connection.js';
import { storeErrorOf } from './errors.js';
import type { EtcdStoreOptions } from './etcd-store.js';
import { isGrpcError } from './kv.js';
import { EtcdLeases } from './leases.js';
import { restoring } from './revision-offset.js';

/** What is put under the prefix. */
export interface RestoreEtcdOptions {
  snapshot: LoadedSnapshot;
  /** What stands under the prefix may go. Default false. */
  overwrite?: boolean;
  /** Added to the snapshot's revision. Default a thousand million. */
  bumpRevisions?: bigint;
}

/** Puts under way at once. */
const parallel = 64;

/** @returns the store's revision afterwards. @throws StoreUnavailableError when there is something under the prefix. */
export async function restoreEtcd(
  options: EtcdStoreOptions,
  { snapshot, overwrite = false, bumpRevisions = defaultRevisionBump }: RestoreEtcdOptions,
): Promise<bigint> {
  const { channel, kv, keys, administration, prefix, hosts } = await connect(options);
  try {
    const { count, revision } = await kv.range({ key: keys.all.key, rangeEnd: keys.all.end, countOnly: true });
    const before = (await kv.range({ key: keys.offset })).entries[0]?.value.toString();
    if (count > 0 && !overwrite) {
      throw new StoreUnavailableError(
        `the etcd at ${hosts.join(',')} holds ${count} keys under ${prefix} already; name another prefix, or say that they may be overwritten`,
      );
    }
    const current = revision + (before === undefined || before === restoring ? 0n : BigInt(before));
    const base = snapshot.revision > current ? snapshot.revision : current;
    const put = (key: Buffer, value: string) =>
      kv.txn({ compare: [], success: [{ type: 'put', key, value: Buffer.from(value) }], failure: [] }, true);
    await put(keys.offset, restoring);
    for await (const page of kv.pages(keys.all, { limit: 500, keysOnly: true })) {
      const old = page.entries.filter(({ key }) => !key.equals(keys.offset));
      if (old.length === 0) continue;
      // One transaction: nobody watches, so that one revision for all does no harm. etcd takes at most 128 operations.
      for (let i = 0; i < old.length; i += 100) {
        const success = old.slice(i, i + 100).map(({ key }) => ({ type: 'delete', key }) as const);
        await kv.txn({ compare: [], success, failure: [] }, true);
      }
    }
    const leases = new EtcdLeases({ kv, keys, administration, clock: systemClock });
    const leaseOf = new Map<bigint, bigint>();
    for (const [lease, ttlMs] of snapshot.leases) leaseOf.set(lease, await leases.grant(ttlMs));
    let next = 0;
    let last = revision;
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        for (let entry = snapshot.entries[next++]; entry !== undefined; entry = snapshot.entries[next++]) {
          const lease = leaseOf.get(entry.lease);
          const note = lease === undefined ? [] : [leases.note(lease, entry.key)];
          const write = { type: 'put', key: keys.data(entry.key), value: entry.value } as const;
          const answer = await kv.txn({ compare: [], success: [write, ...note], failure: [] }, true);
          if (answer.revision > last) last = answer.revision;
        }
      }),
    );
    const offset = base + bumpRevisions;
    await put(keys.offset, String(offset));
    return last + 1n + offset;
  } catch (error) {
    throw isGrpcError(error) ? storeErrorOf(error, true, undefined) : error;
  } finally {
    administration.close();
    await channel.close();
  }
}
