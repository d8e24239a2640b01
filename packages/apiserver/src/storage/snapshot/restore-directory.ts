/**
 * Puts a snapshot into the data directory of an embedded store that nobody has open. A directory that holds a store is refused unless
 * `overwrite` says that it may go. Cut off in between, the directory holds the old store, the new one, or says that it is
 * incomplete; doing it again completes it.
 */
import path from 'node:path';
import { StoreUnavailableError } from '../contract.js';
import { type FileSystem, nodeFileSystem } from '../log/file-system.js';
import { recover } from '../log/recovery.js';
import { createSegment, isSegmentName } from '../log/segment.js';
import { isSnapshotName, writeSnapshotFile } from '../log/snapshot.js';
import { defaultHistoryLimits } from '../versioned/history-limits.js';
import { defaultRevisionBump, type LoadedSnapshot } from './snapshot.js';

/** What is put where. */
export interface RestoreDirectoryOptions {
  dir: string;
  snapshot: LoadedSnapshot;
  /** The directory may hold a store, which is lost. Default false. */
  overwrite?: boolean;
  /** Added to the snapshot's revision. Default a thousand million. */
  bumpRevisions?: bigint;
  /** Default: the operating system's. */
  fileSystem?: FileSystem;
}

/** @returns the revision that the store begins with. @throws StoreUnavailableError when the directory is in use or not empty. */
export async function restoreDirectory(options: RestoreDirectoryOptions): Promise<bigint> {
  const {
    snapshot,
    overwrite = false,
    bumpRevisions = defaultRevisionBump,
    fileSystem: files = nodeFileSystem,
  } = options;
  const directory = path.resolve(options.dir);
  await files.makeDirectory(directory);
  const lock = await files.lockDirectory(directory);
  try {
    const present = (await files.list(directory)).filter(name => isSegmentName(name) || isSnapshotName(name)).sort();
    let base = snapshot.revision;
    if (present.length > 0) {
      if (!overwrite) {
        throw new StoreUnavailableError(
          `${directory} holds a store already; name an empty directory, or say that this store may be overwritten`,
        );
      }
      // A damaged store has a revision too, but nobody can say which: the bump has to do.
      const current = await recover(files, directory, defaultHistoryLimits).catch(() => undefined);
      if (current !== undefined && current.index.revision > base) base = current.index.revision;
    }
    const revision = base + bumpRevisions;
    await writeRestored(files, directory, snapshot, revision, present);
    return revision;
  } finally {
    await lock.release();
  }
}

/** A store in its first files: everything in a snapshot at the revision, and a segment to go on in. `old` files go in between. */
export async function writeRestored(
  files: FileSystem,
  directory: string,
  { leases: restored, entries }: LoadedSnapshot,
  revision: bigint,
  old: readonly string[] = [],
): Promise<void> {
  let lastLease = 0n;
  for (const lease of restored.keys()) if (lease > lastLease) lastLease = lease;
  const leases = [...restored].map(([lease, ttlMs]) => ({ lease, ttlMs }));
  const { signal } = new AbortController();
  const content = { revision, lastLease, leases, entries: [entries] };
  await writeSnapshotFile(files, directory, content, { durable: true, signal });
  for (const name of old) await files.remove(path.join(directory, name));
  const { handle } = await createSegment(files, {
    directory,
    firstSequence: 1,
    baseRevision: revision,
    reserve: 0,
    durable: true,
  });
  await handle.close();
}
