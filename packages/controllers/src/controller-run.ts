/**
 * Runs what a controller builder planned: in each cluster the caches and a client that shows them its own writes, over all clusters one queue and
 * its workers.
 *
 * A cluster that cannot be reached keeps the others from nothing: its objects come when its caches are filled. With a single cluster the controller
 * is ready when they are.
 */
import {
  type Client,
  type Clock,
  controllerOf,
  type KubeObject,
  keyOf,
  parseKey,
  type ResourceRef,
} from '@orbitkit/core';
import {
  type DeepReadonly,
  type HandlerRegistration,
  type IndexFunction,
  lowPriority,
  type RateLimiter,
  type SharedInformer,
  type WorkQueue,
} from '@orbitkit/informer';
import type { ClusterContext, ControllerContext, Events } from './controller.js';
import type { Mapped } from './controller-builder.js';
import type { ChangeEvent, Predicate } from './predicates.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from './reconcile-loop.js';
import type { ReadCache, ReconcileKeyRequest } from './reconcile-request.js';
import { recordingClient } from './recording-client.js';
import { WrittenStore } from './written-store.js';

export interface Source {
  kind: ResourceRef<any>;
  role: 'for' | 'owned' | 'watched' | 'read';
  /** What its changes reconcile. Absent: itself, or for what is only read, nothing. */
  keys?: (object: DeepReadonly<KubeObject>, read: ReadCache) => Mapped;
  predicates: readonly Predicate<any>[];
  indexers?: Record<string, IndexFunction<any>>;
}

export interface Plan {
  name: string;
  concurrency: number;
  /** The first is what the controller is for. */
  sources: readonly Source[];
  rateLimiter?: (clock: Clock) => RateLimiter<string>;
  resyncMs?: number;
}

/** The plan in one cluster. */
interface Place {
  cluster: string;
  /** Aborted when the cluster is removed. */
  signal: AbortSignal;
  registrations: HandlerRegistration[];
  client: Client;
  events: Events;
  read: ReadCache;
  informers: ReadonlyMap<string, SharedInformer<any>>;
}

/** For the first caches of one cluster among several. */
const clusterSyncMs = 30_000;

export const identityOf = (kind: { group: string; version: string; plural: string }): string =>
  `${kind.group}/${kind.version}/${kind.plural}`;

/** The key of the controlling owner of a kind, in the object's namespace when the kind has namespaces. */
export function ownerKeys(kind: ResourceRef<any>): (object: DeepReadonly<KubeObject>) => Mapped {
  return object => {
    const owner = controllerOf(object);
    if (!owner || owner.kind !== kind.kind) return [];
    const slash = owner.apiVersion.indexOf('/');
    if ((slash < 0 ? '' : owner.apiVersion.slice(0, slash)) !== kind.group) return [];
    return { name: owner.name };
  };
}

export async function runPlan(
  plan: Plan,
  reconcile: (request: ReconcileKeyRequest) => Promise<ReconcileResult>,
  context: ControllerContext,
): Promise<void> {
  const { log, clock, leadership } = context;
  const several = context.clusters !== undefined;
  const places = new Map<string, Place>();
  const queue = controllerQueue(context, plan.name, plan.rateLimiter);
  const keyIn = (cluster: string, key: string) => (several ? `${cluster}|${key}` : key);
  const placeOf = (key: string): [Place | undefined, string] => {
    const bar = several ? key.indexOf('|') : -1;
    return [places.get(key.slice(0, Math.max(0, bar))), key.slice(bar + 1)];
  };
  const listenIn = (place: Place) => {
    if (place.signal.aborted) return;
    for (const source of plan.sources) {
      if (source.role !== 'read') place.registrations.push(listen(plan, source, place, queue, keyIn));
    }
  };
  const add = (name: string, cluster: ClusterContext): Place => {
    const place = placeIn(plan, name, cluster, context);
    places.set(name, place);
    return place;
  };
  const remove = (name: string) => {
    for (const registration of places.get(name)?.registrations ?? []) registration.remove();
    places.delete(name);
  };
  for (const [name, cluster] of context.clusters ?? [['', context] as const]) add(name, cluster);
  const informers = [...places.values()].flatMap(place => [...place.informers.values()]);
  const work = () =>
    reconcileLoop(
      context,
      {
        name: plan.name,
        queue,
        informers: several ? [] : informers,
        concurrency: plan.concurrency,
        async reconcile(key) {
          const [place, objectKey] = placeOf(key);
          // Its cluster was removed since.
          if (!place) return undefined;
          const { cluster, client, read, events, signal } = place;
          try {
            return await reconcile({
              key: objectKey,
              namespace: undefined,
              ...parseKey(objectKey),
              cluster,
              client,
              read,
              events,
              clock,
              signal,
              term: leadership?.term,
              log: log.with({ key }),
              inCluster(name) {
                const other = places.get(name);
                if (!other)
                  throw new Error(`there is no cluster "${name}"; there are: ${[...places.keys()].join(', ')}`);
                return other;
              },
            });
          } catch (error) {
            if (signal.aborted && !context.signal.aborted) return undefined;
            throw error;
          }
        },
      },
      [],
    );
  const resync = resyncing(plan, context, () => {
    for (const { cluster, read } of places.values())
      for (const key of read(plan.sources[0]!.kind).keys()) queue.add(keyIn(cluster, key), { priority: lowPriority });
  });
  const endChanges = context.onClusterChange?.((name, cluster) => {
    remove(name);
    if (!cluster) return;
    const place = add(name, cluster);
    void follow(place, context, () => listenIn(place)).catch(() => {});
  });
  try {
    if (several) await Promise.all(Array.from(places.values(), place => follow(place, context, () => listenIn(place))));
    else for (const place of places.values()) listenIn(place);
    await work();
  } finally {
    endChanges?.();
    for (const name of [...places.keys()]) remove(name);
    resync.cancel();
  }
}

function placeIn(
  plan: Plan,
  cluster: string,
  { client, informers: factory, events, signal }: ClusterContext,
  { clock }: ControllerContext,
): Place {
  const informers = new Map<string, SharedInformer<any>>();
  const stores = new Map<string, WrittenStore<any>>();
  for (const { kind } of plan.sources) {
    const identity = identityOf(kind);
    if (informers.has(identity)) continue;
    const indexers: Record<string, IndexFunction<any>> = Object.assign(
      {},
      ...plan.sources.filter(source => identityOf(source.kind) === identity).map(source => source.indexers),
    );
    const informer = factory.informer(kind, { indexers });
    informers.set(identity, informer);
    stores.set(identity, new WrittenStore(informer, indexers, clock));
  }
  const read: ReadCache = kind => {
    const store = stores.get(identityOf(kind));
    if (store) return store;
    throw new Error(`controller "${plan.name}" does not cache ${kind.plural}: add .reads(${kind.kind}) to it`);
  };
  const recording = recordingClient(client, kind => stores.get(identityOf(kind)));
  return { cluster, signal, registrations: [], client: recording, events, read, informers };
}

/**
 * Listens when the cluster's caches are filled, however long that takes. Resolves when they are, when they were waited for long enough, or when the
 * cluster was removed.
 */
async function follow(place: Place, context: ControllerContext, listenIn: () => void): Promise<void> {
  const { log, clock } = context;
  const { signal, cluster } = place;
  const attempt = () =>
    Promise.all(
      Array.from(place.informers.values(), each => each.waitForSync({ signal, timeoutMs: clusterSyncMs })),
    ).then(listenIn);
  const goOn = async () => {
    while (!signal.aborted) {
      try {
        return await attempt();
      } catch (error) {
        if (signal.aborted) return;
        log.warn('a cluster cannot be reached; the others are served', { cluster, error });
        await clock.sleep(1_000, signal).catch(() => {});
      }
    }
  };
  try {
    await attempt();
  } catch (error) {
    context.signal.throwIfAborted();
    if (signal.aborted) return;
    log.warn('a cluster cannot be reached; the others are served', { cluster, error });
    void goOn();
  }
}

function listen(
  plan: Plan,
  { kind, keys, predicates }: Source,
  { cluster, read, informers }: Place,
  queue: WorkQueue<string>,
  keyIn: (cluster: string, key: string) => string,
): HandlerRegistration {
  const target = plan.sources[0]!.kind;
  const keysOf = (object: DeepReadonly<KubeObject>): readonly string[] =>
    keys ? mappedKeys(target, cluster, object, keys(object, read), keyIn) : [keyIn(cluster, keyOf(object))];
  const enqueue = (change: ChangeEvent<KubeObject>, ...objects: DeepReadonly<KubeObject>[]) => {
    if (!predicates.every(predicate => predicate(change))) return;
    // What was there already waits behind what changes now.
    const priority = change.type === 'add' && change.initial ? lowPriority : 0;
    for (const object of objects) for (const key of keysOf(object)) queue.add(key, { priority });
  };
  return informers.get(identityOf(kind))!.addHandler({
    onAdd: (object, initial) => enqueue({ type: 'add', object, initial }, object),
    onUpdate: (previous, object) => enqueue({ type: 'update', object, previous }, previous, object),
    onDelete: object => enqueue({ type: 'delete', object }, object),
  });
}

function mappedKeys(
  kind: ResourceRef<any>,
  from: string,
  object: DeepReadonly<KubeObject>,
  mapped: Mapped,
  keyIn: (cluster: string, key: string) => string,
): readonly string[] {
  if (mapped === undefined) return [];
  const list = Array.isArray(mapped) ? mapped : [mapped];
  return list.map(each => {
    const {
      name,
      namespace = object.metadata.namespace,
      cluster = from,
    } = typeof each === 'string' ? { ...parseKey(each), cluster: from } : each;
    return keyIn(cluster, kind.namespaced && namespace ? `${namespace}/${name}` : name);
  });
}

function resyncing({ resyncMs }: Plan, { clock, signal }: ControllerContext, again: () => void): { cancel(): void } {
  if (resyncMs === undefined) return { cancel() {} };
  const next = () =>
    clock.setTimer(resyncMs, () => {
      if (signal.aborted) return;
      again();
      timer = next();
    });
  let timer = next();
  return { cancel: () => timer.cancel() };
}
