/**
 * The etcd v3 messages of the hot calls (Range, Txn, Watch, LeaseKeepAlive), encoded by hand: half the client's processor time per call of
 * what a generic encoder takes. Field numbers: etcd `rpc.proto` and `kv.proto` (v3.4 to v3.6, Apache-2.0).
 */
import { MessageReader, MessageWriter } from './protobuf.js';

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly version: bigint;
}

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array | undefined;
  readonly limit?: number | undefined;
  readonly revision?: bigint | undefined;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface RangeAnswer {
  readonly revision: bigint;
  readonly clusterId: bigint;
  readonly entries: readonly KeyValue[];
  /** All keys of the range, whatever the limit. */
  readonly count: number;
}

export type Operation =
  | { readonly type: 'range'; readonly key: Uint8Array; readonly limit?: number }
  | {
      readonly type: 'put';
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly lease?: bigint | undefined;
      readonly previous?: boolean;
    }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly previous?: boolean };

/** On the revision of the last write, of the first one, or on the count of writes since; 0 means that the key must not exist. */
export interface Comparison {
  readonly key: Uint8Array;
  readonly target: 'mod' | 'version';
  /** Default: equal. */
  readonly greater?: boolean;
  readonly value: bigint;
}

export interface TxnRequest {
  readonly compare: readonly Comparison[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

export interface TxnAnswer {
  readonly succeeded: boolean;
  readonly revision: bigint;
  readonly results: readonly OperationResult[];
}

export interface OperationResult {
  /** Of a range. */
  readonly entries: readonly KeyValue[];
  /** Of a put or delete that asked for it. */
  readonly previous: KeyValue | undefined;
  /** Of a delete: how many. */
  readonly deleted: number;
}

export interface WatchCreate {
  readonly id: number;
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array | undefined;
  readonly startRevision: bigint;
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** Of a delete: key and revision alone. */
  readonly entry: KeyValue;
  readonly previous: KeyValue | undefined;
}

export interface WatchAnswer {
  readonly revision: bigint;
  readonly clusterId: bigint;
  readonly id: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Of a canceled watch whose start is compacted: the oldest revision that is left. */
  readonly compactRevision: bigint;
  readonly reason: string;
  readonly events: readonly WatchEvent[];
}

/** Five bytes before every gRPC message: not compressed, length. */
const frameBytes = 5;
const writer = new MessageWriter();

function framed(write: (message: MessageWriter) => void): Buffer {
  write(writer.reset());
  const frame = writer.take(frameBytes);
  frame[0] = 0;
  frame.writeUInt32BE(frame.length - frameBytes, 1);
  return frame;
}

function writeRange(to: MessageWriter, { key, rangeEnd, limit, revision, keysOnly, countOnly }: RangeRequest): void {
  to.bytes(1, key);
  if (rangeEnd !== undefined) to.bytes(2, rangeEnd);
  if (limit !== undefined) to.number(3, limit);
  if (revision !== undefined) to.number(4, revision);
  if (keysOnly) to.number(8, 1);
  if (countOnly) to.number(9, 1);
}

export const rangeRequest = (range: RangeRequest): Buffer => framed(message => writeRange(message, range));

function writeOperation(to: MessageWriter, operation: Operation): void {
  switch (operation.type) {
    case 'range':
      to.message(1, range => writeRange(range, operation));
      return;
    case 'put':
      to.message(2, put => {
        put.bytes(1, operation.key).bytes(2, operation.value);
        if (operation.lease !== undefined) put.number(3, operation.lease);
        if (operation.previous) put.number(4, 1);
      });
      return;
    case 'delete':
      to.message(3, remove => {
        remove.bytes(1, operation.key);
        if (operation.previous) remove.number(3, 1);
      });
  }
}

const targets = { version: { code: 0, field: 4 }, mod: { code: 2, field: 6 } } as const;

export const txnRequest = ({ compare, success, failure }: TxnRequest): Buffer =>
  framed(message => {
    for (const { key, target, greater, value } of compare) {
      message.message(1, comparison =>
        comparison
          .number(1, greater ? 1 : 0)
          .number(2, targets[target].code)
          .bytes(3, key)
          .chosenNumber(targets[target].field, value),
      );
    }
    for (const operation of success) message.message(2, to => writeOperation(to, operation));
    for (const operation of failure) message.message(3, to => writeOperation(to, operation));
  });

export const watchCreateRequest = ({ id, key, rangeEnd, startRevision }: WatchCreate): Buffer =>
  framed(message =>
    message.message(1, create => {
      create.bytes(1, key);
      if (rangeEnd !== undefined) create.bytes(2, rangeEnd);
      create.number(3, startRevision).number(4, 1).number(6, 1).number(7, id);
    }),
  );

export const watchCancelRequest = (id: number): Buffer =>
  framed(message => message.message(2, cancel => cancel.number(1, id)));

export const keepAliveRequest = (lease: bigint): Buffer => framed(message => message.number(1, lease));

function readKeyValue(reader: MessageReader): KeyValue {
  let key: Buffer = nothing;
  let value: Buffer = nothing;
  let createRevision = 0n;
  let modRevision = 0n;
  let version = 0n;
  while (reader.next()) {
    if (reader.field === 1) key = reader.bytes();
    else if (reader.field === 2) createRevision = reader.bigint();
    else if (reader.field === 3) modRevision = reader.bigint();
    else if (reader.field === 4) version = reader.bigint();
    else if (reader.field === 5) value = reader.bytes();
  }
  return { key, value, createRevision, modRevision, version };
}
const nothing = Buffer.alloc(0);

function readHeader(reader: MessageReader): { revision: bigint; clusterId: bigint } {
  let revision = 0n;
  let clusterId = 0n;
  while (reader.next()) {
    if (reader.field === 1) clusterId = reader.bigint();
    else if (reader.field === 3) revision = reader.bigint();
  }
  return { revision, clusterId };
}

export function readRangeAnswer(message: MessageReader | Buffer): RangeAnswer {
  const reader = message instanceof MessageReader ? message : new MessageReader(message);
  let header = { revision: 0n, clusterId: 0n };
  const entries: KeyValue[] = [];
  let count = 0;
  while (reader.next()) {
    if (reader.field === 1) header = readHeader(reader.message());
    else if (reader.field === 2) entries.push(readKeyValue(reader.message()));
    else if (reader.field === 4) count = reader.number();
  }
  return { ...header, entries, count };
}

function readResult(reader: MessageReader): OperationResult {
  let entries: readonly KeyValue[] = [];
  let previous: KeyValue | undefined;
  let deleted = 0;
  while (reader.next()) {
    if (reader.field === 1) {
      entries = readRangeAnswer(reader.message()).entries;
    } else if (reader.field === 2) {
      const put = reader.message();
      while (put.next()) if (put.field === 2) previous = readKeyValue(put.message());
    } else if (reader.field === 3) {
      const remove = reader.message();
      while (remove.next()) {
        if (remove.field === 2) deleted = remove.number();
        else if (remove.field === 3) previous = readKeyValue(remove.message());
      }
    }
  }
  return { entries, previous, deleted };
}

export function readTxnAnswer(message: Buffer): TxnAnswer {
  const reader = new MessageReader(message);
  let revision = 0n;
  let succeeded = false;
  const results: OperationResult[] = [];
  while (reader.next()) {
    if (reader.field === 1) revision = readHeader(reader.message()).revision;
    else if (reader.field === 2) succeeded = reader.number() !== 0;
    else if (reader.field === 3) results.push(readResult(reader.message()));
  }
  return { succeeded, revision, results };
}

function readEvent(reader: MessageReader): WatchEvent {
  let type: 'put' | 'delete' = 'put';
  let entry: KeyValue | undefined;
  let previous: KeyValue | undefined;
  while (reader.next()) {
    if (reader.field === 1) type = reader.number() === 1 ? 'delete' : 'put';
    else if (reader.field === 2) entry = readKeyValue(reader.message());
    else if (reader.field === 3) previous = readKeyValue(reader.message());
  }
  if (entry === undefined) throw new Error('etcd sent a watch event without a key');
  return { type, entry, previous };
}

export function readWatchAnswer(message: Buffer): WatchAnswer {
  const reader = new MessageReader(message);
  let header = { revision: 0n, clusterId: 0n };
  let id = 0;
  let created = false;
  let canceled = false;
  let compactRevision = 0n;
  let reason = '';
  const events: WatchEvent[] = [];
  while (reader.next()) {
    if (reader.field === 1) header = readHeader(reader.message());
    // -1 on what concerns no watch of this stream.
    else if (reader.field === 2) id = Number(reader.bigint());
    else if (reader.field === 3) created = reader.number() !== 0;
    else if (reader.field === 4) canceled = reader.number() !== 0;
    else if (reader.field === 5) compactRevision = reader.bigint();
    else if (reader.field === 6) reason = reader.bytes().toString();
    else if (reader.field === 11) events.push(readEvent(reader.message()));
  }
  return { ...header, id, created, canceled, compactRevision, reason, events };
}

/** Seconds left; 0: there is no such lease. */
export function readKeepAliveAnswer(message: Buffer): number {
  const reader = new MessageReader(message);
  let seconds = 0;
  while (reader.next()) if (reader.field === 3) seconds = reader.number();
  return seconds;
}
