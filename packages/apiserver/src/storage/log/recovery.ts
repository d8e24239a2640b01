/**
 * Reads a data directory back: the newest snapshot, then every record of the log after it, in order.
 *
 * A record that is cut off or fails its checksum is a *torn tail* when it belongs to the last commit of the last segment: that commit
 * was never acknowledged, and the rest of the file goes. Anywhere else it is *damage*: acknowledged writes come after it, so recovery
 * refuses, names file and byte, and changes nothing. The two are told apart by looking for an intact record of a later commit.
 */
import path from 'node:path';
import type { Change } from '../versioned/change.js';
import { type HistoryLimits, historyEnd } from '../versioned/history-limits.js';
import { VersionIndex } from '../versioned/version-index.js';
import { damaged, missing, otherVersion } from './damage.js';
import { type FileHeader, readFileHeader } from './file-header.js';
import type { FileSystem } from './file-system.js';
import { type LogRecord, readRecord, recordMagicBytes } from './record.js';
import { RecordReader } from './record-reader.js';
import { isSegmentName, type Segment } from './segment.js';
import { isSnapshotName, readSnapshot, temporarySuffix } from './snapshot.js';

export interface Recovered {
  readonly index: VersionIndex;
  readonly compactedRevision: bigint;
  readonly leases: ReadonlyMap<bigint, number>;
  readonly attachments: ReadonlyMap<string, bigint>;
  readonly lastLease: bigint;
  /** Oldest first; the log goes on in the last one. Empty for a new directory. */
  readonly segments: readonly Segment[];
  /** End of the last intact record of the last segment. */
  readonly offset: number;
  /** Behind the offset stands something that must be cut off before the log goes on. */
  readonly torn: boolean;
  /** Sequence of the next record. */
  readonly sequence: number;
  readonly snapshot: { readonly file: string; readonly bytes: number } | undefined;
  /** What a crash left behind: temporary files, older snapshots, a segment whose creation was cut off. */
  readonly leftovers: readonly string[];
}

export async function recover(files: FileSystem, directory: string, limits: HistoryLimits): Promise<Recovered> {
  const names = (await files.list(directory)).sort();
  const leftovers = names.filter(name => name.endsWith(temporarySuffix)).map(name => path.join(directory, name));
  const snapshots = names.filter(isSnapshotName).map(name => path.join(directory, name));
  const snapshotFile = snapshots.pop();
  leftovers.push(...snapshots);

  const state = new State();
  let snapshot: { file: string; bytes: number } | undefined;
  if (snapshotFile !== undefined) {
    let bytes = 0;
    for await (const record of readSnapshot(files, snapshotFile)) {
      state.restore(record);
      if (record.type === 'entry') bytes += record.value.length + record.key.length;
    }
    snapshot = { file: snapshotFile, bytes };
  }

  const segments: Segment[] = [];
  const segmentFiles = names.filter(isSegmentName).map(name => path.join(directory, name));
  if (segmentFiles.length === 0 && snapshot !== undefined) {
    throw missing(directory, `there is a snapshot (${path.basename(snapshot.file)}) but no log segment after it`);
  }
  let sequence = 1;
  let offset = 0;
  let torn = false;
  for (const [i, file] of segmentFiles.entries()) {
    const last = i === segmentFiles.length - 1;
    let header: FileHeader | undefined;
    const reader = new RecordReader(bytes => {
      header = readHeader(file, bytes);
      if (header === undefined) return undefined;
      if (segments.length === 0) {
        if (header.baseRevision > state.index.revision) {
          throw missing(
            directory,
            `${path.basename(file)} goes on from revision ${header.baseRevision}, the state before it ends at ${state.index.revision}`,
          );
        }
        sequence = header.firstSequence;
      } else if (header.firstSequence !== sequence) {
        throw missing(
          directory,
          `${path.basename(file)} begins with record ${header.firstSequence}, but record ${sequence} comes next`,
        );
      }
      segments.push({ file, ...header });
      return header.salt;
    });
    for await (const records of reader.read(files.readChunks(file))) {
      for (const { record, sequence: found, start } of records) {
        if (found !== sequence) throw damaged(file, start, `record ${found} stands where record ${sequence} belongs`);
        const wrong = state.replay(record);
        if (wrong !== undefined) throw damaged(file, start, wrong);
        sequence++;
      }
    }
    if (header === undefined) {
      // It is durable before the first record is written: a file without one, and without records, was never used.
      if (!last || (await files.readFile(file)).includes(recordMagicBytes)) {
        throw damaged(file, 0, 'the header of the segment is not intact');
      }
      leftovers.push(file);
      break;
    }
    ({ offset } = reader);
    torn = !reader.onlyZeros;
    if (torn && (!last || hasLaterCommit(await files.readFile(file), offset, header.salt, sequence))) {
      throw damaged(file, offset, `record ${sequence} fails its checksum, and intact records follow it`);
    }
    state.index.trim(historyEnd(state.index, limits));
  }

  const { index, leases, attachments, lastLease } = state;
  if (state.compacted > index.trimmed) index.trim(state.compacted);
  const compactedRevision = index.trimmed;
  return {
    index,
    compactedRevision,
    leases,
    attachments,
    lastLease,
    segments,
    offset,
    torn,
    sequence,
    snapshot,
    leftovers,
  };
}

/** @throws StoreUnavailableError when the file is of another format version */
function readHeader(file: string, bytes: Buffer): FileHeader | undefined {
  const header = readFileHeader('log', bytes);
  if (header !== undefined && 'version' in header) throw otherVersion(file, header.version);
  return header;
}

/** An intact record somewhere behind the offset whose commit began after the record that is missing there. */
function hasLaterCommit(bytes: Buffer, offset: number, salt: number, sequence: number): boolean {
  for (let at = bytes.indexOf(recordMagicBytes, offset); at !== -1; at = bytes.indexOf(recordMagicBytes, at + 1)) {
    const read = readRecord(bytes, at, salt);
    if (read !== undefined && read.commit > sequence) return true;
  }
  return false;
}

/** What the records add up to. */
class State {
  index = new VersionIndex();
  compacted = 1n;
  lastLease = 0n;
  readonly leases = new Map<bigint, number>();
  readonly attachments = new Map<string, bigint>();

  restore(record: LogRecord): void {
    switch (record.type) {
      case 'snapshot':
        this.index = new VersionIndex(record.revision);
        this.compacted = record.revision;
        this.lastLease = record.lastLease;
        break;
      case 'lease':
        this.leases.set(record.lease, record.ttlMs);
        break;
      case 'entry': {
        const { key, modRevision, createRevision } = record;
        this.index.restore({ key, value: record.value, createRevision, modRevision });
        this.#attach(key, record.lease);
        break;
      }
    }
  }

  /** @returns what is wrong with the record, if anything is. */
  replay(record: LogRecord): string | undefined {
    switch (record.type) {
      case 'put':
      case 'delete':
        return this.#replayWrite(record);
      case 'grant':
        this.leases.set(record.lease, record.ttlMs);
        if (record.lease > this.lastLease) this.lastLease = record.lease;
        return undefined;
      case 'revoke':
        this.leases.delete(record.lease);
        return undefined;
      case 'compact':
        if (record.revision > this.compacted) this.compacted = record.revision;
        return undefined;
      default:
        return `a record of type ${record.type} does not belong into a log`;
    }
  }

  #replayWrite(change: Extract<Change, { key: string }>): string | undefined {
    const { key, revision } = change;
    if (revision <= this.index.trimmed) return undefined;
    if (revision !== this.index.revision + 1n) return `revision ${revision} follows on revision ${this.index.revision}`;
    if (change.type === 'put') {
      this.index.put(key, change.value, revision);
      this.#attach(key, change.lease);
      return undefined;
    }
    if (this.index.get(key) === undefined)
      return `revision ${revision} deletes ${JSON.stringify(key)}, which does not exist`;
    this.index.delete(key, revision);
    this.attachments.delete(key);
    return undefined;
  }

  #attach(key: string, lease: bigint): void {
    if (lease === 0n) this.attachments.delete(key);
    else this.attachments.set(key, lease);
  }
}
