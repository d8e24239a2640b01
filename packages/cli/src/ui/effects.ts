/** What the UI does outside of itself: lists that stay live, texts of describe and logs, deletes. One of each at a time. */
import { cellTexts, type DiscoveredKind, isExpired, podLogs, systemClock, type TableRow } from '@orbitkit/core';
import { describeObject } from '../commands/describe.js';
import { keyIn, kindOf, type Session } from '../session.js';
import { fetchTable, watchTable } from '../tables.js';
import type { Row } from './model.js';

/** Lines of a log that are kept. */
const logLimit = 5_000;
/** Changes are drawn at most this often: a busy cluster must not occupy the terminal. */
const drawMs = 100;
const retryMs = 2_000;

export interface Sink {
  rows(headers: readonly string[], rows: readonly Row[], kind: DiscoveredKind): void;
  text(lines: readonly string[]): void;
  notice(text: string): void;
}

type Metadata = { uid: string; name: string; namespace?: string; resourceVersion?: string };
const metadataOf = (row: TableRow): Metadata => (row.object as unknown as { metadata: Metadata }).metadata;

/** Keeps the list of a kind live until the signal aborts. */
export async function liveList(
  session: Session,
  kindName: string,
  namespace: string,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  let kind: DiscoveredKind;
  try {
    kind = kindOf(session, kindName);
  } catch (error) {
    sink.notice((error as Error).message);
    return;
  }
  const query = { ...(namespace && kind.namespaced ? { namespace } : {}), signal };
  const namespaces = kind.namespaced && !namespace;
  while (!signal.aborted) {
    let timer: NodeJS.Timeout | undefined;
    try {
      const first = await fetchTable(session, kind, query);
      const rows = new Map(first.rows.map(row => [metadataOf(row).uid, row]));
      let columns = first.columnDefinitions ?? [];
      const draw = () => {
        timer = undefined;
        const sorted = [...rows.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
        const options = { wide: false, headers: true, namespaces, now: Date.now() };
        const [headers = [], ...lines] = cellTexts({ ...first, rows: sorted }, columns, options);
        const named = (row: TableRow, index: number): Row => {
          const { uid, name, namespace: where = '' } = metadataOf(row);
          return { uid, name, namespace: where, cells: lines[index] ?? [] };
        };
        sink.rows(
          headers.length > 0
            ? headers
            : columns.filter(each => each.priority === 0).map(each => each.name.toUpperCase()),
          sorted.map(named),
          kind,
        );
      };
      draw();
      const ages = setInterval(draw, 5_000);
      try {
        const version = first.metadata?.resourceVersion ?? '0';
        for await (const { type, table } of watchTable(session, kind, { ...query, resourceVersion: version })) {
          if (table.columnDefinitions?.length) columns = table.columnDefinitions;
          for (const row of table.rows) {
            if (type === 'DELETED') rows.delete(metadataOf(row).uid);
            else rows.set(metadataOf(row).uid, row);
          }
          timer ??= setTimeout(draw, drawMs);
        }
      } finally {
        clearInterval(ages);
        clearTimeout(timer);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isExpired(error)) {
        sink.notice(`${(error as Error).message}; trying again`);
        await systemClock.sleep(retryMs, signal).catch(() => {});
      }
    }
  }
}

const order = (row: TableRow): string => `${metadataOf(row).namespace ?? ''}/${metadataOf(row).name}`;

export async function showDescribe(session: Session, kind: DiscoveredKind, row: Row, sink: Sink): Promise<void> {
  const object = await session.client.get(kind, keyIn(session, kind, row.name, row.namespace));
  sink.text((await describeObject(session, kind, object)).trimEnd().split('\n'));
}

export async function followLogs(session: Session, row: Row, sink: Sink, signal: AbortSignal): Promise<void> {
  const decoder = new TextDecoder();
  let lines: string[] = [];
  let rest = '';
  let timer: NodeJS.Timeout | undefined;
  const draw = () => {
    timer = undefined;
    sink.text([...lines, ...(rest ? [rest] : [])]);
  };
  sink.text(['(no output yet)']);
  try {
    for await (const chunk of podLogs(session.client, {
      namespace: row.namespace,
      pod: row.name,
      follow: true,
      tailLines: 500,
      signal,
    })) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      lines = [...lines, ...parts].slice(-logLimit);
      timer ??= setTimeout(draw, drawMs);
    }
    sink.notice('the log has ended');
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (timer) {
      clearTimeout(timer);
      if (!signal.aborted) draw();
    }
  }
}
