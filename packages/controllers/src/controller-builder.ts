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
 * one call, and a call may find nothing to do. What `read` returns may lag behind what others wrote, never behind what the controller itself wrote
 * through its request's `client`.
 */
import { type Clock, isQualifiedName, type KubeObject, type ObjectKey, type ResourceRef } from '@orbitkit/core';
import { type DeepReadonly, type IndexFunction, mutableCopy, type RateLimiter } from '@orbitkit/informer';
import type { Controller } from './controller.js';
import { identityOf, ownerKeys, type Plan, runPlan, type Source } from './controller-run.js';
import { milliseconds } from './duration.js';
import { type Finalizer, settleFinalizers } from './finalizing.js';
import type { Predicate } from './predicates.js';
import type { ReconcileResult } from './reconcile-loop.js';
import { type ReadCache, type ReconcileKeyRequest, type ReconcileRequest, requestOf } from './reconcile-request.js';

export { generationChanged, type Predicate } from './predicates.js';
export type { ReadCache, ReconcileKeyRequest, ReconcileRequest } from './reconcile-request.js';

/** Names one object; in the cluster of the object that changed unless it names another. */
export interface MappedKey extends ObjectKey {
  cluster?: string;
}

/** What a change of another object means: names in its namespace, `namespace/name` keys, or nothing. */
export type Mapped = string | MappedKey | undefined | readonly (string | MappedKey)[];

/** Every call gives a new builder: one can be the ground of several controllers. */
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
  /** How long failed objects wait. Made anew for each run of the controller. Default `controllerRateLimiter`: 5 ms doubled up to 1000 s, 10 a second. */
  rateLimiter(make: (clock: Clock) => RateLimiter<string>): ControllerBuilder<T>;
  /** Reconciles every object again so often, with low priority, whether or not something changed. Default: never. */
  resync(period: string | number): ControllerBuilder<T>;
  /**
   * Holds an object that is deleted until `cleanup` has returned (nothing; `requeueAfter`: not yet). It is put on every object before that is reconciled;
   * with a finalizer, `reconcile` is not called for objects on their way out. Only with `reconcile`.
   */
  finalizer(name: string, cleanup: Finalizer<T>['cleanup']): ControllerBuilder<T>;
  /** Calls it for every object that is there. One that is gone needs no call: use a finalizer to clean up. */
  reconcile(reconcile: (request: ReconcileRequest<T>) => Promise<ReconcileResult> | ReconcileResult): Controller;
  /** Calls it for every key, also of objects that are gone. */
  reconcileKey(reconcile: (request: ReconcileKeyRequest) => Promise<ReconcileResult> | ReconcileResult): Controller;
}

/** A builder for controllers of this kind. Default name: the kind in lower case; one key at a time. */
export function controller<T extends KubeObject>(kind: ResourceRef<T>): ControllerBuilder<T> {
  return builder<T>(kind, [], {
    name: kind.kind.toLowerCase(),
    concurrency: 1,
    sources: [{ kind, role: 'for', predicates: [] }],
  });
}

function builder<T extends KubeObject>(
  kind: ResourceRef<T>,
  finalizers: readonly Finalizer<T>[],
  plan: Plan,
): ControllerBuilder<T> {
  const next = (change: Partial<Plan>) => builder<T>(kind, finalizers, { ...plan, ...change });
  const add = (source: Source) => next({ sources: [...plan.sources, source] });
  const build = (reconcile: Parameters<typeof runPlan>[1]): Controller => ({
    name: plan.name,
    acrossClusters: true,
    run: context => runPlan(plan, reconcile, context),
  });
  return {
    named: name => next({ name }),
    concurrency: concurrency => next({ concurrency }),
    rateLimiter: rateLimiter => next({ rateLimiter }),
    resync: period => next({ resyncMs: milliseconds(period) }),
    finalizer(name, cleanup) {
      if (!isQualifiedName(name) || !name.includes('/'))
        throw new Error(`finalizer "${name}": a name with a domain is required, such as example.com/bucket`);
      return builder<T>(kind, [...finalizers, { name, cleanup }], plan);
    },
    predicate: predicate =>
      next({ sources: plan.sources.map((s, i) => (i === 0 ? { ...s, predicates: [...s.predicates, predicate] } : s)) }),
    owns: (owned, { predicate } = {}) =>
      add({ kind: owned, role: 'owned', keys: ownerKeys(kind), predicates: predicate ? [predicate] : [] }),
    watches: (watched, map, { predicate } = {}) =>
      add({
        kind: watched,
        role: 'watched',
        keys: (object, read) => map(object as never, read),
        predicates: predicate ? [predicate] : [],
      }),
    reads: (read, indexers) => add({ kind: read, role: 'read', predicates: [], ...(indexers ? { indexers } : {}) }),
    reconcileKey(reconcile) {
      if (finalizers.length > 0) throw new Error(`controller "${plan.name}": finalizers need .reconcile()`);
      return build(async request => reconcile(request));
    },
    reconcile(reconcile) {
      const owned = new Set(plan.sources.filter(({ role }) => role === 'owned').map(source => identityOf(source.kind)));
      const own = { name: plan.name, kind, owns: (other: ResourceRef<any>) => owned.has(identityOf(other)) };
      return build(async key => {
        const cached = key.read(kind).get(key.key);
        if (!cached) return undefined;
        const request = requestOf(own, key, mutableCopy<T>(cached));
        if (finalizers.length > 0) {
          const settled = await settleFinalizers(kind, finalizers, request);
          if (!settled.goOn) return settled.result;
        }
        return reconcile(request);
      });
    },
  };
}
