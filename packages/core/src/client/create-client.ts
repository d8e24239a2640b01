/**
 * The {@link Client} over any {@link Transport}. It keeps nothing between calls: no cache, no queue, no discovery.
 *
 * Every failure is a `StatusError`, except that an aborted call rejects with the reason of its signal.
 */
import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../clock/clock.js';
import { badRequest } from '../errors/status-error.js';
import { apiVersionOf, pathOf, type ResourceRef } from '../kinds/kind.js';
import type { KubeObject, ObjectKey, ObjectList } from '../meta/object.js';
import { patchContentTypes } from '../patch/apply-patch.js';
import type {
  Client,
  DecodeOptions,
  DeleteOptions,
  SelectorOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './client.js';
import { decodeList } from './list-answer.js';
import { defaultTimeoutMs, errorOfAnswer, type JsonRequest, requestJson, warningText } from './request-json.js';
import type { Transport, TransportResponse } from './transport.js';
import { watchEvents } from './watch-stream.js';

/** How a client behaves where a call does not say otherwise. */
export interface ClientOptions {
  /** Receives the text of each warning of the server, e.g. `unknown field "spec.foo"`. Default: dropped. */
  onWarning?: (text: string) => void;
  /** The writer's name in managedFields, when a call names none. */
  fieldManager?: string;
  /** Default bound of a call. Default 60 s. */
  timeoutMs?: number;
  clock?: Clock;
}

/** A watch that the server does not end in time is dead: it is ended so long after its own bound. */
const watchGraceMs = 30_000;

const applyContentType = 'application/apply-patch+yaml';
/** An apply must be somebody's. */
const defaultApplyManager = 'orbitkit';

type Query = Record<string, string | number | boolean | undefined>;

/** `?a=1&b=2`, without what is undefined or false; empty when nothing is left. */
export function queryOf(query: Query): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== false && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/**
 * A client over this transport, which it closes with itself. Nothing is asked before the first call.
 * @throws (each call) StatusError, or the signal's reason.
 */
export function createClient(transport: Transport, options: ClientOptions = {}): Client {
  const { clock = systemClock, timeoutMs: usualTimeoutMs = defaultTimeoutMs } = options;

  function noteWarnings(response: TransportResponse): void {
    if (options.onWarning) for (const header of response.warnings) options.onWarning(warningText(header));
  }

  const call = <T>(request: JsonRequest, parse?: (answer: Uint8Array) => Promise<T>): Promise<T> =>
    requestJson<T>(
      transport,
      { timeoutMs: usualTimeoutMs, ...request },
      { clock, onResponse: noteWarnings, ...(parse ? { parse } : {}) },
    );

  const bounds = ({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number }) => ({
    ...(signal ? { signal } : {}),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });

  const selectors = ({ labelSelector, fieldSelector }: SelectorOptions): Query => ({ labelSelector, fieldSelector });

  const writing = ({ dryRun, fieldManager = options.fieldManager, fieldValidation }: WriteOptions): Query => ({
    ...(dryRun ? { dryRun: 'All' } : {}),
    fieldManager,
    fieldValidation,
  });

  function pathOfObject(kind: ResourceRef<any>, key: ObjectKey, subresource?: string): string {
    if (!key.name) throw badRequest(`a name is required to address one of ${kind.plural}`);
    if (kind.namespaced && !key.namespace) {
      throw badRequest(`${kind.kind} "${key.name}": a namespace is required, since ${kind.plural} are namespaced`);
    }
    return pathOf(kind, key, subresource);
  }

  /** The object with the apiVersion and kind of its resource, which a draft may lack. */
  const typed = (kind: ResourceRef<any>, object: object): object => ({
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    ...object,
  });

  function deletion(query: DeleteOptions): object {
    const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun } = query;
    return {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      gracePeriodSeconds,
      propagationPolicy,
      preconditions,
      ...(dryRun ? { dryRun: ['All'] } : {}),
    };
  }

  /** As client-go's metadata client asks; a server that does not know the form may send the object whole. */
  const acceptOf = ({ metadataOnly }: DecodeOptions, as: 'PartialObjectMetadata' | 'PartialObjectMetadataList') =>
    metadataOnly ? `application/json;as=${as};g=meta.k8s.io;v=v1,application/json` : 'application/json';

  async function* watchBatches<T extends KubeObject>(
    kind: ResourceRef<T>,
    query: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>[], void> {
    const path = `${pathOf(kind, query.namespace ? { namespace: query.namespace } : {})}${queryOf({
      watch: true,
      ...selectors(query),
      resourceVersion: query.resourceVersion,
      ...(query.sendInitialEvents ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' } : {}),
      allowWatchBookmarks: query.allowWatchBookmarks || query.sendInitialEvents,
      timeoutSeconds: query.timeoutSeconds,
    })}`;
    const ending = new AbortController();
    const { signal } = ending;
    let overdue = false;
    const bound =
      query.timeoutSeconds === undefined
        ? undefined
        : clock.setTimer(query.timeoutSeconds * 1_000 + watchGraceMs, () => {
            overdue = true;
            ending.abort(new Error('the watch is overdue'));
          });
    const onAbort = () => ending.abort(query.signal?.reason);
    if (query.signal) {
      // Many watches of one component end with its one signal; that is no leak to warn of.
      setMaxListeners(0, query.signal);
      if (query.signal.aborted) onAbort();
      query.signal.addEventListener('abort', onAbort, { once: true });
    }
    try {
      const request = {
        method: 'GET',
        path,
        headers: { accept: acceptOf(query, 'PartialObjectMetadata') },
        signal,
        stream: true,
      } as const;
      const response = await transport.request({ ...request, timeoutMs: usualTimeoutMs });
      noteWarnings(response);
      if (response.status !== 200)
        throw errorOfAnswer(response.status, response.headers, await response.bytes(), request);
      yield* watchEvents<T>(response.body, query.decode);
    } catch (error) {
      // The server forgot to end it: that is a clean end for the caller, who watches on from the last version.
      if (overdue && !query.signal?.aborted) return;
      throw error;
    } finally {
      bound?.cancel();
      query.signal?.removeEventListener('abort', onAbort);
    }
  }

  return {
    transport,
    streamsLists: true,

    async get(kind, key, query = {}) {
      const path = pathOfObject(kind, key) + queryOf({ resourceVersion: query.resourceVersion });
      return call({ method: 'GET', path, ...bounds(query) });
    },

    async list<T extends KubeObject>(kind: ResourceRef<T>, query: import('./client.js').ListOptions = {}) {
      const { limit, resourceVersion, resourceVersionMatch } = query;
      const path = `${pathOf(kind, query.namespace ? { namespace: query.namespace } : {})}${queryOf({
        ...selectors(query),
        limit,
        continue: query.continue,
        resourceVersion,
        resourceVersionMatch,
      })}`;
      const headers = { accept: acceptOf(query, 'PartialObjectMetadataList') };
      const { decode } = query;
      const list = await call<ObjectList<T>>(
        { method: 'GET', path, headers, ...bounds(query) },
        decode && (answer => decodeList(answer, decode)),
      );
      list.items ??= [];
      if (decode) return list;
      // A real server leaves kind and apiVersion out of the items of built-in lists.
      const apiVersion = apiVersionOf(kind);
      for (const item of list.items as KubeObject[]) {
        item.apiVersion ??= apiVersion;
        item.kind ??= kind.kind;
      }
      return list;
    },

    async *watch(kind, query) {
      for await (const batch of watchBatches(kind, query)) yield* batch;
    },

    watchBatches,

    async create(kind, object, query = {}) {
      const { namespace } = object.metadata as { namespace?: string };
      if (kind.namespaced && !namespace) {
        throw badRequest(
          `metadata.namespace is required to create a ${kind.kind}, since ${kind.plural} are namespaced`,
        );
      }
      const path = pathOf(kind, namespace ? { namespace } : {}) + queryOf(writing(query));
      return call({ method: 'POST', path, body: typed(kind, object), ...bounds(query) });
    },

    async update(kind, object, query = {}) {
      const path = pathOfObject(kind, object.metadata) + queryOf(writing(query));
      return call({ method: 'PUT', path, body: typed(kind, object), ...bounds(query) });
    },

    async updateStatus(kind, object, query = {}) {
      const path = pathOfObject(kind, object.metadata, 'status') + queryOf(writing(query));
      return call({ method: 'PUT', path, body: typed(kind, object), ...bounds(query) });
    },

    async patch(kind, key, patch, query = {}) {
      const path = pathOfObject(kind, key, query.subresource) + queryOf(writing(query));
      const headers = { 'content-type': patchContentTypes[patch.type] };
      return call({ method: 'PATCH', path, headers, body: JSON.stringify(patch.patch), ...bounds(query) });
    },

    async apply(kind, object, query = {}) {
      const { fieldManager = options.fieldManager ?? defaultApplyManager, force, subresource } = query;
      const path = pathOfObject(kind, object.metadata as ObjectKey, subresource);
      return call({
        method: 'PATCH',
        path: path + queryOf({ ...writing({ ...query, fieldManager }), force }),
        headers: { 'content-type': applyContentType },
        body: JSON.stringify(typed(kind, object)),
        ...bounds(query),
      });
    },

    async delete<T extends KubeObject>(kind: ResourceRef<T>, key: ObjectKey, query: DeleteOptions = {}) {
      const answer = await call<T>({
        method: 'DELETE',
        path: pathOfObject(kind, key),
        body: deletion(query),
        ...bounds(query),
      });
      if (answer.kind === 'Status') return undefined;
      const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = answer.metadata;
      const goesOn =
        deletionTimestamp !== undefined && (deletionGracePeriodSeconds !== 0 || (finalizers?.length ?? 0) > 0);
      return goesOn ? answer : undefined;
    },

    async deleteCollection(kind, query = {}) {
      const path = pathOf(kind, query.namespace ? { namespace: query.namespace } : {}) + queryOf(selectors(query));
      await call({ method: 'DELETE', path, body: deletion(query), ...bounds(query) });
    },

    async getSubresource(kind, key, name, query = {}) {
      return call({ method: 'GET', path: pathOfObject(kind, key, name), ...bounds(query) });
    },

    async updateSubresource(kind, key, name, body, query = {}) {
      return call({
        method: 'PUT',
        path: pathOfObject(kind, key, name) + queryOf(writing(query)),
        body,
        ...bounds(query),
      });
    },

    async createSubresource(kind, key, name, body, query = {}) {
      return call({
        method: 'POST',
        path: pathOfObject(kind, key, name) + queryOf(writing(query)),
        body,
        ...bounds(query),
      });
    },

    close: () => transport.close(),
  };
}
