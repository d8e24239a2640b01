/**
 * Watches: where a stream starts, what it begins with, when it ends (kube-wire.md 7).
 */
import { invalid, type Kind, type StatusError } from '@orbitkit/core';
import type { WatchBatch, WatchEvent, WatchOptions } from './contract.js';
import { type Filter, filterOf } from './filter.js';
import type { StoredObject } from './object-bytes.js';
import { notOlderThan } from './read.js';
import type { ResourceCache } from './resource-cache.js';
import { parseResourceVersion, watchExpired } from './resource-version.js';
import { resourceIdOf } from './storage-keys.js';
import type { WatchCache } from './watch-cache.js';
import { bookmark, EventBatch, errorEvent, ObjectEvent } from './watch-events.js';

/** kube-apiserver: a watch without timeout lasts 30 to 60 minutes, spread so that clients do not all come back at once. */
const defaultTimeoutMs = 1_800_000;
const pieceEvents = 500;
const pieceBytes = 1 << 20;
const pieceMs = 8;

interface Start {
  /** Initial objects are sent as ADDED; otherwise the events after `after`. */
  readonly snapshot: boolean;
  readonly after: bigint;
  readonly announceEnd: boolean;
}

function check(options: WatchOptions): void {
  const refuse = (
    field: string,
    type: 'FieldValueForbidden' | 'FieldValueNotSupported',
    message: string,
  ): StatusError => invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [{ field, type, message }]);
  const { sendInitialEvents, resourceVersionMatch: match } = options;
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    throw match === undefined || match === ''
      ? refuse(
          'resourceVersionMatch',
          'FieldValueForbidden',
          'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
        )
      : refuse(
          'resourceVersionMatch',
          'FieldValueNotSupported',
          `Unsupported value: ${JSON.stringify(match)}: supported values: "NotOlderThan"`,
        );
  }
  if (sendInitialEvents === undefined && match !== undefined && match !== '') {
    throw refuse(
      'resourceVersionMatch',
      'FieldValueForbidden',
      'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
}

/** Rejects with what is answered instead of a stream. */
export async function watchObjects(
  cache: WatchCache,
  kind: Kind,
  options: WatchOptions,
  signal: AbortSignal,
  random: () => number,
): Promise<AsyncIterable<WatchBatch>> {
  check(options);
  const id = resourceIdOf(kind);
  const filter = filterOf(kind, options);
  const wanted = parseResourceVersion(options.resourceVersion);
  const snapshot = options.sendInitialEvents ?? (wanted === undefined || wanted === 0n);
  await cache.started(signal);
  if (snapshot && wanted === undefined) {
    const { fresh, revision } = await cache.fresh(signal, 100);
    if (!fresh) await notOlderThan(cache, revision, signal);
  } else if (snapshot && wanted! > 0n) {
    await notOlderThan(cache, wanted!, signal);
  }
  // No await from here: what is decided is decided on one state of the cache.
  const resource = cache.resource(id);
  if (snapshot && resource.unreadable.size > 0) resource.checkReadable(filter);
  const start: Start = {
    snapshot,
    after: wanted ?? cache.revision,
    announceEnd: options.sendInitialEvents === true && options.allowWatchBookmarks === true,
  };
  if (!snapshot && start.after < resource.window.since) {
    return once(new EventBatch([errorEvent(watchExpired(start.after, resource.window.since))]));
  }
  const timeoutMs =
    options.timeoutSeconds !== undefined && options.timeoutSeconds > 0
      ? options.timeoutSeconds * 1000
      : defaultTimeoutMs * (1 + random());
  const bookmarks = options.allowWatchBookmarks === true;
  // A start in the future: what comes before it is not this watcher's.
  const future = !snapshot && start.after > cache.revision;
  const watcher = cache.subscribe(id, {
    kind,
    filter,
    signal,
    bookmarks,
    initial: (from, revision) => (future ? none() : beginning(kind, from, filter, start, revision)),
    onEnd: () => timer?.cancel(),
  });
  let timer: { cancel(): void } | undefined;
  if (!watcher.ended) {
    timer = cache.clock.setTimer(timeoutMs, () => {
      if (bookmarks) watcher.finish(bookmark(kind, cache.revision));
      else watcher.finish();
    });
  }
  return future ? onlyAfter(watcher, start.after) : watcher;
}

function* none(): Generator<readonly WatchEvent[], void> {}

async function* once(batch: EventBatch): AsyncGenerator<WatchBatch, void> {
  yield batch;
}

async function* onlyAfter(batches: AsyncIterable<WatchBatch>, after: bigint): AsyncGenerator<WatchBatch, void> {
  for await (const batch of batches) {
    const events = batch.events.filter(event => event.type === 'ERROR' || event.object.revision > after);
    if (events.length === batch.events.length) yield batch;
    else if (events.length > 0) yield new EventBatch(events);
  }
}

function beginning(
  kind: Kind,
  resource: ResourceCache,
  filter: Filter,
  start: Start,
  revision: bigint,
): Iterator<readonly WatchEvent[], void> {
  const events = start.snapshot ? resource.inScope(filter) : resource.replay(filter, start.after);
  return inPieces(events, start.snapshot && filter.selective ? filter : undefined, () =>
    start.announceEnd ? [bookmark(kind, revision, true)] : [],
  );
}

/** Pieces that neither block the loop nor fill a socket's buffer. */
function* inPieces(
  source: readonly (StoredObject | ObjectEvent)[],
  filter: Filter | undefined,
  last: () => WatchEvent[],
): Generator<readonly WatchEvent[], void> {
  let piece: WatchEvent[] = [];
  let bytes = 0;
  let sliceEnd = performance.now() + pieceMs;
  for (const each of source) {
    const event = each instanceof ObjectEvent ? each : undefined;
    const object = event?.object ?? (each as StoredObject);
    if (filter === undefined || filter.matches(object)) {
      piece.push(event ?? new ObjectEvent('ADDED', object));
      bytes += object.size;
    }
    if (piece.length >= pieceEvents || bytes >= pieceBytes || performance.now() > sliceEnd) {
      yield piece;
      piece = [];
      bytes = 0;
      sliceEnd = performance.now() + pieceMs;
    }
  }
  piece.push(...last());
  if (piece.length > 0) yield piece;
}
