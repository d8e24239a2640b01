/**
 * Informers by kind and scope, each made once and shared by all who ask: a process watches each collection once.
 *
 * Ask for informers before or while it runs; those asked for later start at once. Nothing starts before `run`.
 */
import type { Client, Clock, KubeObject, Logger, Metrics, PartialObjectMetadata, ResourceRef } from '@orbitkit/core';
import type { IndexFunction } from './indexer.js';
import type { ReflectorScope } from './reflector.js';
import { type SharedInformer, sharedInformer, syncTimeoutMs, type WaitForSyncOptions } from './shared-informer.js';

/** What all of its informers share. */
export interface InformerFactoryOptions {
  client: Client;
  clock?: Clock;
  log?: Logger;
  metrics?: Metrics;
  /** As in `SharedInformerOptions`. */
  freeze?: boolean;
  /** As in `SharedInformerOptions`, for all kinds or those of which it is true. */
  lazy?: boolean | ((kind: ResourceRef<any>) => boolean);
  /** As in `ReflectorOptions`. */
  streamingList?: boolean;
  /** As in `ReflectorOptions`. */
  quietMs?: number;
  /** As in `ReflectorOptions`. */
  pageSize?: number;
  /** As in `ReflectorOptions`. */
  random?: () => number;
}

/** Which part of a collection, and what is wanted of it. Requests of the same scope share one informer. */
export interface InformerRequest<T extends KubeObject> extends ReflectorScope {
  /** Added to those that the shared informer has. */
  indexers?: Record<string, IndexFunction<T>>;
}

/** The informers of a process, by kind and scope. */
export interface InformerFactory {
  /** The one informer of a kind and scope. */
  informer<T extends KubeObject>(kind: ResourceRef<T>, request?: InformerRequest<NoInfer<T>>): SharedInformer<T>;
  /** The one informer of the metadata of a kind and scope; see `metadataInformer`. */
  metadataInformer(
    kind: ResourceRef<any>,
    request?: InformerRequest<PartialObjectMetadata>,
  ): SharedInformer<PartialObjectMetadata>;
  /** Runs every informer asked for until the signal aborts. Once only. */
  run(options: { signal: AbortSignal }): Promise<void>;
  /** Resolves when all informers asked for so far have their first list. @throws as `SharedInformer.waitForSync`. */
  waitForSync(options?: WaitForSyncOptions): Promise<void>;
}

/** A factory without informers; nothing is asked of the API before it runs. */
export function informerFactory(options: InformerFactoryOptions): InformerFactory {
  const informers = new Map<string, SharedInformer<any>>();
  const running = new Set<Promise<void>>();
  let runSignal: AbortSignal | undefined;

  function start(informer: SharedInformer<any>, signal: AbortSignal): void {
    const run = informer.run({ signal }).finally(() => running.delete(run));
    // Watched by run(); a failure must not be unhandled in between.
    run.catch(() => {});
    running.add(run);
  }

  function informerOf<T extends KubeObject>(
    kind: ResourceRef<T>,
    { indexers, ...scope }: InformerRequest<NoInfer<T>>,
    metadataOnly: boolean,
  ): SharedInformer<T> {
    const key = JSON.stringify([
      kind.group,
      kind.version,
      kind.plural,
      scope.namespace ?? null,
      scope.labelSelector ?? null,
      scope.fieldSelector ?? null,
      metadataOnly,
    ]);
    let informer = informers.get(key) as SharedInformer<T> | undefined;
    if (!informer) {
      const { lazy, ...rest } = options;
      const isLazy = typeof lazy === 'function' ? lazy(kind) : (lazy ?? false);
      informer = sharedInformer<T>({ ...rest, ...scope, kind, lazy: isLazy, metadataOnly });
      informers.set(key, informer);
      if (runSignal && !runSignal.aborted) start(informer, runSignal);
    }
    if (indexers) informer.addIndexers(indexers);
    return informer;
  }

  return {
    informer: (kind, request = {}) => informerOf(kind, request, false),
    metadataInformer: (kind, request = {}) => informerOf<PartialObjectMetadata>(kind, request, true),

    async run({ signal }) {
      if (runSignal) throw new Error('this informer factory runs already, or has run; make another');
      runSignal = signal;
      for (const informer of informers.values()) start(informer, signal);
      if (!signal.aborted) {
        await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
      }
      while (running.size > 0) await Promise.all(running);
    },

    async waitForSync({ signal, timeoutMs = syncTimeoutMs } = {}) {
      await Promise.all(
        Array.from(informers.values(), informer =>
          informer.waitForSync(signal ? { signal, timeoutMs } : { timeoutMs }),
        ),
      );
    },
  };
}
