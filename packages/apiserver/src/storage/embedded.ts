/**
 * The default store: everything in memory as bytes, made durable by an append-only log with snapshots in one directory.
 *
 * A write is acknowledged when it would survive `kill -9` and power loss. Opening reads the directory back and refuses one that is
 * damaged, or that another living process owns. What it does not give: more than one process, or more data than memory.
 */
import path from 'node:path';
import type { Logger } from '@orbitkit/core';
import type { StoreFactory } from './contract.js';
import { type FileSystem, nodeFileSystem } from './log/file-system.js';
import { Log, type Snapshottable } from './log/log.js';
import { recover } from './log/recovery.js';
import { historyLimits, VersionedStore, type VersionedStoreOptions } from './versioned/versioned-store.js';

/** Only the directory has no default; sizes are in bytes. */
export interface EmbeddedStoreOptions extends VersionedStoreOptions {
  /** The data directory. Created when missing, mode 0700. */
  dir: string;
  /** Default: true. With false a write survives the end of the process, but not power loss; three to ten times faster on slow disks. */
  fsync?: boolean;
  /** Size at which the log goes on in a new file. Default: 16 MiB, so that space comes back in such pieces. */
  segmentBytes?: number;
  /** Take a snapshot when at least this much log can go after it. Default: 64 MiB, about 0.1 s of recovery. */
  snapshotBytes?: number;
  /** Where warnings go. Default: nowhere. */
  log?: Pick<Logger, 'warn'>;
  /** Default: the operating system's. */
  fileSystem?: FileSystem;
}

/**
 * Each call of the returned factory opens the directory.
 * @throws StoreUnavailableError when the directory is in use, damaged, incomplete, or of another format version.
 */
export function embeddedStore(options: EmbeddedStoreOptions): StoreFactory {
  const files = options.fileSystem ?? nodeFileSystem;
  const directory = path.resolve(options.dir);
  const logOptions = {
    directory,
    files,
    durable: options.fsync ?? true,
    segmentBytes: options.segmentBytes ?? 16 * 1024 * 1024,
    snapshotBytes: options.snapshotBytes ?? 64 * 1024 * 1024,
    log: options.log,
  };
  return async () => {
    await files.makeDirectory(directory);
    const lock = await files.lockDirectory(directory);
    try {
      const recovered = await recover(files, directory, historyLimits(options));
      const log = await Log.open(logOptions, recovered);
      return new EmbeddedStore(options, log, recovered, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  };
}

class EmbeddedStore extends VersionedStore {
  constructor(
    options: EmbeddedStoreOptions,
    log: Log,
    recovered: Awaited<ReturnType<typeof recover>>,
    lock: { release(): Promise<void> },
  ) {
    const journal = {
      commit: log.commit.bind(log),
      applied: log.applied.bind(log),
      async close() {
        try {
          await log.close();
        } finally {
          await lock.release();
        }
      },
    };
    super('embedded', options, journal, recovered);
    log.attach(this.#snapshottable());
  }

  #snapshottable(): Snapshottable {
    const store = this;
    return {
      get compactedRevision() {
        return store.compactedRevision;
      },
      hold: () => store.hold(),
    };
  }
}
