/**
 * Lists are joined, never serialised: the stored bytes of each object with commas between them, in pieces, so that a list of a
 * hundred thousand pods neither makes one giant string nor holds the event loop. Items keep `kind` and `apiVersion`; `items` is `[]`
 * when there is nothing, never null.
 */
import { apiVersionOf, type Kind } from '@orbitkit/core';
import type { ListResult, ObjectBytes } from '../registry/contract.js';

/** A piece ends after so many items or bytes (at most 500 items or 256 KB: encrypting a megabyte takes as long as a hundred gets). */
const pieceItems = 500;
const pieceBytes = 1 << 18;

const comma = Buffer.from(',');
const tail = Buffer.from(']}\n');

/** `metadata` of a list, as it stands in every form of it. */
export function listMeta(result: ListResult) {
  return {
    resourceVersion: result.resourceVersion,
    ...(result.continue !== undefined ? { continue: result.continue } : {}),
    ...(result.remainingItemCount !== undefined ? { remainingItemCount: result.remainingItemCount } : {}),
  };
}

export interface JoinedList {
  /** Of the whole text, in bytes. */
  readonly length: number;
  readonly pieces: Iterable<Buffer>;
}

/** @param bytesOf the form of one item; the stored bytes by default. */
export function joinedList(
  head: { kind: string; apiVersion: string },
  result: ListResult,
  bytesOf: (item: ObjectBytes) => Buffer = item => item.bytes,
): JoinedList {
  const start = Buffer.from(
    `{"kind":${JSON.stringify(head.kind)},"apiVersion":${JSON.stringify(head.apiVersion)},"metadata":${JSON.stringify(listMeta(result))},"items":[`,
  );
  const items = result.items.map(bytesOf);
  let length = start.length + tail.length + Math.max(0, items.length - 1);
  for (const item of items) length += item.length;
  return { length, pieces: pieces(start, items) };
}

function* pieces(start: Buffer, items: readonly Buffer[]): Generator<Buffer> {
  let piece: Buffer[] = [start];
  let size = start.length;
  let count = 0;
  for (const [index, item] of items.entries()) {
    if (index > 0) piece.push(comma);
    piece.push(item);
    size += item.length + 1;
    if (++count >= pieceItems || size >= pieceBytes) {
      yield Buffer.concat(piece);
      piece = [];
      size = 0;
      count = 0;
    }
  }
  piece.push(tail);
  yield Buffer.concat(piece);
}

export const listHead = (kind: Kind) => ({ kind: kind.listKind, apiVersion: apiVersionOf(kind) });
