/** Lists and watches in the server's Table form: any kind that any Kubernetes serves, with its own columns. */
import { errorOfAnswer, pathOf, queryOf, type ResourceRef, requestJson, type Table, watchEvents } from '@orbitkit/core';
import type { Session } from './session.js';

const accept = ['v1', 'v1beta1']
  .map(version => `application/json;as=Table;v=${version};g=meta.k8s.io`)
  .concat('application/json')
  .join(',');

export interface TableQuery {
  /** Absent: all namespaces. */
  namespace?: string;
  name?: string;
  labelSelector?: string;
  fieldSelector?: string;
  includeObject?: 'None' | 'Metadata' | 'Object';
  signal?: AbortSignal;
}

/** All pages as one table. */
export async function fetchTable(session: Session, kind: ResourceRef<any>, query: TableQuery): Promise<Table> {
  const { namespace, name, signal, ...selectors } = query;
  const path = pathOf(kind, { ...(namespace ? { namespace } : {}), ...(name ? { name } : {}) });
  let whole: Table | undefined;
  let next: string | undefined;
  do {
    const table: Table = await requestJson(session.client.transport, {
      method: 'GET',
      path: path + queryOf({ ...selectors, ...(name ? {} : { limit: 500 }), ...(next ? { continue: next } : {}) }),
      headers: { accept },
      ...(signal ? { signal } : {}),
    });
    if (whole) whole.rows.push(...table.rows);
    else whole = table;
    next = table.metadata?.continue || undefined;
  } while (next);
  return whole;
}

export type TableEvent = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; table: Table };

/** Changes after a version, as tables of the changed rows; columns come with the first. Ends when the server ends it. */
export async function* watchTable(
  session: Session,
  kind: ResourceRef<any>,
  query: TableQuery & { resourceVersion: string },
): AsyncGenerator<TableEvent> {
  const { namespace, name, signal, ...rest } = query;
  const fieldSelector = [rest.fieldSelector, name ? `metadata.name=${name}` : ''].filter(Boolean).join(',');
  const path =
    pathOf(kind, namespace ? { namespace } : {}) +
    queryOf({ ...rest, ...(fieldSelector ? { fieldSelector } : {}), watch: true });
  const response = await session.client.transport.request({
    method: 'GET',
    path,
    headers: { accept },
    stream: true,
    ...(signal ? { signal } : {}),
  });
  if (response.status !== 200)
    throw errorOfAnswer(response.status, response.headers, await response.bytes(), { method: 'GET', path });
  for await (const batch of watchEvents<Table>(response.body)) {
    for (const event of batch) if (event.type !== 'BOOKMARK') yield { type: event.type, table: event.object };
  }
}
