/**
 * Records of the log and of snapshots, and how they stand in a file. All numbers little-endian.
 *
 *     0  magic "okr1"    4  crc32 of what follows, seeded with the file's salt    8  length of the body    12  body
 *     body:  0 type   4 place in its commit (u32)   8 sequence (u64)   16 revision or lease (u64)   24 … by type
 *
 * The sequence counts records without gaps, so a lost record is noticed; sequence minus place names the commit, so a torn last
 * commit can be told from damage before it. The salt makes it impossible to forge a record inside a value.
 */
import { crc32 } from 'node:zlib';
import type { Change } from '../versioned/change.js';

const recordMagic = 0x31726b6f;
export const recordMagicBytes = Buffer.from('okr1');
const frameBytes = 12;
const bodyHeaderBytes = 24;

const typeCodes = {
  put: 1,
  delete: 2,
  grant: 3,
  revoke: 4,
  compact: 5,
  snapshot: 16,
  entry: 17,
  lease: 18,
  end: 19,
} as const;

/** What only snapshots hold. */
export type SnapshotRecord =
  | { readonly type: 'snapshot'; readonly revision: bigint; readonly lastLease: bigint }
  | {
      readonly type: 'entry';
      readonly key: string;
      readonly value: Uint8Array;
      readonly modRevision: bigint;
      readonly createRevision: bigint;
      readonly lease: bigint;
    }
  | { readonly type: 'lease'; readonly lease: bigint; readonly ttlMs: number }
  /** `count`: entries before it. */
  | { readonly type: 'end'; readonly count: bigint };

export type LogRecord = Change | SnapshotRecord;

export interface ReadRecord {
  readonly record: LogRecord;
  readonly sequence: number;
  /** The sequence of the first record of its commit. */
  readonly commit: number;
  /** Offset of the next record. */
  readonly end: number;
}

const keyed = (record: LogRecord): record is Extract<LogRecord, { key: string }> => 'key' in record;
const fixedBytes = {
  put: 12,
  delete: 4,
  grant: 8,
  revoke: 0,
  compact: 0,
  snapshot: 8,
  entry: 20,
  lease: 8,
  end: 0,
} as const;

export function recordBytes(record: LogRecord): number {
  let bytes = frameBytes + bodyHeaderBytes + fixedBytes[record.type];
  if (keyed(record)) bytes += Buffer.byteLength(record.key);
  if ('value' in record) bytes += record.value.length;
  return bytes;
}

/** Writes one record; returns the offset behind it. `target` has room. */
export function writeRecord(
  target: Buffer,
  start: number,
  record: LogRecord,
  place: number,
  sequence: number,
  salt: number,
): number {
  const body = start + frameBytes;
  target.writeUInt32LE(typeCodes[record.type], body);
  target.writeUInt32LE(place, body + 4);
  writeNumber(target, sequence, body + 8);
  target.writeBigUInt64LE(headNumber(record), body + 16);
  let end = body + bodyHeaderBytes;
  switch (record.type) {
    case 'put':
      target.writeBigUInt64LE(record.lease, end);
      end = writeValue(target, writeKey(target, record.key, end + 8), record.value);
      break;
    case 'entry':
      target.writeBigUInt64LE(record.createRevision, end);
      target.writeBigUInt64LE(record.lease, end + 8);
      end = writeValue(target, writeKey(target, record.key, end + 16), record.value);
      break;
    case 'delete':
      end = writeKey(target, record.key, end);
      break;
    case 'grant':
    case 'lease':
      end = writeNumber(target, record.ttlMs, end);
      break;
    case 'snapshot':
      target.writeBigUInt64LE(record.lastLease, end);
      end += 8;
      break;
  }
  target.writeUInt32LE(recordMagic, start);
  target.writeUInt32LE(end - body, start + 8);
  target.writeUInt32LE(crc32(target.subarray(start + 8, end), salt), start + 4);
  return end;
}

/** The record at the offset, or undefined when no whole, intact one stands there. Values are views into `source`. */
export function readRecord(source: Buffer, start: number, salt: number): ReadRecord | undefined {
  const body = start + frameBytes;
  if (body + bodyHeaderBytes > source.length || source.readUInt32LE(start) !== recordMagic) return undefined;
  const end = body + source.readUInt32LE(start + 8);
  if (end > source.length || end < body + bodyHeaderBytes) return undefined;
  if (crc32(source.subarray(start + 8, end), salt) !== source.readUInt32LE(start + 4)) return undefined;
  const record = readBody(source, body, end);
  if (record === undefined) return undefined;
  const sequence = readNumber(source, body + 8);
  return { record, sequence, commit: sequence - source.readUInt32LE(body + 4), end };
}

/** How many bytes from the offset on must be at hand to know the whole record, or that none begins there. */
export function neededBytes(source: Buffer, start: number): number {
  if (start + 4 > source.length) return 4;
  if (source.readUInt32LE(start) !== recordMagic) return 0;
  return start + frameBytes > source.length ? frameBytes : frameBytes + source.readUInt32LE(start + 8);
}

function readBody(source: Buffer, body: number, end: number): LogRecord | undefined {
  const head = source.readBigUInt64LE(body + 16);
  const rest = body + bodyHeaderBytes;
  switch (source.readUInt32LE(body)) {
    case typeCodes.put: {
      const { key, next } = readKey(source, rest + 8);
      return {
        type: 'put',
        key,
        value: source.subarray(next, end),
        lease: source.readBigUInt64LE(rest),
        revision: head,
      };
    }
    case typeCodes.entry: {
      const { key, next } = readKey(source, rest + 16);
      const createRevision = source.readBigUInt64LE(rest);
      const lease = source.readBigUInt64LE(rest + 8);
      return { type: 'entry', key, value: source.subarray(next, end), modRevision: head, createRevision, lease };
    }
    case typeCodes.delete:
      return { type: 'delete', key: readKey(source, rest).key, revision: head };
    case typeCodes.grant:
      return { type: 'grant', lease: head, ttlMs: readNumber(source, rest) };
    case typeCodes.lease:
      return { type: 'lease', lease: head, ttlMs: readNumber(source, rest) };
    case typeCodes.revoke:
      return { type: 'revoke', lease: head };
    case typeCodes.compact:
      return { type: 'compact', revision: head };
    case typeCodes.snapshot:
      return { type: 'snapshot', revision: head, lastLease: source.readBigUInt64LE(rest) };
    case typeCodes.end:
      return { type: 'end', count: head };
    default:
      return undefined;
  }
}

function headNumber(record: LogRecord): bigint {
  switch (record.type) {
    case 'put':
    case 'delete':
    case 'compact':
    case 'snapshot':
      return record.revision;
    case 'grant':
    case 'revoke':
    case 'lease':
      return record.lease;
    case 'entry':
      return record.modRevision;
    case 'end':
      return record.count;
  }
}

function writeKey(target: Buffer, key: string, offset: number): number {
  const length = target.write(key, offset + 4);
  target.writeUInt32LE(length, offset);
  return offset + 4 + length;
}

function readKey(source: Buffer, offset: number): { key: string; next: number } {
  const next = offset + 4 + source.readUInt32LE(offset);
  return { key: source.toString('utf8', offset + 4, next), next };
}

function writeValue(target: Buffer, offset: number, value: Uint8Array): number {
  target.set(value, offset);
  return offset + value.length;
}

/** Whole numbers up to 2^53 in eight bytes, without a bigint. */
function writeNumber(target: Buffer, value: number, offset: number): number {
  target.writeUInt32LE(value % 0x1_0000_0000, offset);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
  return offset + 8;
}

const readNumber = (source: Buffer, offset: number): number =>
  source.readUInt32LE(offset) + source.readUInt32LE(offset + 4) * 0x1_0000_0000;
