/**
 * Table forms of objects: the kind's columns evaluated here, so that `kubectl get` prints what it prints for Kubernetes. All columns
 * travel; those of priority 1 are hidden by the client unless it prints wide. Source: meta/v1.Table, apiserver `rest/table.go`.
 */
import { badRequest, type Column, type Kind } from '@orbitkit/core';
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

/** Columns of kinds that name none (apiserver `NewDefaultTableConvertor`). */
const defaultColumns: readonly Column[] = [
  {
    name: 'Name',
    type: 'string',
    format: 'name',
    priority: 0,
    description: 'Name must be unique within a namespace.',
    cell: object => object.metadata.name,
  },
  {
    name: 'Created At',
    type: 'date',
    format: '',
    priority: 0,
    description: 'CreationTimestamp is the time at which the object was created at the server.',
    cell: object => object.metadata.creationTimestamp ?? null,
  },
];

const columnsOf = (kind: Kind): readonly Column[] => (kind.columns.length > 0 ? kind.columns : defaultColumns);

export const columnDefinitions = (kind: Kind) =>
  columnsOf(kind).map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));

export interface TableShape {
  readonly kind: Kind;
  readonly version: 'v1' | 'v1beta1';
  readonly include: IncludeObject;
}

/** kubectl paints the rows of pods that have run to their end differently (printers `podSuccessConditions`). */
function conditionsOf(kind: Kind, object: Readonly<Record<string, any>>) {
  if (kind.group !== '' || kind.kind !== 'Pod') return {};
  const phase = object['status']?.phase;
  if (phase === 'Succeeded')
    return {
      conditions: [
        { type: 'Completed', status: 'True', reason: phase, message: 'The pod has completed successfully.' },
      ],
    };
  if (phase === 'Failed')
    return { conditions: [{ type: 'Completed', status: 'True', reason: phase, message: 'The pod failed.' }] };
  return {};
}

function rowOf(shape: TableShape, item: ObjectBytes, now: number): string {
  const object = item.object();
  const cells = columnsOf(shape.kind).map(column => column.cell(object, now));
  const text = JSON.stringify({ cells, ...conditionsOf(shape.kind, object) });
  const form =
    shape.include === 'None'
      ? 'null'
      : shape.include === 'Object'
        ? item.bytes.toString()
        : partialMetadata(item, shape.version).toString();
  return `${text.slice(0, -1)},"object":${form}}`;
}

function table(shape: TableShape, meta: object, columns: object | null, rows: readonly string[]): Buffer {
  return Buffer.from(
    `{"kind":"Table","apiVersion":"meta.k8s.io/${shape.version}","metadata":${JSON.stringify(meta)},` +
      `"columnDefinitions":${JSON.stringify(columns)},"rows":[${rows.join(',')}]}\n`,
  );
}

export function tableOfList(shape: TableShape, result: ListResult, now: number): Buffer {
  const rows = result.items.map(item => rowOf(shape, item, now));
  return table(shape, listMeta(result), columnDefinitions(shape.kind), rows);
}

/** @param columns false leaves the definitions out, as every watch event but the first does. */
export function tableOfObject(shape: TableShape, item: ObjectBytes, now: number, columns = true): Buffer {
  const meta = item.revision === 0n ? {} : { resourceVersion: String(item.revision) };
  return table(shape, meta, columns ? columnDefinitions(shape.kind) : null, [rowOf(shape, item, now)]);
}

/** A bookmark tells a version, and no row changes. */
export function tableOfBookmark(shape: TableShape, item: ObjectBytes, columns: boolean): Buffer {
  const { metadata } = item.object();
  const initialEnd = metadata.annotations?.['k8s.io/initial-events-end'] !== undefined;
  const rows = initialEnd ? [`{"cells":[],"object":${partialMetadata(item, shape.version).toString()}}`] : [];
  return table(
    shape,
    { resourceVersion: metadata.resourceVersion },
    columns ? columnDefinitions(shape.kind) : null,
    rows,
  );
}
