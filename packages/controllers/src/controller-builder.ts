/**
 * Builds a controller from what it cares about and what it does:
 *
 * ```ts
 * controller(Guestbook)
 *   .owns(Deployment)
 *   .watches(Secret, secret => secret.metadata.labels?.guestbook)
 *   .reconcile(async ({ object, client }) => { … return { requeueAfter: '5m' }; });
 * ```
 *
 * It is level-triggered: a reconciliation is told which object to look at, not what happened; several changes may be
 * one call, and a call may find nothing to do. What `read` returns may lag behind what was written a moment ago.
 */
import { controllerOf, type KubeObject, keyOf, type ObjectKey, parseKey, type ResourceRef } from '@orbitkit/core';
import {
  type DeepReadonly,
  type IndexFunction,
  mutableCopy,
  type SharedInformer,
  type Store,
  type WorkQueue,
} from '@orbitkit/informer';
import type { Controller, ControllerContext } from './controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from './reconcile-loop.js';

export type ChangeEvent<T> =
  | { type: 'add'; object: DeepReadonly<T>; initial: boolean }
  | { type: 'update'; object: DeepReadonly<T>; previous: DeepReadonly<T> }
  | { type: 'delete'; object: DeepReadonly<T> };

/** Whether a change is worth a reconciliation. */
export type Predicate<T> = (change: ChangeEvent<T>) => boolean;

/** Lets through what changed an object's spec: its generation. Everything, for kinds without one. */
export const generationChanged: Predicate<KubeObject> = change =>
  change.type !== 'update' ||
  change.object.metadata.generation === undefined ||
  change.object.metadata.generation !== change.previous.metadata.generation;

/** What a change of another object means: names in its namespace, `namespace/name` keys, or nothing. */
export type Mapped = string | ObjectKey | undefined | readonly (string | ObjectKey)[];

/** The cache of a kind that the controller is for, owns, watches or reads. @throws Error for another kind. */
export type ReadCache = <R extends KubeObject>(kind: ResourceRef<R>) => Store<R>;

export interface ReconcileKeyRequest extends Pick<ControllerContext, 'client' | 'log' | 'events' | 'clock' | 'signal'> {
  /** `namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly read: ReadCache;
}

export interface ReconcileRequest<T extends KubeObject> extends ReconcileKeyRequest {
  /** The object as it is in the cache; a copy of the reconciler's own, to change and to write. */
  readonly object: T;
}

export interface ControllerBuilder<T extends KubeObject> {
  /** Name in logs, metrics and events. Default: the kind in lower case. */
  named(name: string): ControllerBuilder<T>;
  /** Changes of objects that one of `T` controls (owner reference with `controller: true`) reconcile that one. */
  owns<R extends KubeObject>(kind: ResourceRef<R>, options?: { predicate?: Predicate<R> }): ControllerBuilder<T>;
  /**
   * Changes of other objects reconcile those that `map` names; asked of the object before and after a change. `read` shows what the controller
   * caches at that moment, to look up who is concerned.
   */
  watches<R extends KubeObject>(
    kind: ResourceRef<R>,
    map: (object: DeepReadonly<R>, read: ReadCache) => Mapped,
    options?: { predicate?: Predicate<R> },
  ): ControllerBuilder<T>;
  /** Caches a kind for `read` without reacting to it. */
  reads<R extends KubeObject>(
    kind: ResourceRef<R>,
    indexers?: Record<string, IndexFunction<NoInfer<R>>>,
  ): ControllerBuilder<T>;
  /** Of changes of `T` itself, those that all predicates let through are reconciled. */
  predicate(predicate: Predicate<T>): ControllerBuilder<T>;
  /** Objects reconciled at the same time. Default 1. */
  concurrency(count: number): ControllerBuilder<T>;
  /** Calls it for every object that is there. One that is gone needs no call: use a finalizer to clean up. */
  reconcile(reconcile: (request: ReconcileRequest<T>) => Promise<ReconcileResult> | ReconcileResult): Controller;
  /** Calls it for every key, also of objects that are gone. */
  reconcileKey(reconcile: (request: ReconcileKeyRequest) => Promise<ReconcileResult> | ReconcileResult): Controller;
}

interface Source {
  kind: ResourceRef<any>;
  /** Keys to reconcile; none for a kind that is only read. */
  keys?: (object: DeepReadonly<KubeObject>, read: ReadCache) => readonly string[];
  predicates: readonly Predicate<any>[];
  indexers?: Record<string, IndexFunction<any>>;
}

interface Plan {
  name: string;
  concurrency: number;
  sources: readonly Source[];
}

const identityOf = (kind: { group: string; version: string; plural: string }): string =>
  `${kind.group}/${kind.version}/${kind.plural}`;

export function controller<T extends KubeObject>(kind: ResourceRef<T>): ControllerBuilder<T> {
  return builder<T>(kind, {
    name: kind.kind.toLowerCase(),
    concurrency: 1,
    sources: [{ kind, keys: object => [keyOf(object)], predicates: [] }],
  });
}

function builder<T extends KubeObject>(kind: ResourceRef<T>, plan: Plan): ControllerBuilder<T> {
  const next = (change: Partial<Plan>) => builder<T>(kind, { ...plan, ...change });
  const add = (source: Source) => next({ sources: [...plan.sources, source] });
  return {
    named: name => next({ name }),
    concurrency: concurrency => next({ concurrency }),
    predicate: predicate =>
      next({ sources: plan.sources.map((s, i) => (i === 0 ? { ...s, predicates: [...s.predicates, predicate] } : s)) }),
    owns: (owned, { predicate } = {}) =>
      add({ kind: owned, keys: ownerKeys(kind), predicates: predicate ? [predicate] : [] }),
    watches: (watched, map, { predicate } = {}) =>
      add({
        kind: watched,
        keys: (object, read) => mappedKeys(kind, object, map(object as never, read)),
        predicates: predicate ? [predicate] : [],
      }),
    reads: (read, indexers) => add({ kind: read, predicates: [], ...(indexers ? { indexers } : {}) }),
    reconcileKey: reconcile => build(plan, async (_store, request) => reconcile(request)),
    reconcile: reconcile =>
      build<T>(plan, async (store, request) => {
        const cached = store.get(request.key);
        if (!cached) return undefined;
        return reconcile({ ...request, object: mutableCopy<T>(cached) });
      }),
  };
}

/** The key of the controlling owner of a kind, in the object's namespace when the kind has namespaces. */
function ownerKeys(kind: ResourceRef<any>): (object: DeepReadonly<KubeObject>) => readonly string[] {
  return object => {
    const owner = controllerOf(object);
    if (!owner || owner.kind !== kind.kind) return [];
    const slash = owner.apiVersion.indexOf('/');
    if ((slash < 0 ? '' : owner.apiVersion.slice(0, slash)) !== kind.group) return [];
    const { namespace } = object.metadata;
    return [kind.namespaced && namespace ? `${namespace}/${owner.name}` : owner.name];
  };
}

function mappedKeys(kind: ResourceRef<any>, from: DeepReadonly<KubeObject>, mapped: Mapped): readonly string[] {
  if (mapped === undefined) return [];
  const list = typeof mapped === 'string' || !Array.isArray(mapped) ? [mapped as string | ObjectKey] : mapped;
  return list.map(each => {
    const { name, namespace = from.metadata.namespace } =
      typeof each === 'string' ? parseKey(each) : (each as ObjectKey);
    return kind.namespaced && namespace ? `${namespace}/${name}` : name;
  });
}

function build<T extends KubeObject>(
  plan: Plan,
  reconcile: (store: Store<T>, request: ReconcileKeyRequest) => Promise<ReconcileResult>,
): Controller {
  return {
    name: plan.name,
    async run(context) {
      const { informers: factory, client, log, events, clock, signal } = context;
      const queue = controllerQueue(context, plan.name);
      const informers = new Map<string, SharedInformer<any>>();
      for (const { kind, indexers } of plan.sources) {
        informers.set(identityOf(kind), factory.informer(kind, indexers ? { indexers } : {}));
      }
      const store = informers.get(identityOf(plan.sources[0]!.kind))!.store as Store<T>;
      const read: ReadCache = kind => {
        const informer = informers.get(identityOf(kind));
        if (informer) return informer.store;
        throw new Error(`controller "${plan.name}" does not cache ${kind.plural}: add .reads(${kind.kind}) to it`);
      };
      const registrations = plan.sources.map(source =>
        listen(informers.get(identityOf(source.kind))!, source, queue, read),
      );
      await reconcileLoop(
        context,
        {
          name: plan.name,
          queue,
          informers: [...informers.values()],
          concurrency: plan.concurrency,
          reconcile: key =>
            reconcile(store, {
              key,
              namespace: undefined,
              ...parseKey(key),
              client,
              read,
              events,
              clock,
              signal,
              log: log.with({ key }),
            }),
        },
        registrations,
      );
    },
  };
}

function listen(
  informer: SharedInformer<any>,
  { keys, predicates }: Source,
  queue: WorkQueue<string>,
  read: ReadCache,
) {
  if (!keys) return { synced: true, remove() {} };
  const enqueue = (change: ChangeEvent<KubeObject>, ...objects: DeepReadonly<KubeObject>[]) => {
    if (!predicates.every(predicate => predicate(change))) return;
    for (const object of objects) for (const key of keys(object, read)) queue.add(key);
  };
  return informer.addHandler({
    onAdd: (object, initial) => enqueue({ type: 'add', object, initial }, object),
    onUpdate: (previous, object) => enqueue({ type: 'update', object, previous }, previous, object),
    onDelete: object => enqueue({ type: 'delete', object }, object),
  });
}
