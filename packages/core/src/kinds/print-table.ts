/**
 * A Table as text, laid out as kubectl lays it out: upper-case headers, columns as wide as their widest cell plus three
 * spaces, the last one unpadded; cells end at their first line break (`…` as three dots). Source: cli-runtime
 * `printers.TablePrinter` and Go's text/tabwriter (minimal width 6, padding 3).
 */
import { parseTime } from '../meta/time.js';
import { ageOf } from './human-duration.js';
import type { Table, TableColumn, TableRow } from './table.js';

/** Which columns are shown, and as of when. */
export interface PrintTableOptions {
  /** Also columns of priority above 0. Default false. */
  wide?: boolean;
  /** Default true. */
  headers?: boolean;
  /** A first column with the object's namespace; rows must carry their object. Default false. */
  namespaces?: boolean;
  /** A last column with all labels; rows must carry their object. Default false. */
  showLabels?: boolean;
  /** Put before each name: `deployment.apps` makes `deployment.apps/web`. */
  kindPrefix?: string;
  /** Milliseconds since 1970: columns of type date are shown as ages. */
  now: number;
  /** Widths of columns printed before, in place: rows that come later line up with them. */
  widths?: number[];
}

const minimalWidth = 6;
const padding = 3;

/** Lines that end with a line break each. No rows and no headers: an empty text. */
export function printTable(table: Table, columns: readonly TableColumn[], options: PrintTableOptions): string {
  const lines = cellTexts(table, columns, options);
  const widths = options.widths ?? [];
  for (const line of lines) {
    for (const [index, text] of line.entries()) {
      if (index === line.length - 1) continue;
      widths[index] = Math.max(widths[index] ?? minimalWidth, lengthOf(text) + padding);
    }
  }
  return lines
    .map(
      line => `${line.map((text, index) => (index === line.length - 1 ? text : pad(text, widths[index]!))).join('')}\n`,
    )
    .join('');
}

/** The texts of what is shown, the header line first when there is one: for those who draw it themselves. */
export function cellTexts(table: Table, columns: readonly TableColumn[], options: PrintTableOptions): string[][] {
  const shown = columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => options.wide || column.priority === 0);
  const lines: string[][] = [];
  if (options.headers !== false && table.rows.length > 0) {
    lines.push([
      ...(options.namespaces ? ['NAMESPACE'] : []),
      ...shown.map(({ column }) => column.name.toUpperCase()),
      ...(options.showLabels ? ['LABELS'] : []),
    ]);
  }
  for (const row of table.rows) {
    lines.push([
      ...(options.namespaces ? [metadataOf(row)?.namespace ?? ''] : []),
      ...shown.map(({ column, index }) => {
        const text = cellText(row.cells[index] ?? null, column, options.now);
        return options.kindPrefix && column.format === 'name' ? `${options.kindPrefix}/${text}` : text;
      }),
      ...(options.showLabels ? [labelsText(row)] : []),
    ]);
  }
  return lines;
}

interface RowMetadata {
  namespace?: string;
  labels?: Record<string, string>;
}
const metadataOf = ({ object }: TableRow): RowMetadata | undefined => object?.metadata as RowMetadata | undefined;

function labelsText(row: TableRow): string {
  const labels = metadataOf(row)?.labels ?? {};
  const keys = Object.keys(labels).sort();
  return keys.map(key => `${key}=${labels[key]}`).join(',') || '<none>';
}

function cellText(value: string | number | boolean | null, column: TableColumn, now: number): string {
  // A server's tables of custom kinds have ages already; others, and our own columns, have times.
  if (column.type === 'date' && (value === null || (typeof value === 'string' && parseTime(value) !== undefined)))
    return ageOf(value ?? undefined, now);
  if (value === null) return '<none>';
  const text = String(value);
  const end = text.search(/[\f\n\r]/);
  return end < 0 ? text : `${text.slice(0, end)}...`;
}

const ascii = /^[ -~]*$/;
const lengthOf = (text: string): number => (ascii.test(text) ? text.length : [...text].length);
const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - lengthOf(text)));
