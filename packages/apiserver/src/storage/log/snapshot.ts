/**
 * A snapshot: the whole state at one revision, in one file, so that the log before it can go. It is written under a temporary name,
 * synced and renamed: a file with a snapshot's name is complete, and one that is not is damage. Entries come in key order;
 * an end record with their count closes it.
 */
import path from 'node:path';
import type { DumpedEntry, Entry } from '../contract.js';
import { damaged, otherVersion } from './damage.js';
import { fileHeaderBytes, newSalt, readFileHeader, writeFileHeader } from './file-header.js';
import type { FileSystem } from './file-system.js';
import { type LogRecord, recordBytes, type SnapshotRecord, writeRecord } from './record.js';
import { RecordReader } from './record-reader.js';

const namePattern = /^state-(\d{20})\.snapshot$/;
const snapshotName = (revision: bigint): string => `state-${String(revision).padStart(20, '0')}.snapshot`;
export const isSnapshotName = (name: string): boolean => namePattern.test(name);
export const temporarySuffix = '.tmp';
/** Entries are fetched and written in pieces of about this size, so that neither memory nor the event loop notices. */
const chunkBytes = 1024 * 1024;

export interface SnapshotSource {
  readonly revision: bigint;
  readonly lastLease: bigint;
  readonly leases: readonly { lease: bigint; ttlMs: number }[];
  leaseOf(key: string): bigint;
  /** The next entries at that revision, in key order; none at the end. */
  read(after: string | undefined, limit: number): readonly Entry[];
}

/** What a snapshot says: leases first, then the entries in key order. */
export interface SnapshotContent {
  readonly revision: bigint;
  readonly lastLease: bigint;
  readonly leases: Iterable<{ readonly lease: bigint; readonly ttlMs: number }>;
  readonly entries: AsyncIterable<readonly DumpedEntry[]> | Iterable<readonly DumpedEntry[]>;
}

/** The bytes of a snapshot, in pieces of about a megabyte. */
export async function* encodeSnapshot(content: SnapshotContent): AsyncGenerator<Buffer, void, void> {
  const salt = newSalt();
  let sequence = 0;
  let pending: Buffer[] = [writeFileHeader('snapshot', { salt, firstSequence: 0, baseRevision: content.revision })];
  let pendingBytes = fileHeaderBytes;
  const add = (record: SnapshotRecord) => {
    const bytes = Buffer.allocUnsafe(recordBytes(record));
    writeRecord(bytes, 0, record, 0, sequence++, salt);
    pending.push(bytes);
    pendingBytes += bytes.length;
  };
  const take = (): Buffer => {
    const data = Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
    return data;
  };
  add({ type: 'snapshot', revision: content.revision, lastLease: content.lastLease });
  for (const { lease, ttlMs } of content.leases) add({ type: 'lease', lease, ttlMs });
  let count = 0n;
  for await (const entries of content.entries) {
    for (const { key, value, modRevision, createRevision, lease } of entries) {
      add({ type: 'entry', key, value, modRevision, createRevision, lease });
      count++;
      if (pendingBytes >= chunkBytes) yield take();
    }
  }
  add({ type: 'end', count });
  yield take();
}

/** @returns the file and its size. Aborted or failed, it leaves nothing but perhaps a temporary file, which opening removes. */
export async function writeSnapshot(
  files: FileSystem,
  directory: string,
  source: SnapshotSource,
  options: { durable: boolean; signal: AbortSignal },
): Promise<{ file: string; bytes: number }> {
  const { revision, lastLease, leases } = source;
  function* entries(): Generator<readonly DumpedEntry[], void> {
    let after: string | undefined;
    for (let page = source.read(after, 256); page.length > 0; page = source.read(after, 256)) {
      yield page.map(entry => ({ ...entry, lease: source.leaseOf(entry.key) }));
      after = page[page.length - 1]!.key;
    }
  }
  return writeSnapshotFile(files, directory, { revision, lastLease, leases, entries: entries() }, options);
}

/** The same from a content. */
export async function writeSnapshotFile(
  files: FileSystem,
  directory: string,
  content: SnapshotContent,
  options: { durable: boolean; signal: AbortSignal },
): Promise<{ file: string; bytes: number }> {
  const file = path.join(directory, snapshotName(content.revision));
  const temporary = `${file}${temporarySuffix}`;
  await files.remove(temporary).catch(() => undefined);
  // Flushed once at the end: nothing depends on it before the rename.
  const handle = await files.open(temporary, { create: true, durable: false });
  let position = 0;
  try {
    for await (const data of encodeSnapshot(content)) {
      options.signal.throwIfAborted();
      await handle.write(data, position);
      position += data.length;
    }
    if (options.durable) await handle.sync();
  } finally {
    await handle.close();
  }
  await files.rename(temporary, file);
  if (options.durable) await files.syncDirectory(directory);
  return { file, bytes: position };
}

/** Every record of the snapshot, checked, the end record included. Values are views into the chunks that were read. */
export const readSnapshot = (files: FileSystem, file: string): AsyncGenerator<LogRecord, void, void> =>
  decodeSnapshot(files.readChunks(file), file);

/** @param file for messages */
export async function* decodeSnapshot(
  chunks: AsyncIterable<Buffer>,
  file: string,
): AsyncGenerator<LogRecord, void, void> {
  const headerNotIntact = () => damaged(file, 0, 'the header of the snapshot is not intact');
  const reader = new RecordReader(bytes => {
    const header = readFileHeader('snapshot', bytes);
    if (header === undefined) throw headerNotIntact();
    if ('version' in header) throw otherVersion(file, header.version);
    return header.salt;
  });
  let expected = 0;
  let entries = 0n;
  let complete = false;
  const wrong = (start: number) => damaged(file, start, `record ${expected} of the snapshot fails its checksum`);
  for await (const records of reader.read(chunks)) {
    for (const { record, sequence, start } of records) {
      if (sequence !== expected || complete) throw wrong(start);
      expected++;
      if (record.type === 'entry') entries++;
      if (record.type === 'end') {
        if (record.count !== entries)
          throw damaged(file, start, `the snapshot has ${entries} entries and should have ${record.count}`);
        complete = true;
      }
      yield record;
    }
  }
  if (reader.offset === 0) throw headerNotIntact();
  if (reader.broken) throw wrong(reader.offset);
  if (!complete) throw damaged(file, reader.offset, 'the snapshot ends before its end record');
}
