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
  const { log, clock, signal, leadership } = context;
  const clusters: ReadonlyMap<string, ClusterContext> = context.clusters ?? new Map([['', context]]);
  const several = context.clusters !== undefined;
  const places = new Map([...clusters].map(([name, cluster]) => [name, placeIn(plan, name, cluster, clock)]));
  const queue = controllerQueue(context, plan.name, plan.rateLimiter);
  const keyIn = (cluster: string, key: string) => (several ? `${cluster}|${key}` : key);
  const placeOf = (key: string): [Place, string] => {
    const bar = several ? key.indexOf('|') : -1;
    return [places.get(key.slice(0, Math.max(0, bar)))!, key.slice(bar + 1)];
  };
  const registrations: HandlerRegistration[] = [];
  const listenIn = (place: Place) => {
    for (const source of plan.sources) {
      if (source.role !== 'read') registrations.push(listen(plan, source, place, queue, keyIn));
    }
  };
  const informers = [...places.values()].flatMap(place => [...place.informers.values()]);
  const work = () =>
    reconcileLoop(
      context,
      {
        name: plan.name,
        queue,
        informers: several ? [] : informers,
        concurrency: plan.concurrency,
        reconcile(key) {
          const [{ cluster, client, read, events }, objectKey] = placeOf(key);
          return reconcile({
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
              const place = places.get(name);
              if (!place) throw new Error(`there is no cluster "${name}"; there are: ${[...places.keys()].join(', ')}`);
              return place;
            },
          });
        },
      },
      registrations,
    );
  const resync = resyncing(plan, context, () => {
    for (const { cluster, read } of places.values())
      for (const key of read(plan.sources[0]!.kind).keys()) queue.add(keyIn(cluster, key), { priority: lowPriority });
  });
  try {
    if (several) await Promise.all(Array.from(places.values(), place => follow(place, context, () => listenIn(place))));
    else for (const place of places.values()) listenIn(place);
    await work();
  } finally {
    resync.cancel();
  }
}

function placeIn(
  plan: Plan,
  cluster: string,
  { client, informers: factory, events }: ClusterContext,
  clock: Clock,
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
  return { cluster, client: recording, events, read, informers };
}

/** Listens when the cluster's caches are filled, however long that takes. Resolves when they are, or when they were waited for long enough. */
async function follow(place: Place, { log, signal, clock }: ControllerContext, listenIn: () => void): Promise<void> {
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
        log.warn('a cluster cannot be reached; the others are served', { cluster: place.cluster, error });
        await clock.sleep(1_000, signal).catch(() => {});
      }
    }
  };
  try {
    await attempt();
  } catch (error) {
    if (signal.aborted) throw error;
    log.warn('a cluster cannot be reached; the others are served', { cluster: place.cluster, error });
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
