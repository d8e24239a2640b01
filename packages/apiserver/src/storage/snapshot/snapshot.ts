/**
 * Snapshots of a whole store in one file, the same for every back end: what one saves, any other restores. Each record and the header carry
 * a checksum, the end is marked and counted: a file that is cut short or changed is refused. Values stand in it as they are stored:
 * encrypted ones stay encrypted, and need their keys to be read again.
 *
 * After a restore every revision that the store gives out is higher than any that was seen before (`defaultRevisionBump` beyond
 * the snapshot, as etcd's `--bump-revision`), and what was before counts as compacted: clients that watched get 410 and list again.
 */
import { type DumpedEntry, type Store, StoreUnavailableError } from '../contract.js';
import { decodeSnapshot, encodeSnapshot } from '../log/snapshot.js';
import { VersionIndex } from '../versioned/version-index.js';
import type { RestoredState } from '../versioned/versioned-store.js';

/** More writes than a cluster makes between a snapshot and the loss of its store: a thousand a second for eleven days. */
export const defaultRevisionBump = 1_000_000_000n;

/** A whole snapshot in memory, checked from its first byte to its last. */
export interface LoadedSnapshot {
  /** Of the store when it was saved. */
  readonly revision: bigint;
  readonly leases: ReadonlyMap<bigint, number>;
  /** In key order. */
  readonly entries: readonly DumpedEntry[];
  /** Size of the file. */
  readonly bytes: number;
}

/** The bytes of a snapshot of this store as of now. Writers go on meanwhile. */
export async function* saveSnapshot(
  store: Store,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<Buffer, void, void> {
  const { revision, leases, entries } = await store.dump(options);
  let lastLease = 0n;
  for (const { lease } of leases) if (lease > lastLease) lastLease = lease;
  yield* encodeSnapshot({ revision, lastLease, leases, entries });
}

/**
 * Reads and checks a whole snapshot.
 * @param name for messages
 * @throws StoreUnavailableError when it is not intact, and where
 */
export async function loadSnapshot(chunks: AsyncIterable<Buffer>, name: string): Promise<LoadedSnapshot> {
  let revision = 0n;
  let bytes = 0;
  const leases = new Map<bigint, number>();
  const entries: DumpedEntry[] = [];
  async function* counted(): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  try {
    for await (const record of decodeSnapshot(counted(), name)) {
      if (record.type === 'snapshot') revision = record.revision;
      else if (record.type === 'lease') leases.set(record.lease, record.ttlMs);
      else if (record.type === 'entry') {
        const { key, modRevision, createRevision, lease } = record;
        entries.push({ key, value: Buffer.from(record.value), modRevision, createRevision, lease });
      }
    }
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error;
    throw new StoreUnavailableError(
      `${name} is no intact snapshot: ${error.message.replace(/\. (Going on|Restore).*$/s, '')}`,
    );
  }
  return { revision, leases, entries, bytes };
}

/** The state of a store that begins with this snapshot. */
export function stateOf(snapshot: LoadedSnapshot, revision: bigint): RestoredState {
  const index = new VersionIndex(revision);
  const attachments = new Map<string, bigint>();
  let lastLease = 0n;
  for (const lease of snapshot.leases.keys()) if (lease > lastLease) lastLease = lease;
  for (const { lease, ...entry } of snapshot.entries) {
    index.restore(entry);
    if (lease !== 0n) attachments.set(entry.key, lease);
  }
  return { index, compactedRevision: revision, leases: snapshot.leases, attachments, lastLease };
}

/** What a snapshot holds, in figures. */
export interface SnapshotStatus {
  readonly revision: bigint;
  readonly entries: number;
  readonly leases: number;
  readonly bytes: number;
  /** Entries by the first parts of their keys: `core/pods`, `apps/deployments`. */
  readonly resources: ReadonlyMap<string, number>;
}

/** Counts what a snapshot holds, without a look into its values. */
export function snapshotStatus({ revision, leases, entries, bytes }: LoadedSnapshot): SnapshotStatus {
  const resources = new Map<string, number>();
  for (const { key } of entries) {
    const [, root, group, plural] = key.split('/');
    const name = root === 'registry' && plural !== undefined ? `${group}/${plural}` : '(other keys)';
    resources.set(name, (resources.get(name) ?? 0) + 1);
  }
  return { revision, entries: entries.length, leases: leases.size, bytes, resources };
}
