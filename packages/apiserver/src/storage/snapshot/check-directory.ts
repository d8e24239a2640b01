/**
 * Checks the data directory of an embedded store that nobody has open, and brings a damaged one back to life with what is intact in it.
 */
import path from 'node:path';
import { isStoreUnavailable } from '../contract.js';
import { type FileSystem, nodeFileSystem } from '../log/file-system.js';
import { recover } from '../log/recovery.js';
import { type Salvaged, salvage } from '../log/salvage.js';
import { isSegmentName } from '../log/segment.js';
import { isSnapshotName } from '../log/snapshot.js';
import { defaultHistoryLimits } from '../versioned/history-limits.js';
import { writeRestored } from './restore-directory.js';
import { defaultRevisionBump, type LoadedSnapshot } from './snapshot.js';

/** What a look at a directory has found; nothing is changed by looking. */
export interface DirectoryReport {
  /** A server opens it, and nothing is missing. */
  readonly intact: boolean;
  readonly revision: bigint;
  readonly entries: number;
  /** Why a server refuses it. */
  readonly problem: string | undefined;
  /** What is missing, file by file. */
  readonly findings: readonly string[];
}

/** What the directory holds after a repair. */
export interface RepairReport extends DirectoryReport {
  /** Where the files from before were put; undefined when nothing had to be done. */
  readonly movedTo: string | undefined;
}

interface Options {
  fileSystem?: FileSystem;
}

async function locked<T>(dir: string, files: FileSystem, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = path.resolve(dir);
  // A directory that does not exist is not made.
  await files.list(directory);
  const lock = await files.lockDirectory(directory);
  try {
    return await work(directory);
  } finally {
    await lock.release();
  }
}

interface Inspected {
  readonly report: DirectoryReport;
  readonly salvaged: Salvaged | undefined;
}

async function inspect(files: FileSystem, directory: string): Promise<Inspected> {
  try {
    const { index } = await recover(files, directory, defaultHistoryLimits);
    const { revision, keys: entries } = index;
    return { report: { intact: true, revision, entries, problem: undefined, findings: [] }, salvaged: undefined };
  } catch (error) {
    if (!isStoreUnavailable(error)) throw error;
    const salvaged = await salvage(files, directory);
    const { revision, entries, findings } = salvaged;
    const report = { intact: false, revision, entries: entries.length, problem: error.message, findings };
    return { report, salvaged };
  }
}

/** @throws StoreUnavailableError when another process has it open */
export const checkDirectory = (
  dir: string,
  { fileSystem: files = nodeFileSystem }: Options = {},
): Promise<DirectoryReport> => locked(dir, files, async directory => (await inspect(files, directory)).report);

/** What can be read of a damaged store, in the form of a snapshot: to be saved elsewhere before anything is changed. */
export const salvageDirectory = (
  dir: string,
  { fileSystem: files = nodeFileSystem }: Options = {},
): Promise<LoadedSnapshot> =>
  locked(dir, files, async directory => ({ ...(await salvage(files, directory)), bytes: 0 }));

/**
 * Makes a damaged store one that opens, with everything that is intact in it. Its files are kept beside it, in `damaged-…`. Revisions go on
 * far beyond the highest that was found. Does nothing to a store that is intact.
 */
export const repairDirectory = (
  dir: string,
  { fileSystem: files = nodeFileSystem }: Options = {},
): Promise<RepairReport> =>
  locked(dir, files, async directory => {
    const { report, salvaged } = await inspect(files, directory);
    if (salvaged === undefined) return { ...report, movedTo: undefined };
    const movedTo = path.join(directory, `damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`);
    await files.makeDirectory(movedTo);
    const names = (await files.list(directory)).filter(name => isSegmentName(name) || isSnapshotName(name)).sort();
    for (const name of names) await files.rename(path.join(directory, name), path.join(movedTo, name));
    await files.syncDirectory(movedTo);
    await files.syncDirectory(directory);
    const revision = salvaged.revision + defaultRevisionBump;
    await writeRestored(files, directory, { ...salvaged, bytes: 0 }, revision);
    return { ...report, movedTo };
  });
