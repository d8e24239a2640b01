/**
 * What can still be read of a damaged data directory: every intact record of every snapshot and segment, in order, with a finding for
 * each place where something is missing. Later writes of a key count over earlier ones, so an entry is the newest that is left
 * of it; one whose deletion is among what was lost is there again, and a write that was lost is not there. The findings say how many.
 *
 * Reads only. Nobody else may have the directory open.
 */
import path from 'node:path';
import { type DumpedEntry, isStoreUnavailable } from '../contract.js';
import { fileHeaderBytes, readFileHeader } from './file-header.js';
import type { FileSystem } from './file-system.js';
import { type LogRecord, type ReadRecord, readRecord, recordMagicBytes } from './record.js';
import { isZero } from './record-reader.js';
import { isSegmentName } from './segment.js';
import { isSnapshotName, readSnapshot } from './snapshot.js';

export interface Salvaged {
  /** The highest revision that was found. */
  readonly revision: bigint;
  readonly entries: readonly DumpedEntry[];
  readonly leases: ReadonlyMap<bigint, number>;
  /** File, place and extent of what is missing. Empty: nothing is. */
  readonly findings: readonly string[];
}

export async function salvage(files: FileSystem, directory: string): Promise<Salvaged> {
  const names = (await files.list(directory)).sort();
  const state = new SalvagedState();
  const findings: string[] = [];
  for (const name of names.filter(isSnapshotName)) {
    let records = 0;
    try {
      for await (const record of readSnapshot(files, path.join(directory, name))) {
        state.apply(record);
        records++;
      }
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error;
      const place = /damaged at byte (\d+)/.exec(error.message)?.[1] ?? '?';
      findings.push(`${name}: damaged at byte ${place}; ${records} records before it were read, what follows is lost`);
    }
  }
  let expected: number | undefined;
  for (const name of names.filter(isSegmentName)) {
    const bytes = await files.readFile(path.join(directory, name));
    const header = readFileHeader('log', bytes);
    if (header === undefined || 'version' in header) {
      if (bytes.indexOf(recordMagicBytes) >= 0)
        findings.push(`${name}: the header is not intact, so no record of the file can be checked; all of it is lost`);
      continue;
    }
    if (expected !== undefined && header.firstSequence > expected) {
      findings.push(
        `${name}: ${header.firstSequence - expected} records before this file are lost (${expected} to ${header.firstSequence - 1})`,
      );
    }
    expected = Math.max(expected ?? 0, header.firstSequence);
    let offset = fileHeaderBytes;
    while (offset < bytes.length) {
      const read = readRecord(bytes, offset, header.salt);
      if (read !== undefined) {
        state.apply(read.record);
        expected = read.sequence + 1;
        offset = read.end;
        continue;
      }
      const next = nextRecord(bytes, offset + 1, header.salt);
      if (next === undefined) {
        if (!isZero(bytes.subarray(offset)))
          findings.push(
            `${name}: damaged from byte ${offset} to the end; record ${expected} and what followed it in this file are lost`,
          );
        break;
      }
      const lost = next.read.sequence - expected;
      findings.push(
        `${name}: damaged at byte ${offset}, ${next.at - offset} bytes; ${lost} records are lost (${expected} to ${next.read.sequence - 1})`,
      );
      offset = next.at;
    }
  }
  return { revision: state.revision, entries: state.sorted(), leases: state.leases, findings };
}

function nextRecord(bytes: Buffer, from: number, salt: number): { at: number; read: ReadRecord } | undefined {
  for (let at = bytes.indexOf(recordMagicBytes, from); at !== -1; at = bytes.indexOf(recordMagicBytes, at + 1)) {
    const read = readRecord(bytes, at, salt);
    if (read !== undefined) return { at, read };
  }
  return undefined;
}

class SalvagedState {
  revision = 1n;
  readonly leases = new Map<bigint, number>();
  readonly #entries = new Map<string, DumpedEntry>();

  apply(record: LogRecord): void {
    switch (record.type) {
      case 'snapshot':
        this.#reach(record.revision);
        return;
      case 'lease':
      case 'grant':
        this.leases.set(record.lease, record.ttlMs);
        return;
      case 'revoke':
        this.leases.delete(record.lease);
        return;
      case 'entry':
        this.#put({ ...record, value: Buffer.from(record.value) });
        return;
      case 'put': {
        const { key, value, lease, revision } = record;
        const createRevision = this.#entries.get(key)?.createRevision ?? revision;
        this.#put({ key, value: Buffer.from(value), lease, createRevision, modRevision: revision });
        return;
      }
      case 'delete': {
        const entry = this.#entries.get(record.key);
        if (entry !== undefined && entry.modRevision < record.revision) this.#entries.delete(record.key);
        this.#reach(record.revision);
        return;
      }
    }
  }

  /** Bytewise, as stores list. */
  sorted(): DumpedEntry[] {
    const byBytes = ({ key: a }: DumpedEntry, { key: b }: DumpedEntry) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b));
    return [...this.#entries.values()]
      .map(entry => (entry.lease !== 0n && !this.leases.has(entry.lease) ? { ...entry, lease: 0n } : entry))
      .sort(byBytes);
  }

  #put({ key, value, lease, createRevision, modRevision }: DumpedEntry): void {
    const before = this.#entries.get(key);
    // The log may begin before the snapshot ends.
    if (before !== undefined && before.modRevision >= modRevision) return;
    this.#entries.set(key, { key, value, lease, createRevision, modRevision });
    this.#reach(modRevision);
  }
  #reach(revision: bigint): void {
    if (revision > this.revision) this.revision = revision;
  }
}
