/**
 * Objects as a `meta.k8s.io/v1` Table: the one evaluator of columns for the server, the command line and the terminal UI.
 *
 * All columns and cells are always there; who shows the table leaves out those of priority above 0 (print-table.ts). Times in
 * columns of type date stay times. Source: kube-apiserver's table convertor.
 */
import type { KubeObject, ListMeta } from '../meta/object.js';
import { defaultColumns } from './columns/column.js';
import type { Column, Kind, RowCondition } from './kind.js';

/** A column as the wire tells it. Priority above 0: only in wide output. */
export interface TableColumn {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

/** One object; `cells` are in the order of the columns. */
export interface TableRow {
  cells: (string | number | boolean | null)[];
  conditions?: RowCondition[];
  /** The object, its metadata (kind PartialObjectMetadata), or null. */
  object: KubeObject | { kind: 'PartialObjectMetadata'; apiVersion: string; metadata: object } | null;
}

/** What a server answers to `Accept: …;as=Table`. */
export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1' | 'meta.k8s.io/v1beta1';
  metadata: ListMeta;
  /** Null in watch events after the first. */
  columnDefinitions: TableColumn[] | null;
  rows: TableRow[];
}

/** What the table says beside its cells. */
export interface TableOfOptions {
  /** What a row carries of its object. Default Metadata, as on the wire. */
  includeObject?: 'None' | 'Metadata' | 'Object';
  /** Of the list; for a single object its own. */
  resourceVersion?: string;
  continue?: string;
  /** Of a page: how many objects follow. */
  remainingItemCount?: number;
  /** Milliseconds since 1970, for ages. */
  now: number;
  apiVersion?: Table['apiVersion'];
  /** False leaves the definitions null, as watch events after the first do. Default true. */
  columnDefinitions?: boolean;
}

type Tabular<T extends KubeObject> = Pick<Kind<T>, 'columns' | 'rowConditions'>;

/** The columns of a kind; Name and Created At for a kind that defines none, as upstream. */
export function columnsOf<T extends KubeObject>(kind: Pick<Kind<T>, 'columns'>): readonly Column<T>[] {
  return kind.columns.length > 0 ? kind.columns : defaultColumns;
}

/** A single object is a list of one. */
export function tableOf<T extends KubeObject>(kind: Tabular<T>, objects: readonly T[], options: TableOfOptions): Table {
  const columns = columnsOf(kind);
  const { includeObject = 'Metadata', apiVersion = 'meta.k8s.io/v1', now } = options;
  const metadata: ListMeta = {};
  if (options.resourceVersion !== undefined) metadata.resourceVersion = options.resourceVersion;
  if (options.continue) metadata.continue = options.continue;
  if (options.remainingItemCount !== undefined) metadata.remainingItemCount = options.remainingItemCount;
  const rows = objects.map((object): TableRow => {
    const conditions = kind.rowConditions?.(object);
    return {
      cells: columns.map(column => column.cell(object, now)),
      ...(conditions ? { conditions } : {}),
      object:
        includeObject === 'Object'
          ? object
          : includeObject === 'None'
            ? null
            : { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata },
    };
  });
  const definitions = columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: options.columnDefinitions === false ? null : definitions,
    rows,
  };
}
