/**
 * Table forms of objects, as text: the columns are evaluated by core's one evaluator, so that `kubectl get` prints what it prints for
 * Kubernetes. Long tables are made in pieces, so that a list of ten thousand rows does not hold the event loop.
 */
import { badRequest, type Kind, type KubeObject, tableOf } from '@orbitkit/core';
import type { ListResult, ObjectBytes } from '../registry/contract.js';
import { listMeta } from './list-bytes.js';
import { partialMetadata } from './partial-metadata.js';
import type { Query } from './query.js';

/** What `row.object` holds. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** @throws StatusError BadRequest */
export function includeObjectOf(query: Query): IncludeObject {
  const value = query.get('includeObject') ?? 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(`includeObject must be one of None, Metadata, Object, got ${JSON.stringify(value)}`);
}

export interface TableShape {
  readonly kind: Kind;
  readonly version: 'v1' | 'v1beta1';
  readonly include: IncludeObject;
}

/** Rows made at a time. */
const pieceRows = 250;

function tableText(
  shape: TableShape,
  items: readonly ObjectBytes[],
  now: number,
  meta: object,
  columns: boolean,
): string {
  const table = tableOf(
    shape.kind,
    items.map(item => item.object() as KubeObject),
    { includeObject: shape.include, now, apiVersion: `meta.k8s.io/${shape.version}`, columnDefinitions: columns },
  );
  return JSON.stringify({ ...table, metadata: meta });
}

const rowsStart = '"rows":[';

/** The pieces of a list's table; joined they are one JSON document. */
export function* tableOfList(shape: TableShape, result: ListResult, now: number): Generator<Buffer> {
  const { items } = result;
  const first = tableText(shape, items.slice(0, pieceRows), now, listMeta(result), true);
  yield Buffer.from(first.slice(0, -2));
  for (let at = pieceRows; at < items.length; at += pieceRows) {
    const text = tableText(shape, items.slice(at, at + pieceRows), now, {}, false);
    yield Buffer.from(`,${text.slice(text.indexOf(rowsStart) + rowsStart.length, -2)}`);
  }
  yield Buffer.from(']}\n');
}

/** @param columns false leaves the definitions out, as every watch event but the first does. */
export function tableOfObject(shape: TableShape, item: ObjectBytes, now: number, columns = true): Buffer {
  const meta = item.revision === 0n ? {} : { resourceVersion: String(item.revision) };
  return Buffer.from(tableText(shape, [item], now, meta, columns));
}

/** A bookmark tells a version, and no row changes; the one that ends the initial events carries its annotation in a row without cells. */
export function tableOfBookmark(shape: TableShape, item: ObjectBytes, columns: boolean): Buffer {
  const { metadata } = item.object();
  const text = tableText(shape, [], 0, { resourceVersion: metadata.resourceVersion }, columns);
  if (metadata.annotations?.['k8s.io/initial-events-end'] === undefined) return Buffer.from(text);
  return Buffer.from(`${text.slice(0, -2)}{"cells":[],"object":${partialMetadata(item, shape.version)}}]}`);
}
