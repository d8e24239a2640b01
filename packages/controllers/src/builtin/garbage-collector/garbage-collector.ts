/**
 * Deletes what lost its last owner, over all kinds that the server has, custom kinds included.
 *
 * - Background: the owner goes at once, its dependents follow. Foreground: the owner stays until every dependent with
 *   `blockOwnerDeletion` is gone. Orphan: dependents lose the reference and stay.
 * - An object with several owners goes with the last of them; references to owners that are gone are removed.
 * - That an owner is absent is verified live before anything is deleted; so is the object itself.
 * - Watches metadata only. Kinds are discovered again every 30 seconds, and when an owner is of one that is not known.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/garbagecollector`.
 */
import {
  type DiscoveredKind,
  discoverKinds,
  isNotFound,
  type KindResolver,
  type PartialObjectMetadata,
  type ResourceRef,
} from '@orbitkit/core';
import { sharedInformer } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { periodically } from '../../periodically.js';
import { controllerQueue, reconcileLoop } from '../../reconcile-loop.js';
import { together } from '../../together.js';
import { Collector } from './collector.js';
import { metadataClient } from './metadata-client.js';
import { type Attention, OwnerGraph } from './owner-graph.js';

/** Everything has a default; times are in milliseconds. */
export interface GarbageCollectorOptions {
  /** Objects looked at at the same time. Default 20 (`--concurrent-gc-syncs`). */
  concurrency?: number;
  /** How often to ask which kinds there are. Default 30 s. */
  discoveryPeriodMs?: number;
  /** How long to wait for the first lists of all kinds before the ones that are there are worked on. Default 30 s. */
  syncTimeoutMs?: number;
}

const name = 'garbage-collector-controller';
/** Owners of kinds that nobody serves do not make it ask more often. */
const leastDiscoveryMs = 1_000;

/** The garbage collector as a controller. */
export function garbageCollector(options: GarbageCollectorOptions = {}): Controller {
  const { concurrency = 20, discoveryPeriodMs = 30_000, syncTimeoutMs = 30_000 } = options;
  return {
    name,
    async run(context) {
      const { client } = context;
      const graph = new OwnerGraph();
      const looks = controllerQueue(context, 'garbage_collector_attempt_to_delete');
      const orphans = controllerQueue(context, 'garbage_collector_attempt_to_orphan');
      const attend = ({ look, orphan }: Attention) => {
        for (const uid of look) looks.add(uid);
        for (const uid of orphan) orphans.add(uid);
      };
      const reader = metadataClient(client.transport);
      let resolver: KindResolver = await discoverKinds(client.transport);
      let discoveredAt = context.clock.now();
      const watched = new WatchedKinds(context, reader, graph, attend);
      /** An owner of a kind that was not watched yet may have gone unseen: what names it is looked at once it is. */
      const watchAll = async () => {
        if (await watched.update(resolver, syncTimeoutMs)) for (const uid of graph.withUnknownOwner()) looks.add(uid);
      };
      let discovery: Promise<void> | undefined;
      const discover = () => {
        discovery ??= (async () => {
          resolver = await discoverKinds(client.transport);
          discoveredAt = context.clock.now();
          await watchAll();
        })().finally(() => {
          discovery = undefined;
        });
        return discovery;
      };
      const collector = new Collector({
        context,
        reader,
        graph,
        resolver: () => resolver,
        look: uid => looks.add(uid),
        gone: uid => attend(graph.remove(uid)),
      });
      /** An owner's kind may be younger than the last discovery: its definition has just been made. */
      const look = async (uid: string) => {
        try {
          await collector.look(uid);
        } catch (error) {
          if (!isNotFound(error) || context.clock.now() - discoveredAt < leastDiscoveryMs) throw error;
          await discover();
          await collector.look(uid);
        }
      };
      try {
        await watchAll();
        const loop = { name, informers: [], concurrency };
        await together(
          context,
          part => reconcileLoop(part, { ...loop, queue: looks, reconcile: look }, []),
          part => reconcileLoop(part, { ...loop, queue: orphans, reconcile: uid => collector.orphan(uid) }, []),
          part => periodically(part, discoveryPeriodMs, discover),
        );
      } finally {
        watched.stop();
        await watched.stopped;
      }
    },
  };
}

/** Kinds whose objects come and go by the thousand and own nothing. */
const isIgnored = ({ group, plural }: ResourceRef): boolean =>
  plural === 'events' && (group === '' || group === 'events.k8s.io');

/** One metadata informer for each kind that can be deleted. */
class WatchedKinds {
  readonly #watches = new Map<string, { stop: AbortController; done: Promise<void> }>();

  constructor(
    private readonly context: ControllerContext,
    private readonly reader: ReturnType<typeof metadataClient>,
    private readonly graph: OwnerGraph,
    private readonly attend: (attention: Attention) => void,
  ) {}

  /** Watches what is new and gives up what the server has no more. Resolves when the new ones have their first list; false when there are none. */
  async update({ kinds, failedGroups }: KindResolver, timeoutMs: number): Promise<boolean> {
    const wanted = new Map<string, DiscoveredKind>();
    for (const kind of kinds) {
      // A kind in several versions is one: the first is the server's preferred one.
      const key = `${kind.group}/${kind.plural}`;
      const usable = ['list', 'watch', 'delete'].every(verb => kind.verbs.includes(verb));
      if (usable && !isIgnored(kind) && !wanted.has(key)) wanted.set(key, kind);
    }
    for (const [key, { stop }] of this.#watches) {
      // A group that cannot be read at the moment still has its objects.
      const group = key.slice(0, key.lastIndexOf('/'));
      const unreadable = [...failedGroups.keys()].some(each => each === group || each.startsWith(`${group}/`));
      if (wanted.has(key) || unreadable) continue;
      stop.abort(new Error('the kind is gone'));
      this.#watches.delete(key);
    }
    const added = [...wanted].filter(([key]) => !this.#watches.has(key));
    await Promise.all(added.map(([key, kind]) => this.#watch(key, kind, timeoutMs)));
    return added.length > 0;
  }

  async #watch(key: string, kind: DiscoveredKind, timeoutMs: number): Promise<void> {
    const { clock, log, metrics, signal } = this.context;
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal.reason);
    // Discovery may have ended after the stop: an event that has passed does not come again.
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const ref = kind as ResourceRef<PartialObjectMetadata>;
    const informer = sharedInformer<PartialObjectMetadata>({ client: this.reader, kind: ref, clock, log, metrics });
    informer.addHandler({
      onAdd: object => this.attend(this.graph.observe(kind, object)),
      onUpdate: (_, object) => this.attend(this.graph.observe(kind, object)),
      onDelete: object => this.attend(this.graph.remove(object.metadata.uid)),
    });
    const done = informer.run({ signal: stop.signal }).finally(() => {
      signal.removeEventListener('abort', onAbort);
      // Of a kind that is gone, all objects are.
      if (!signal.aborted)
        for (const object of informer.store.list()) this.attend(this.graph.remove(object.metadata.uid));
    });
    this.#watches.set(key, { stop, done });
    try {
      await informer.waitForSync({ signal: stop.signal, timeoutMs });
    } catch (error) {
      if (!signal.aborted)
        log.warn('a kind is not watched yet; its objects are not collected', { kind: kind.kind, error });
    }
  }

  stop(): void {
    for (const { stop } of this.#watches.values()) stop.abort(new Error('the garbage collector stops'));
  }

  get stopped(): Promise<unknown> {
    return Promise.allSettled(Array.from(this.#watches.values(), ({ done }) => done));
  }
}
