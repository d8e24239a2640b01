/**
 * The resources of one cluster: every kind over one store, one watch cache, one admission chain. See contract.ts for what it promises.
 */
import { type Clock, type Kind, type Logger, StatusError, systemClock } from '@orbitkit/core';
import { admissionChain } from '../admission/chain.js';
import type { AdmissionCluster, AdmissionPlugin } from '../admission/contract.js';
import { defaultAdmission } from '../admission/index.js';
import type { Store } from '../storage/contract.js';
import { cachedObjects, changeObject } from './change.js';
import type { RequestContext, ResourceKey, Resources, RunningResources } from './contract.js';
import { createObject } from './create.js';
import { deleteCollection, deleteObject } from './delete.js';
import type { WindowBounds } from './event-window.js';
import { withinGroup } from './field-tracking.js';
import { checkKey } from './metadata.js';
import { patchObject } from './patch.js';
import { listObjects, newestObject, readObject } from './read.js';
import { objectPath, resourceIdOf } from './storage-keys.js';
import { storeFailure } from './store-failure.js';
import { storedVersions } from './stored-versions.js';
import { type StrategyOptions, strategiesOf } from './strategies/index.js';
import { createSubresource, patchSubresource, readSubresource, updateSubresource } from './subresource.js';
import { ensureSystemObjects, type SystemObject, systemNamespaceObjects } from './system-objects.js';
import { TtlLeases } from './ttl-leases.js';
import { updateObject } from './update.js';
import { builtinVirtualResources, type VirtualResources, virtualResources } from './virtual-resources.js';
import { watchObjects } from './watch.js';
import { WatchCache } from './watch-cache.js';
import type { Writing } from './writing.js';

/** What the resources of a cluster are kept in, and what they are held to. */
export interface ResourcesOptions extends StrategyOptions {
  /** The caller's; it closes it after `run` has ended. */
  store: Store;
  clock?: Clock;
  log?: Logger;
  /** In order. Default: `defaultAdmission()`. */
  admission?: readonly AdmissionPlugin[];
  /** Answers for kinds that are never stored (reviews, metrics), beside or in the place of the built-in ones. */
  virtual?: VirtualResources;
  /** Created at start when they do not exist, beside the system namespaces. */
  systemObjects?: readonly SystemObject[];
  /** Bounds of the events that a watch can resume from, per resource. */
  watchWindow?: WindowBounds;
  /** Bytes that one watcher may leave unread before it is closed. Default 8 MiB. */
  watcherQueueBytes?: number;
  /** Default one minute. */
  bookmarkMs?: number;
  /**
   * Whether `metadata.managedFields` says who owns which fields. Default true: server-side apply needs it. Without it a write costs less
   * and objects are smaller.
   */
  managedFields?: boolean;
  /** Spreads the ends of watches. Default `Math.random`. */
  random?: () => number;
}

/** The resources, and what parts of the server need to know of them. */
export interface ServerResources extends RunningResources {
  readonly cache: WatchCache;
  /** What plugins see. */
  readonly cluster: AdmissionCluster;
}

export function createResources(options: ResourcesOptions): ServerResources {
  const { store, clock = systemClock, log, random = Math.random } = options;
  const cache = new WatchCache({
    store,
    clock,
    ...(log === undefined ? {} : { log }),
    ...(options.watchWindow === undefined ? {} : { window: options.watchWindow }),
    ...(options.watcherQueueBytes === undefined ? {} : { watcherQueueBytes: options.watcherQueueBytes }),
    ...(options.bookmarkMs === undefined ? {} : { bookmarkMs: options.bookmarkMs }),
  });
  const reader: AdmissionCluster = {
    peek: (kind, key) => (cache.live ? cache.peek(resourceIdOf(kind), objectPath(key)) : undefined),
    read: (kind, key, signal) => newestObject(cache, kind, objectPath(key), signal),
    list: (kind, namespace, signal) => {
      const list = () => cachedObjects(cache.resource(resourceIdOf(kind)), namespace);
      if (cache.live) return list();
      const waiting = cache.started(signal).then(list);
      // Some only look whether there is anything, and do not wait.
      waiting.catch(() => undefined);
      return waiting;
    },
    observe: (kind, observer) => cache.observe(resourceIdOf(kind), observer),
    change: (kind, key, signal, change) => changeObject(cache, kind, key, signal, change),
  };
  const now = () => clock.now();
  const writing: Writing = {
    cache,
    clock,
    strategies: strategiesOf(cache, now, options),
    admission: admissionChain(options.admission ?? defaultAdmission(), reader),
    environment: { reader, now },
    leases: new TtlLeases(store, clock),
    managedFields: options.managedFields !== false,
    convertVersion: withinGroup,
  };
  let ready = false;

  /** Everything leaves as a StatusError. */
  async function answer<T>(
    context: RequestContext,
    kind: Kind,
    verb: string,
    key: ResourceKey | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    if (key !== undefined) checkKey(kind, key);
    if (!(kind.verbs as readonly string[]).includes(verb)) {
      throw new StatusError('MethodNotAllowed', `${verb} is not supported on resources of kind "${kind.plural}"`);
    }
    try {
      return await run();
    } catch (error) {
      throw storeFailure(error, context.signal);
    }
  }

  const stored: Resources = {
    get: (context, kind, key, get = {}) =>
      answer(context, kind, 'get', key, () => readObject(cache, kind, key, get, context.signal)),
    list: (context, kind, list = {}) =>
      answer(context, kind, 'list', undefined, () => listObjects(cache, kind, list, context.signal)),
    watch: (context, kind, watch = {}) =>
      answer(context, kind, 'watch', undefined, () => watchObjects(cache, kind, watch, context.signal, random)),
    create: (context, kind, key, body, write = {}) =>
      answer(context, kind, 'create', undefined, () => createObject(writing, context, kind, key, body, write)),
    update: (context, kind, key, body, write = {}) =>
      answer(context, kind, 'update', key, () => updateObject(writing, { context, kind, key, options: write }, body)),
    patch: (context, kind, key, patch, write = {}) =>
      answer(context, kind, 'patch', key, () => patchObject(writing, { context, kind, key, options: write }, patch)),
    delete: (context, kind, key, del = {}) =>
      answer(context, kind, 'delete', key, () => deleteObject(writing, context, kind, key, del)),
    deleteCollection: (context, kind, del, selection) =>
      answer(context, kind, 'deletecollection', undefined, () =>
        deleteCollection(writing, context, kind, del, selection),
      ),
    getSubresource: (context, kind, key, subresource, get = {}) =>
      answer(context, kind, 'get', key, () => readSubresource(writing, context, kind, key, subresource, get)),
    updateSubresource: (context, kind, key, subresource, body, write = {}) =>
      answer(context, kind, 'update', key, () =>
        updateSubresource(writing, { context, kind, key, options: write, subresource }, body),
      ),
    patchSubresource: (context, kind, key, subresource, patch, write = {}) =>
      answer(context, kind, 'patch', key, () =>
        patchSubresource(writing, { context, kind, key, options: write, subresource }, patch),
      ),
    createSubresource: (context, kind, key, subresource, body, write = {}) =>
      answer(context, kind, 'create', key, () =>
        createSubresource(writing, context, kind, key, subresource, body, write),
      ),
  };
  const versions = storedVersions(stored);
  const virtual = virtualResources({ ...builtinVirtualResources(store, () => stored), ...options.virtual });
  const of = (kind: Kind): Resources => (kind.virtual ? virtual : kind.storage ? versions : stored);

  const resources: ServerResources = {
    cache,
    cluster: reader,
    get: (context, kind, key, get) => of(kind).get(context, kind, key, get),
    list: (context, kind, list) => of(kind).list(context, kind, list),
    watch: (context, kind, watch) => of(kind).watch(context, kind, watch),
    create: (context, kind, key, body, write) => of(kind).create(context, kind, key, body, write),
    update: (context, kind, key, body, write) => of(kind).update(context, kind, key, body, write),
    patch: (context, kind, key, patch, write) => of(kind).patch(context, kind, key, patch, write),
    delete: (context, kind, key, del) => of(kind).delete(context, kind, key, del),
    deleteCollection: (context, kind, del, selection) => of(kind).deleteCollection(context, kind, del, selection),
    getSubresource: (context, kind, key, name, get) => of(kind).getSubresource(context, kind, key, name, get),
    updateSubresource: (context, kind, key, name, body, write) =>
      of(kind).updateSubresource(context, kind, key, name, body, write),
    patchSubresource: (context, kind, key, name, patch, write) =>
      of(kind).patchSubresource(context, kind, key, name, patch, write),
    createSubresource: (context, kind, key, name, body, write) =>
      of(kind).createSubresource(context, kind, key, name, body, write),

    async run({ signal }) {
      const feeding = cache.run({ signal });
      const objects = [...systemNamespaceObjects, ...(options.systemObjects ?? [])];
      while (!signal.aborted && !ready) {
        try {
          await ensureSystemObjects(resources, objects, signal);
          ready = true;
        } catch (error) {
          if (signal.aborted) break;
          log?.warn('the objects of the system could not be created; trying again', { error: String(error) });
          await clock.sleep(1_000, signal).catch(() => undefined);
        }
      }
      await feeding;
      ready = false;
    },
    ready: () => ready && cache.live,
    get revision() {
      return cache.revision;
    },
  };
  return resources;
}
