/**
 * Forgets history by itself: every five minutes one of the servers compacts up to where the store was five minutes before. Whose turn it is
 * is decided by a compare-and-swap on one key, as kube-apiserver's compactor does (etcd3 `compact.go`: interval 5 min): the others
 * find it taken, and learn from it what will be compacted next time.
 *
 * A watch or a paginated list has at least one interval to go on. The revision belongs to the whole etcd: other users of it are
 * compacted as well.
 */
import type { Clock, Logger } from '@orbitkit/core';
import type { KeySpace } from './key-space.js';
import type { Kv } from './kv.js';

export interface CompactorOptions {
  readonly kv: Kv;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** etcd's revision. */
  compact(revision: bigint): Promise<void>;
  readonly log?: Pick<Logger, 'warn'> | undefined;
}

/** Runs until the signal aborts; never rejects. */
export async function compactor(options: CompactorOptions, signal: AbortSignal): Promise<void> {
  const { kv, keys, clock, intervalMs, compact, log } = options;
  let turn = 0n;
  let revision = 0n;
  while (!signal.aborted) {
    try {
      await clock.sleep(intervalMs, signal);
      const {
        succeeded,
        revision: now,
        results,
      } = await kv.txn({
        compare: [{ key: keys.compact, target: 'version', value: turn }],
        success: [{ type: 'put', key: keys.compact, value: Buffer.from(String(revision)) }],
        failure: [{ type: 'range', key: keys.compact }],
      });
      if (succeeded) {
        turn += 1n;
        const until = revision;
        revision = now;
        if (until > 0n) await compact(until);
      } else {
        turn = results[0]?.entries[0]?.version ?? 0n;
        revision = now;
      }
    } catch (error) {
      if (!signal.aborted) log?.warn('etcd could not be compacted; it is tried again', { error: String(error) });
    }
  }
}
