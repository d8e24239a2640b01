/**
 * The watch cache: one watch on the store for the whole cluster, from which reads and watches of every resource are served.
 *
 * - After `run` has listed once, `revision` says how far it is; `fresh()` waits until it has seen everything that the store had
 *   acknowledged, so that reads from the cache are as consistent as reads from the store.
 * - Commits of the store reach each group of equal watchers as one shared batch (dispatch-pace.ts says when).
 * - When the store's watch breaks, every watcher gets an ERROR (Expired) and the cache is built anew: clients list again.
 */
import {
  type Backoff,
  backoff,
  type Clock,
  type DynamicObject,
  type Kind,
  type Logger,
  reflectorBackoff,
  StatusError,
  systemClock,
} from '@orbitkit/core';
import type { Store, StoreBatch } from '../storage/contract.js';
import { decodeValue } from '../storage/value.js';
import type { WatchEvent } from './contract.js';
import { DispatchPace } from './dispatch-pace.js';
import type { WindowBounds } from './event-window.js';
import type { Filter } from './filter.js';
import { RecentForms, StoredObject } from './object-bytes.js';
import { ResourceCache } from './resource-cache.js';
import { parseStorageKey, type ResourceId, registryPrefix, resourceIdOf, storageKey } from './storage-keys.js';
import { bookmark, EventBatch, errorEvent } from './watch-events.js';
import { Watcher } from './watcher.js';

export interface WatchCacheOptions {
  store: Store;
  clock?: Clock;
  log?: Logger;
  /** Per resource. */
  window?: WindowBounds;
  /** What one watcher may leave unread. Default 8 MiB. */
  watcherQueueBytes?: number;
  /** Default one minute (kube-apiserver's). */
  bookmarkMs?: number;
  /** Parsed objects that are kept. Default 2,048. */
  parsedObjects?: number;
}

/** How long a read waits for a cache that is being built. */
const startWaitMs = 10_000;

interface Waiter {
  revision: bigint;
  resolve(reached: boolean): void;
}

export interface Subscription {
  kind: Kind;
  filter: Filter;
  signal: AbortSignal;
  bookmarks: boolean;
  initial: (cache: ResourceCache, revision: bigint) => Iterator<readonly WatchEvent[], void>;
  /** Called once, when it has ended. */
  onEnd?(): void;
}

/** Follows one resource for something that is derived from it (an index of roles, the graph of pods and nodes). */
export interface CacheObserver {
  /** One object's new version; undefined: it is gone. Called at once, in order, before watchers hear of it. Must not throw. */
  changed(path: string, object: StoredObject | undefined): void;
  /** Everything known so far is void: `changed` follows for every object that there is. */
  reset(): void;
}

export class WatchCache {
  readonly store: Store;
  readonly clock: Clock;
  readonly forms: RecentForms;
  readonly #log: Logger | undefined;
  readonly #window: WindowBounds | undefined;
  readonly #queueBytes: number;
  readonly #bookmarkMs: number;
  #resources = new Map<ResourceId, ResourceCache>();
  #revision = 0n;
  #since = 0n;
  #live = false;
  #waiters: Waiter[] = [];
  readonly #watchers = new Map<Watcher, Subscription>();
  /** Objects that a writer in this process made of its commit before the cache saw it. */
  readonly #offered = new Map<string, StoredObject>();
  /** Parsed forms of what writers in this process are about to commit, by the very bytes: whoever follows the cache need not parse them. */
  readonly #announced = new Map<Uint8Array, DynamicObject>();
  #bookmarkTimer: { cancel(): void } | undefined;
  readonly #observers = new Map<ResourceId, Set<CacheObserver>>();
  /** Whose watchers have not been told of everything yet. */
  readonly #untold = new Set<ResourceCache>();
  readonly #pace = new DispatchPace(() => {
    let told = 0;
    for (const resource of this.#untold) told += resource.dispatch();
    this.#untold.clear();
    return told;
  });

  constructor(options: WatchCacheOptions) {
    this.store = options.store;
    this.clock = options.clock ?? systemClock;
    this.forms = new RecentForms(options.parsedObjects ?? 2048);
    this.#log = options.log;
    this.#window = options.window;
    this.#queueBytes = options.watcherQueueBytes ?? 8 << 20;
    this.#bookmarkMs = options.bookmarkMs ?? 60_000;
  }

  get revision(): bigint {
    return this.#revision;
  }
  get live(): boolean {
    return this.#live;
  }
  get watchers(): number {
    return this.#watchers.size;
  }

  resource(id: ResourceId): ResourceCache {
    let resource = this.#resources.get(id);
    if (resource === undefined) {
      resource = new ResourceCache(id, this.#since, this.#window);
      this.#resources.set(id, resource);
    }
    return resource;
  }

  /** How many objects there are, of a resource or of it in one namespace. */
  countOf(id: ResourceId, namespace?: string): number {
    const resource = this.#resources.get(id);
    if (resource === undefined) return 0;
    return namespace === undefined ? resource.objects.size : resource.keys.count(`${namespace}/`);
  }

  peek(id: ResourceId, path: string): StoredObject | undefined {
    return this.#resources.get(id)?.objects.get(path);
  }

  /** Tells the observer what there is, and of every change from now on. Answers the end of it. */
  observe(id: ResourceId, observer: CacheObserver): () => void {
    const observers = this.#observers.get(id) ?? new Set();
    this.#observers.set(id, observers.add(observer));
    for (const [path, object] of this.#resources.get(id)?.objects ?? []) observer.changed(path, object);
    return () => void observers.delete(observer);
  }

  /** Feeds the cache until the signal aborts. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const wait = backoff({ ...reflectorBackoff, initialMs: 100, clock: this.clock });
    try {
      while (!signal.aborted) await this.#session(signal, wait);
    } finally {
      this.#live = false;
      this.#pace.flush();
      this.#bookmarkTimer?.cancel();
      this.#bookmarkTimer = undefined;
      for (const watcher of [...this.#watchers.keys()]) watcher.finish();
      for (const waiter of this.#waiters.splice(0)) waiter.resolve(false);
    }
  }

  async #session(signal: AbortSignal, wait: Backoff): Promise<void> {
    try {
      const { entries, revision } = await this.store.list(registryPrefix, { signal });
      this.#rebuild(entries, revision);
      for await (const batch of this.store.watch(registryPrefix, revision, { signal })) {
        this.#apply(batch);
        wait.reset();
      }
      if (!signal.aborted) throw new Error('the watch on the store ended by itself');
    } catch (error) {
      if (signal.aborted) return;
      this.#log?.warn('the watch cache lost the store; it lists again', { error: String(error) });
      this.#live = false;
      this.#pace.flush();
      const expired = new StatusError('Expired', 'the watch cache of the server is being rebuilt: list again');
      for (const watcher of [...this.#watchers.keys()]) watcher.finish(errorEvent(expired));
      await this.clock.sleep(wait.next(), signal).catch(() => undefined);
    }
  }

  #rebuild(entries: readonly { key: string; value: Uint8Array; modRevision: bigint }[], revision: bigint): void {
    const known = this.#resources;
    this.#resources = new Map();
    this.#since = revision;
    for (const { key, value, modRevision } of entries) {
      const place = parseStorageKey(key);
      if (place === undefined) continue;
      const old = known.get(place.id)?.objects.get(place.path);
      const resource = this.resource(place.id);
      const object = old?.revision === modRevision ? old : this.#stored(key, value, modRevision);
      if (object instanceof StoredObject) resource.restore(place.path, object);
      else resource.unreadable.set(place.path, object);
    }
    this.#offered.clear();
    for (const [id, observers] of this.#observers) {
      for (const observer of observers) {
        observer.reset();
        for (const [path, object] of this.#resources.get(id)?.objects ?? []) observer.changed(path, object);
      }
    }
    this.#live = true;
    this.#advance(revision);
  }

  #apply(batch: StoreBatch): void {
    const time = this.clock.now();
    for (const event of batch.events) {
      const place = parseStorageKey(event.key);
      if (place === undefined) continue;
      const resource = this.resource(place.id);
      const observers = this.#observers.get(place.id);
      if (event.type === 'put') {
        let object: StoredObject | StatusError | undefined = this.#offered.get(event.key);
        if (object !== undefined) this.#offered.delete(event.key);
        if (object?.revision !== event.revision) {
          object = this.#stored(event.key, event.value, event.revision);
          if (!(object instanceof StoredObject)) {
            this.#becameUnreadable(resource, place.path, object);
            if (observers) for (const observer of observers) observer.changed(place.path, undefined);
            continue;
          }
        }
        const announced = this.#announced.get(event.value);
        if (announced !== undefined) {
          this.#announced.delete(event.value);
          const version = String(event.revision);
          if (announced.metadata.resourceVersion !== version) announced.metadata.resourceVersion = version;
          object.offerParsed(announced);
        }
        resource.put(place.path, object, time);
        if (observers) for (const observer of observers) observer.changed(place.path, object);
      } else {
        resource.delete(place.path, event.revision, time);
        if (observers) for (const observer of observers) observer.changed(place.path, undefined);
      }
      this.#untold.add(resource);
    }
    this.#advance(batch.revision);
    this.#pace.request();
  }

  /** Or why it cannot be read: one such value must not take the others along. */
  #stored(key: string, value: Uint8Array, revision: bigint): StoredObject | StatusError {
    try {
      return new StoredObject(jsonOf(key, value), revision, this.forms);
    } catch (error) {
      const unreadable = error as StatusError;
      this.#log?.error('a stored object cannot be read', { error: unreadable.message });
      return unreadable;
    }
  }

  /** Whoever watches the resource is told, since no event can say what the object is now. */
  #becameUnreadable(resource: ResourceCache, path: string, error: StatusError): void {
    resource.dispatch();
    resource.setUnreadable(path, error);
    for (const [watcher, { kind }] of [...this.#watchers]) {
      if (resourceIdOf(kind) === resource.id) watcher.finish(errorEvent(error));
    }
  }

  #advance(revision: bigint): void {
    if (revision > this.#revision) this.#revision = revision;
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (waiter.revision <= this.#revision) waiter.resolve(true);
      else this.#waiters.push(waiter);
    }
  }

  /**
   * A write of this process is under way. A store that hands back the very bytes it was given gives the cache their parsed form by this,
   * which must not change any more; others hand back equal bytes, and they are parsed when somebody asks.
   */
  announce(value: Uint8Array, object: DynamicObject): void {
    if (this.#announced.size >= 4096) this.#announced.clear();
    this.#announced.set(value, object);
  }

  /** The announced write is decided. */
  withdraw(value: Uint8Array): void {
    this.#announced.delete(value);
  }

  /**
   * The version that a write of this process just made. When the cache has it already, that one; otherwise the cache will take this
   * one, so that the bytes are spliced once. `object` is its parsed form, which must not change any more.
   */
  adopt(id: ResourceId, path: string, value: Uint8Array, revision: bigint, object: DynamicObject): StoredObject {
    const cached = this.peek(id, path);
    if (cached?.revision === revision) {
      cached.offerParsed(object);
      return cached;
    }
    const made = new StoredObject(decodeValue(value), revision, this.forms);
    made.offerParsed(object);
    if (revision > this.#revision && this.#live) {
      if (this.#offered.size >= 4096) this.#offered.clear();
      this.#offered.set(storageKey(id, path), made);
    }
    return made;
  }

  /** Waits, for a bounded time, until the cache was built. @throws StatusError ServiceUnavailable */
  async started(signal: AbortSignal): Promise<void> {
    if (this.#live) return;
    await this.#reach(0n, startWaitMs, signal);
    if (this.#live) return;
    signal.throwIfAborted();
    throw new StatusError(
      'ServiceUnavailable',
      'the watch cache is not ready: the server is starting, or its store does not answer',
      {
        details: { retryAfterSeconds: 1 },
      },
    );
  }

  /**
   * Whether the cache has, within `waitMs`, everything that the store had acknowledged when this was called; `revision` is that
   * revision. A cache that stays behind (other users of the store write under other prefixes) is passed by: the caller reads the store.
   */
  async fresh(signal: AbortSignal, waitMs = 100): Promise<{ fresh: boolean; revision: bigint }> {
    const { revision } = await this.store.get(registryPrefix, { signal });
    if (this.#live && this.#revision >= revision) return { fresh: true, revision };
    await this.started(signal);
    return { fresh: await this.#reach(revision, waitMs, signal), revision };
  }

  /** Whether the cache reaches this revision within the time. */
  async reach(revision: bigint, waitMs: number, signal: AbortSignal): Promise<boolean> {
    await this.started(signal);
    return this.#reach(revision, waitMs, signal);
  }

  #reach(revision: bigint, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#live && this.#revision >= revision) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        const at = this.#waiters.indexOf(waiter);
        if (at >= 0) this.#waiters.splice(at, 1);
      };
      const waiter: Waiter = {
        revision,
        resolve: reached => {
          end();
          resolve(reached);
        },
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      const timer = this.clock.setTimer(waitMs, () => waiter.resolve(false));
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Starts a watcher: it sees what `initial` makes of this moment, and everything after it. */
  subscribe(id: ResourceId, subscription: Subscription): Watcher {
    // What it has not been told of yet is in what it begins with.
    this.#pace.flush();
    const resource = this.resource(id);
    const watcher: Watcher = new Watcher({
      initial: subscription.initial(resource, this.#revision),
      queueBytes: this.#queueBytes,
      signal: subscription.signal,
      onEnd: ended => {
        leave?.();
        this.#watchers.delete(ended);
        subscription.onEnd?.();
      },
    });
    let leave: (() => void) | undefined;
    if (watcher.ended) return watcher;
    leave = resource.add(watcher, subscription.filter);
    this.#watchers.set(watcher, subscription);
    if (subscription.bookmarks) this.#armBookmarks();
    return watcher;
  }

  /** Ends the watches of one resource: its form has changed, or it is no longer served. Clients come back and see what there is. */
  endWatches(id: ResourceId): void {
    this.#pace.flush();
    for (const [watcher, { kind }] of [...this.#watchers]) if (resourceIdOf(kind) === id) watcher.finish();
  }

  /** Tells every watcher that asked for bookmarks how far it is. */
  sendBookmarks(): void {
    this.#pace.flush();
    const batches = new Map<Kind, EventBatch>();
    for (const [watcher, { bookmarks, kind }] of this.#watchers) {
      if (!bookmarks) continue;
      let batch = batches.get(kind);
      if (batch === undefined) {
        batch = new EventBatch([bookmark(kind, this.#revision)]);
        batches.set(kind, batch);
      }
      watcher.push(batch);
    }
  }

  #armBookmarks(): void {
    this.#bookmarkTimer ??= this.clock.setTimer(this.#bookmarkMs, () => {
      this.#bookmarkTimer = undefined;
      this.sendBookmarks();
      for (const { bookmarks } of this.#watchers.values()) {
        if (bookmarks) return this.#armBookmarks();
      }
    });
  }
}

/** @throws StatusError InternalError that names the key */
export function jsonOf(key: string, value: Uint8Array): Buffer {
  try {
    return decodeValue(value);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StatusError('InternalError', `Internal error occurred: the stored object ${key} cannot be read: ${why}`, {
      cause: error,
    });
  }
}
