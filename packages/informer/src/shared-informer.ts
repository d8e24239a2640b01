/**
 * One list-and-watch and one cache of a collection, shared by any number of handlers.
 *
 * What a handler may rely on:
 * - The cache is changed first, then handlers are told; the cache may already be further than what a handler is told.
 * - Per object it hears of a subsequence of its states, in order, and always of the newest one. A handler that returns a
 *   promise is not called again before it settles, so its work on one object never overlaps. Between objects nothing
 *   is promised.
 * - A handler added late first hears of everything there is, as adds with `initial` true.
 * - An object that was deleted and made again (another uid) is a delete and an add, even when the deletion was missed.
 * - A handler that throws, rejects or never settles harms nobody but itself: the error is logged, the others go on.
 * - After a relist, objects that did not change are not announced again; there is no periodic resync.
 *
 * It promises nothing about how soon: decide from the cache's state, write with the resourceVersion you read.
 */
import {
  type Client,
  type Clock,
  type KubeObject,
  type Logger,
  type Metrics,
  type ObjectDecoder,
  type PartialObjectMetadata,
  type ResourceRef,
  StatusError,
  systemClock,
} from '@orbitkit/core';
import { type Change, PendingChanges, visit } from './delivery.js';
import type { InformerEvent } from './event.js';
import { handlerPump, type InformerHandler } from './handler-pump.js';
import { Indexer, type IndexFunction, type Store } from './indexer.js';
import { KeptBytes } from './lazy/kept-bytes.js';
import { cacheKeyOf, identified, type LazyForm, lazyObject, recordOf } from './lazy/lazy-object.js';
import { identityOf } from './lazy/object-identity.js';
import { type DeepReadonly, deepFreeze } from './read-only.js';
import { Reflector, type ReflectorEvent, type ReflectorScope, type ReflectorState } from './reflector.js';

export type { InformerHandler } from './handler-pump.js';

/** What `addHandler` gives back. */
export interface HandlerRegistration {
  /** Whether the handler has been told of everything in the first list. */
  readonly synced: boolean;
  /** No further calls. Twice is harmless. */
  remove(): void;
}

/** Only the client and the kind have no default. */
export interface SharedInformerOptions<T extends KubeObject> extends ReflectorScope {
  client: Client;
  kind: ResourceRef<T>;
  clock?: Clock;
  log?: Logger;
  metrics?: Metrics;
  indexers?: Record<string, IndexFunction<T>>;
  /** Changes objects before they are cached. Default: drops `metadata.managedFields`, often a third of an object. */
  transform?: (object: T) => T;
  /** Freezes cached objects, so that code which changes one fails loudly. Default false: it costs; meant for tests. */
  freeze?: boolean;
  /**
   * The cache keeps the text of objects, and parses one when somebody reads more of it than its identity or labels: a fraction of the memory and time
   * where most objects are never looked at. `transform` and `freeze` then happen at that moment. Default false: objects are parsed as they come.
   */
  lazy?: boolean;
  /** Only apiVersion, kind and metadata of objects are asked for and kept. See `metadataInformer`. */
  metadataOnly?: boolean;
  /** As in `ReflectorOptions`. */
  pageSize?: number;
  /** As in `ReflectorOptions`. */
  streamingList?: boolean;
  /** As in `ReflectorOptions`. */
  quietMs?: number;
  /** As in `ReflectorOptions`. */
  random?: () => number;
}

/** How long a first list is waited for. */
export interface WaitForSyncOptions {
  signal?: AbortSignal;
  /** Default 2 minutes (controller-runtime's CacheSyncTimeout). */
  timeoutMs?: number;
}

export const syncTimeoutMs = 120_000;

/** The part of an informer that its users see. */
export interface SharedInformer<T extends KubeObject = KubeObject> {
  readonly kind: ResourceRef<T>;
  readonly store: Store<T>;
  /** Whether the first list is in the cache. Stays true. */
  readonly synced: boolean;
  readonly state: ReflectorState;
  /** The version that the cache has reached. */
  readonly resourceVersion: string | undefined;
  addHandler(handler: InformerHandler<T>): HandlerRegistration;
  addIndexers(indexers: Record<string, IndexFunction<T>>): void;
  /** @throws StatusError Timeout; signal.reason; Error when the informer was stopped first. */
  waitForSync(options?: WaitForSyncOptions): Promise<void>;
  /** The same as a stream: `init`, what there is, `initDone`, then changes. Ends with the signal or the informer. */
  events(options?: { signal?: AbortSignal }): AsyncIterable<InformerEvent<T>>;
  /** Lists and watches until the signal aborts. Once only. */
  run(options: { signal: AbortSignal }): Promise<void>;
}

interface Consumer<T extends KubeObject> {
  put(key: string, change: Change<T>): void;
  /** The informer is synced, or has stopped. */
  wake(): void;
}

/** An informer of a collection; it asks for nothing before it runs. */
export function sharedInformer<T extends KubeObject>(options: SharedInformerOptions<T>): SharedInformer<T> {
  return new Informer(options);
}

/** An informer that asks the server for nothing but metadata: a fraction of the bytes, for those who need only names, labels and owners. */
export function metadataInformer(
  options: Omit<SharedInformerOptions<PartialObjectMetadata>, 'kind' | 'metadataOnly'> & { kind: ResourceRef<any> },
): SharedInformer<PartialObjectMetadata> {
  return new Informer<PartialObjectMetadata>({ ...options, metadataOnly: true });
}

const withoutManagedFields = <T extends KubeObject>(object: T): T => {
  if (object.metadata.managedFields) delete object.metadata.managedFields;
  return object;
};

class Informer<T extends KubeObject> implements SharedInformer<T> {
  readonly kind: ResourceRef<T>;
  readonly store: Indexer<T>;
  readonly #options: SharedInformerOptions<T>;
  readonly #clock: Clock;
  readonly #reflector: Reflector<T>;
  readonly #bytes: KeptBytes | undefined;
  readonly #consumers = new Set<Consumer<T>>();
  /** Keys that the list which is running has named; undefined between lists. */
  #listed: Set<string> | undefined;
  /** The reflector's version is ahead while a batch is on its way here. */
  #reached: string | undefined;
  #synced = false;
  #started = false;
  #stopped = false;

  constructor(options: SharedInformerOptions<T>) {
    this.kind = options.kind;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.store = new Indexer<T>(options.indexers, (index, error) =>
      options.log?.error('an index function threw; the object is not in that index', {
        kind: options.kind.kind,
        index,
        error: String(error),
      }),
    );
    this.#bytes = options.lazy ? new KeptBytes() : undefined;
    this.#reflector = new Reflector<T>({ ...options, decoder: options.lazy ? this.#lazily() : this.#sparingly() });
  }

  get synced(): boolean {
    return this.#synced;
  }

  get state(): ReflectorState {
    return this.#reflector.state;
  }

  get resourceVersion(): string | undefined {
    return this.#reached;
  }

  addIndexers(indexers: Record<string, IndexFunction<T>>): void {
    this.store.addIndexers(indexers);
  }

  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    if (this.#started) throw new Error(`the informer of ${this.kind.plural} has been started before; make another`);
    this.#started = true;
    try {
      for await (const events of this.#reflector.batches(signal)) {
        for (const event of events) this.#take(event);
        this.#reached = this.#reflector.resourceVersion;
      }
    } finally {
      this.#stopped = true;
      for (const consumer of [...this.#consumers]) consumer.wake();
    }
  }

  #take(event: ReflectorEvent<T>): void {
    switch (event.type) {
      case 'init':
        this.#listed = new Set();
        return;
      case 'initApply': {
        this.#listed?.add(cacheKeyOf(event.object));
        this.#apply(event.object);
        return;
      }
      case 'initDone': {
        const listed = this.#listed;
        this.#listed = undefined;
        for (const key of this.store.keys()) if (!listed?.has(key)) this.#delete(key, undefined);
        this.#synced = true;
        for (const consumer of [...this.#consumers]) consumer.wake();
        return;
      }
      case 'apply':
        this.#apply(event.object);
        return;
      case 'delete': {
        const key = cacheKeyOf(event.object);
        this.#listed?.delete(key);
        this.#delete(key, event.object);
      }
    }
  }

  #apply(received: T): void {
    const key = cacheKeyOf(received);
    const before = this.store.get(key);
    if (before) {
      const [known, got] = [identified(before as T), identified(received)];
      if (known.uid === got.uid && known.resourceVersion === got.resourceVersion) return;
    }
    const after = this.#prepare(received);
    this.store.set(after);
    if (this.#bytes) {
      if (before) this.#release(before);
      const record = recordOf(after);
      if (record) this.#bytes.keep(record);
    }
    this.#tell(key, { before, after, initial: !this.#synced && !before });
  }

  #delete(key: string, received: T | undefined): void {
    const before = this.store.delete(key);
    if (!before) return;
    this.#release(before);
    const final = received && this.#prepare(received);
    this.#tell(key, { before, after: undefined, final, finalStateUnknown: final === undefined });
  }

  #release(object: DeepReadonly<T>): void {
    const record = this.#bytes && recordOf(object);
    if (record) this.#bytes!.release(record);
  }

  #prepare(received: T): DeepReadonly<T> {
    return recordOf(received) ? (received as DeepReadonly<T>) : this.#finish(received);
  }

  #finish(received: T): DeepReadonly<T> {
    let object = received;
    try {
      object = (this.#options.transform ?? withoutManagedFields)(received);
    } catch (error) {
      this.#options.log?.error('the transform of a cache threw; the object is cached as it came', {
        kind: this.kind.kind,
        error: String(error),
      });
    }
    return this.#options.freeze ? deepFreeze(object) : (object as DeepReadonly<T>);
  }

  /** Objects stay bytes. */
  #lazily(): () => ObjectDecoder<T> {
    const { kind, metadataOnly, transform } = this.#options;
    const apiVersion = kind.group ? `${kind.group}/${kind.version}` : kind.version;
    const form: LazyForm = {
      kind: kind.kind,
      apiVersion,
      changesLabels: transform !== undefined,
      finish: parsed =>
        this.#finish(
          metadataOnly
            ? { apiVersion, kind: kind.kind, metadata: parsed.metadata }
            : Object.assign(parsed, { apiVersion, kind: kind.kind }),
        ),
    };
    return () => (json, start, end) => lazyObject<T>(json, start, end, form);
  }

  /** When everything is listed again, what the cache has in that very version is not parsed again. */
  #sparingly(): (initial: boolean) => ObjectDecoder<T> | undefined {
    const unchanged: ObjectDecoder<T> = (json, start, end) => {
      const { namespace, name, uid, resourceVersion } = identityOf(json, start);
      const known = this.store.get(namespace ? `${namespace}/${name}` : name);
      return known?.metadata.uid === uid && known.metadata.resourceVersion === resourceVersion
        ? (known as T)
        : JSON.parse(json.toString('utf8', start, end));
    };
    return initial => (initial && this.store.size > 0 ? unchanged : undefined);
  }

  #tell(key: string, change: Change<T>): void {
    // Each consumer merges later changes into its own copy.
    for (const consumer of [...this.#consumers]) consumer.put(key, { ...change });
  }

  addHandler(handler: InformerHandler<T>): HandlerRegistration {
    const pump = handlerPump(handler, error =>
      this.#options.log?.error('an informer handler failed', {
        kind: this.kind.kind,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    );
    const consumer: Consumer<T> = { put: pump.put, wake() {} };
    this.#replay(pump.pending);
    this.#consumers.add(consumer);
    pump.start();
    const informer = this;
    return {
      get synced() {
        return informer.#synced && pump.idleOfInitial;
      },
      remove: () => {
        this.#consumers.delete(consumer);
        pump.stop();
      },
    };
  }

  #replay(pending: PendingChanges<T>): void {
    for (const object of this.store.list()) {
      pending.put(cacheKeyOf(object as unknown as KubeObject), { before: undefined, after: object, initial: true });
    }
  }

  async *events({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<InformerEvent<T>, void, void> {
    const pending = new PendingChanges<T>();
    let wake = () => {};
    const consumer: Consumer<T> = {
      put: (key, change) => {
        pending.put(key, change);
        wake();
      },
      wake: () => wake(),
    };
    const onAbort = () => wake();
    this.#replay(pending);
    this.#consumers.add(consumer);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      yield { type: 'init' };
      let done = false;
      while (!signal?.aborted) {
        if (!done && this.#synced && !pending.hasInitial) {
          done = true;
          yield { type: 'initDone' };
          continue;
        }
        const change = pending.take();
        if (change) {
          yield* visit<T, InformerEvent<T>>(change, {
            add: (object, initial) => ({ type: initial && !done ? 'initApply' : 'apply', object }),
            update: (previous, object) => ({ type: 'apply', object, previous }),
            delete: (object, finalStateUnknown) => ({ type: 'delete', object, finalStateUnknown }),
          });
        } else if (this.#stopped) {
          return;
        } else {
          await new Promise<void>(resolve => {
            wake = resolve;
          });
          wake = () => {};
        }
      }
    } finally {
      this.#consumers.delete(consumer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async waitForSync({ signal, timeoutMs = syncTimeoutMs }: WaitForSyncOptions = {}): Promise<void> {
    if (this.#synced) return;
    signal?.throwIfAborted();
    const informer = this;
    await new Promise<void>((resolve, reject) => {
      const consumer: Consumer<T> = { put() {}, wake: settle };
      const timer = this.#clock.setTimer(timeoutMs, () => leave(() => reject(this.#notSynced(timeoutMs))));
      function leave(settled: () => void): void {
        timer.cancel();
        informer.#consumers.delete(consumer);
        signal?.removeEventListener('abort', onAbort);
        settled();
      }
      function onAbort(): void {
        leave(() => reject(signal!.reason));
      }
      function settle(): void {
        if (informer.#synced) leave(resolve);
        else if (informer.#stopped) {
          leave(() =>
            reject(new Error(`the informer of ${informer.kind.plural} was stopped before its cache was filled`)),
          );
        }
      }
      this.#consumers.add(consumer);
      signal?.addEventListener('abort', onAbort, { once: true });
      settle();
    });
  }

  #notSynced(ms: number): StatusError {
    const { state } = this;
    const why =
      state.phase === 'waiting'
        ? `the last attempt failed: ${state.error.message}`
        : state.phase === 'idle'
          ? 'it was not started; call run()'
          : `it is ${state.phase}`;
    return new StatusError('Timeout', `the cache of ${this.kind.plural} was not filled within ${ms / 1000} s: ${why}`);
  }
}
