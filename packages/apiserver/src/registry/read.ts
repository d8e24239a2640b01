/**
 * Gets and lists: which version a read may be served from, and in which pieces (kube-wire.md 6).
 *
 * Everything that the watch cache can answer it answers, after it has caught up with the store; a version of the past is read from
 * the store's history. Lists that must look into objects yield to the event loop.
 */
import { badRequest, invalid, type Kind, notFound, type StatusError } from '@orbitkit/core';
import type { Entry } from '../storage/contract.js';
import { isCompacted } from '../storage/contract.js';
import { decodeContinue, encodeContinue } from './continue-token.js';
import type { GetOptions, ListOptions, ListResult, ResourceKey } from './contract.js';
import { type Filter, filterOf } from './filter.js';
import { StoredObject } from './object-bytes.js';
import type { ResourceCache } from './resource-cache.js';
import { futureWaitMs, listExpired, parseResourceVersion, tooLarge } from './resource-version.js';
import { nameOfPath, objectPath, resourceIdOf, resourcePrefix, storageKey } from './storage-keys.js';
import { jsonOf, type WatchCache } from './watch-cache.js';

/** How long a list looks into objects before it lets others run. */
const sliceMs = 8;
const storePage = 500;

export async function readObject(
  cache: WatchCache,
  kind: Kind,
  key: ResourceKey,
  { resourceVersion }: GetOptions,
  signal: AbortSignal,
): Promise<StoredObject> {
  const id = resourceIdOf(kind);
  const path = objectPath(key);
  const wanted = parseResourceVersion(resourceVersion);
  let object: StoredObject | undefined;
  if (wanted === undefined) object = await newestObject(cache, kind, path, signal);
  else {
    await notOlderThan(cache, wanted, signal);
    object = cache.peek(id, path);
  }
  if (object === undefined) throw notFound(kind, key.name);
  return object;
}

/** The newest version, certain. */
export async function newestObject(
  cache: WatchCache,
  kind: { group: string; plural: string },
  path: string,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const id = resourceIdOf(kind);
  const storeKey = storageKey(id, path);
  const { entry } = await cache.store.get(storeKey, { signal });
  return entry === undefined ? undefined : ofEntry(cache, cache.resource(id), path, entry);
}

/** The cached object when it is this version, or one made of the entry. */
export function ofEntry(cache: WatchCache, resource: ResourceCache, path: string, entry: Entry): StoredObject {
  const cached = resource.objects.get(path);
  if (cached?.revision === entry.modRevision) return cached;
  return new StoredObject(jsonOf(entry.key, entry.value), entry.modRevision, cache.forms);
}

export async function notOlderThan(cache: WatchCache, revision: bigint, signal: AbortSignal): Promise<void> {
  if (await cache.reach(revision, futureWaitMs, signal)) return;
  throw tooLarge(revision, cache.revision);
}

interface ListPlan {
  /** Of the version that is read; `undefined`: the newest. */
  exact?: bigint;
  notOlderThan?: bigint;
  limit?: number;
  after?: string;
  /** An inconsistent continuation. */
  inconsistent?: boolean;
}

function planOf(kind: Kind, options: ListOptions): ListPlan {
  const { resourceVersionMatch: match, resourceVersion: version } = options;
  const refuse = (
    field: string,
    type: 'FieldValueForbidden' | 'FieldValueNotSupported',
    message: string,
  ): StatusError => invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [{ field, type, message }]);
  if (options.sendInitialEvents !== undefined) {
    throw refuse('sendInitialEvents', 'FieldValueForbidden', 'Forbidden: sendInitialEvents is forbidden for list');
  }
  if (match !== undefined && match !== '') {
    const field = 'resourceVersionMatch';
    if (version === undefined || version === '') {
      throw refuse(
        field,
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      );
    }
    if (options.continue) {
      throw refuse(
        field,
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch is forbidden when continue is provided',
      );
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      throw refuse(
        field,
        'FieldValueNotSupported',
        `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`,
      );
    }
    if (match === 'Exact' && version === '0') {
      throw refuse(
        field,
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      );
    }
  }
  const limit = options.limit !== undefined && options.limit > 0 ? options.limit : undefined;
  if (options.continue) {
    if (version !== undefined && version !== '' && version !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const { revision, after } = decodeContinue(options.continue);
    const place = after.split('/');
    if (after.startsWith('/') || place.includes('..') || place.includes('.')) {
      throw badRequest(
        `continue key is not valid: ${JSON.stringify(after)} is not a place in a list of ${kind.plural}`,
      );
    }
    return {
      after,
      ...(limit === undefined ? {} : { limit }),
      ...(revision === -1n ? { inconsistent: true } : { exact: revision }),
    };
  }
  const wanted = parseResourceVersion(version);
  if (wanted === undefined) return limit === undefined ? {} : { limit };
  if (wanted === 0n)
    return match === 'NotOlderThan' && limit !== undefined ? { notOlderThan: 0n, limit } : { notOlderThan: 0n };
  if (match === 'Exact' || (match !== 'NotOlderThan' && limit !== undefined)) {
    return limit === undefined ? { exact: wanted } : { exact: wanted, limit };
  }
  return limit === undefined ? { notOlderThan: wanted } : { notOlderThan: wanted, limit };
}

export async function listObjects(
  cache: WatchCache,
  kind: Kind,
  options: ListOptions,
  signal: AbortSignal,
): Promise<ListResult> {
  const id = resourceIdOf(kind);
  const filter = filterOf(kind, options);
  const plan = planOf(kind, options);
  const lister: Lister = { cache, kind, filter, plan, signal };
  if (plan.notOlderThan !== undefined) {
    await notOlderThan(cache, plan.notOlderThan, signal);
    return listFromCache(lister);
  }
  if (plan.exact === undefined) {
    const { fresh, revision } = await cache.fresh(signal);
    return fresh ? listFromCache(lister) : listFromStore(lister, revision);
  }
  await cache.started(signal);
  const resource = cache.resource(id);
  // The cache is that version when nothing was written to the resource since.
  if (plan.exact <= cache.revision && resource.lastRevision <= plan.exact) {
    return listFromCache(lister, plan.exact);
  }
  return listFromStore(lister, plan.exact);
}

interface Lister {
  readonly cache: WatchCache;
  readonly kind: Kind;
  readonly filter: Filter;
  readonly plan: ListPlan;
  readonly signal: AbortSignal;
}

/** Paths relative to the listed prefix: in a namespace, names. */
const relativeTo = (filter: Filter, path: string): string => (filter.namespace === undefined ? path : nameOfPath(path));
const absoluteOf = (filter: Filter, relative: string): string =>
  filter.namespace === undefined ? relative : `${filter.namespace}/${relative}`;

async function listFromCache({ cache, kind, filter, plan, signal }: Lister, at = cache.revision): Promise<ListResult> {
  const resource = cache.resource(resourceIdOf(kind));
  if (resource.unreadable.size > 0) resource.checkReadable(filter);
  const resourceVersion = String(at);
  if (plan.limit === undefined && plan.after === undefined) {
    const candidates = resource.inScope(filter);
    return { items: filter.selective ? await matching(candidates, filter, signal) : candidates, resourceVersion };
  }
  const limit = plan.limit ?? Number.POSITIVE_INFINITY;
  const after = plan.after === undefined ? undefined : absoluteOf(filter, plan.after);
  const items: StoredObject[] = [];
  let last: string | undefined;
  let more = false;
  let sliceEnd = performance.now() + sliceMs;
  const looks = filter.selective || filter.name !== undefined;
  // The walk yields when it has to look into many objects: it then works on a snapshot of the paths.
  const paths = looks ? snapshot(resource, filter, after) : walk(resource, filter, after);
  for (const [path, object] of paths) {
    if (items.length >= limit) {
      more = true;
      break;
    }
    last = path;
    if (filter.name !== undefined && nameOfPath(path) !== filter.name) continue;
    if (!filter.matches(object)) continue;
    items.push(object);
    if (looks && performance.now() > sliceEnd) {
      await yieldNow(signal);
      sliceEnd = performance.now() + sliceMs;
    }
  }
  if (!more || last === undefined) return { items, resourceVersion };
  const remaining = looks || isSelecting(filter) ? undefined : resource.keys.count(prefixOf(filter), last);
  return {
    items,
    resourceVersion,
    continue: encodeContinue({ revision: at, after: relativeTo(filter, last) }),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  };
}

const prefixOf = (filter: Filter): string => (filter.namespace === undefined ? '' : `${filter.namespace}/`);
const isSelecting = (filter: Filter): boolean => filter.selective || filter.name !== undefined;

function* walk(
  resource: ResourceCache,
  filter: Filter,
  after: string | undefined,
): Generator<[string, StoredObject], void> {
  for (const path of resource.paths(filter.namespace, after)) yield [path, resource.objects.get(path)!];
}

function snapshot(resource: ResourceCache, filter: Filter, after: string | undefined): [string, StoredObject][] {
  return [...walk(resource, filter, after)];
}

async function matching(
  candidates: readonly StoredObject[],
  filter: Filter,
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const items: StoredObject[] = [];
  let sliceEnd = performance.now() + sliceMs;
  for (let i = 0; i < candidates.length; i++) {
    const object = candidates[i]!;
    if (filter.matches(object)) items.push(object);
    if ((i & 63) === 63 && performance.now() > sliceEnd) {
      await yieldNow(signal);
      sliceEnd = performance.now() + sliceMs;
    }
  }
  return items;
}

async function yieldNow(signal: AbortSignal): Promise<void> {
  await new Promise(resolve => setImmediate(resolve));
  signal.throwIfAborted();
}

async function listFromStore({ cache, kind, filter, plan, signal }: Lister, at: bigint): Promise<ListResult> {
  const id = resourceIdOf(kind);
  const resource = cache.resource(id);
  const base = resourcePrefix(id);
  const prefix = base + prefixOf(filter);
  const limit = plan.limit ?? Number.POSITIVE_INFINITY;
  const selecting = isSelecting(filter);
  const items: StoredObject[] = [];
  let after = plan.after === undefined ? undefined : base + absoluteOf(filter, plan.after);
  let revision: bigint | undefined = plan.inconsistent ? undefined : at;
  for (;;) {
    const page = await readPage(selecting ? storePage : Math.min(limit - items.length, storePage));
    revision ??= page.revision;
    for (const [index, entry] of page.entries.entries()) {
      after = entry.key;
      const path = entry.key.slice(base.length);
      if (filter.name === undefined || nameOfPath(path) === filter.name) {
        const object = ofEntry(cache, resource, path, entry);
        if (filter.matches(object)) items.push(object);
      }
      const left = page.entries.length - index - 1 + page.remaining;
      if (items.length >= limit && left > 0) {
        return {
          items,
          resourceVersion: String(revision),
          continue: encodeContinue({ revision, after: relativeTo(filter, path) }),
          ...(selecting ? {} : { remainingItemCount: left }),
        };
      }
    }
    if (!page.more) return { items, resourceVersion: String(revision) };
    await yieldNow(signal);
  }

  async function readPage(pageLimit: number) {
    try {
      return await cache.store.list(prefix, {
        limit: pageLimit,
        signal,
        ...(after === undefined ? {} : { after }),
        ...(revision === undefined ? {} : { revision }),
      });
    } catch (error) {
      if (!isCompacted(error)) throw error;
      throw plan.after === undefined
        ? listExpired()
        : listExpired(encodeContinue({ revision: -1n, after: plan.after }));
    }
  }
}
