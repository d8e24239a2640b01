/**
 * What the embedded store needs of a file system, and no more, so that tests can put one under it that fails, or that forgets
 * everything not yet synced. Paths are absolute; errors are Node's, with their `code`.
 */
import fs from 'node:fs';
import path from 'node:path';
import { lockDirectory } from './directory-lock.js';

/** An open file. One writer; it is written to at positions, never appended blindly. */
export interface LogFile {
  /** Writes all of the data at the position. On a file opened `durable` it resolves when the data would survive power loss. */
  write(data: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or extends it with zeros (a hole where the file system has them). */
  truncate(size: number): Promise<void>;
  /** Everything written and the size survive power loss. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** One file system. `nodeFileSystem` is the operating system's. */
export interface FileSystem {
  /** Creates the directory (mode 0700) and what is missing above it. */
  makeDirectory(directory: string): Promise<void>;
  /** @throws StoreUnavailableError when another live process owns the directory. */
  lockDirectory(directory: string): Promise<{ release(): Promise<void> }>;
  /** Names, unordered. */
  list(directory: string): Promise<string[]>;
  readFile(file: string): Promise<Buffer>;
  /** The file's bytes, a few hundred kilobytes at a time, each piece in memory of its own. */
  readChunks(file: string): AsyncIterable<Buffer>;
  /** Opens for writing. `create`: the file must not exist yet; it gets mode 0600. */
  open(file: string, options: { create: boolean; durable: boolean }): Promise<LogFile>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Names created, renamed or removed in it survive power loss. */
  syncDirectory(directory: string): Promise<void>;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;
/** What is read stays in memory as long as one value in it does: large enough to be quick, small against a store. */
const readBytes = 512 * 1024;
/** One system call for write and flush; where it is not what it says (it is on Linux), write and fdatasync. */
const flushOnWrite = process.platform === 'linux' ? O_DSYNC : 0;

/** The operating system's. */
export const nodeFileSystem: FileSystem = {
  async makeDirectory(directory) {
    const created = await fs.promises.mkdir(directory, { recursive: true, mode: 0o700 });
    // The names of the new directories must be durable as well, or the whole store could vanish with one of them.
    if (created === undefined) return;
    for (let at = path.resolve(directory); at.length >= path.resolve(created).length; at = path.dirname(at)) {
      await this.syncDirectory(path.dirname(at));
    }
  },
  lockDirectory,
  list: directory => fs.promises.readdir(directory),
  readFile: file => fs.promises.readFile(file),
  readChunks: file => fs.createReadStream(file, { highWaterMark: readBytes }),
  async open(file, { create, durable }) {
    const flags = O_WRONLY | (create ? O_CREAT | O_EXCL : 0) | (durable ? flushOnWrite : 0);
    const fd = await new Promise<number>((resolve, reject) =>
      fs.open(file, flags, 0o600, (error, opened) => (error ? reject(error) : resolve(opened))),
    );
    return logFile(fd, durable && flushOnWrite === 0);
  },
  rename: (from, to) => fs.promises.rename(from, to),
  remove: file => fs.promises.unlink(file),
  async syncDirectory(directory) {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

/** On callbacks, not FileHandle: a commit is one trip to the thread pool and one promise. */
function logFile(fd: number, flushAfterWrite: boolean): LogFile {
  const call = (run: (done: (error: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => run(error => (error ? reject(error) : resolve())));
  return {
    write: (data, position) =>
      call(done => {
        const from = (offset: number): void =>
          fs.write(fd, data, offset, data.length - offset, position + offset, (error, written) => {
            if (error) done(error);
            else if (offset + written < data.length) from(offset + written);
            else if (flushAfterWrite) fs.fdatasync(fd, done);
            else done(null);
          });
        from(0);
      }),
    truncate: size => call(done => fs.ftruncate(fd, size, done)),
    sync: () => call(done => fs.fsync(fd, done)),
    close: () => call(done => fs.close(fd, done)),
  };
}
