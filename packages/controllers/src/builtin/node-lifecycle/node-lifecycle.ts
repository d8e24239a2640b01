/**
 * Notices nodes that fail and those that come back.
 *
 * - A node that neither renews its lease nor posts its status for the grace period (40 s) becomes Unknown, and its pods
 *   not ready, so that services leave them out.
 * - Nodes that are not ready are tainted: NoSchedule at once, NoExecute within the zone's rate (see zones), whereupon pods
 *   are driven away after their tolerationSeconds (300 s by default of the API). When the node is back the taints go.
 * - Pods whose node object is gone are deleted for good.
 *
 * Detection takes at most the grace period plus one monitor period; with the defaults a pod is running elsewhere after
 * about 40 + 5 + 300 s, with `{ gracePeriodMs: 4_000, monitorPeriodMs: 500, tolerationSeconds: 0 }` after about 5 s.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/nodelifecycle`.
 */
import {
  findCondition,
  formatTime,
  isNotFound,
  type Json,
  jsonEqual,
  keyOf,
  Lease,
  Node,
  Pod,
  setCondition,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { periodically } from '../../periodically.js';
import { byNode, isPodReady, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, reconcileLoop } from '../../reconcile-loop.js';
import { together } from '../../together.js';
import { nodeQuarantineMs, OrphanedPods } from '../pod-garbage-collector/orphaned-pods.js';
import { Evictions } from './evictions.js';
import { Heartbeats } from './heartbeats.js';
import { desiredTaints, outageTaint, readiness } from './node-taints.js';
import { type ZoneOptions, Zones } from './zones.js';

/** Everything has upstream's default; times are in milliseconds but where the name says seconds. */
export interface NodeLifecycleOptions extends ZoneOptions {
  /** How often nodes are judged. Default 5 s (`--node-monitor-period`). */
  monitorPeriodMs?: number;
  /** Silence after which a node is Unknown. Default 40 s (`--node-monitor-grace-period`). */
  gracePeriodMs?: number;
  /** The same for a node that never said anything. Default 60 s (`--node-startup-grace-period`). */
  startupGracePeriodMs?: number;
  /** Pods tolerate an outage of their node at most this long, whatever they say. Default: as they say. */
  tolerationSeconds?: number;
  /** When no node at all is ready, drive no pods away. Default true. */
  haltWhenAllDown?: boolean;
  /** How long a node object must be missing before its pods are deleted. Default 40 s. */
  nodeQuarantineMs?: number;
}

const name = 'node-lifecycle-controller';
const leaseNamespace = 'kube-node-lease';
type NodeView = DeepReadonly<Node>;
const tolerationsOf = (pod: PodView): Json => (pod.spec.tolerations ?? []) as unknown as Json;

/** The controller that judges nodes. */
export function nodeLifecycle(options: NodeLifecycleOptions = {}): Controller {
  const { monitorPeriodMs = 5_000 } = options;
  return {
    name,
    async run(context) {
      const { informers, clock } = context;
      const nodes = informers.informer(Node);
      const leases = informers.informer(Lease, { namespace: leaseNamespace });
      const pods = informers.informer(Pod, { indexers: { byNode } });
      const queue = controllerQueue(context, 'node_lifecycle_controller');
      const evictionQueue = controllerQueue(context, 'taint_eviction_controller');
      const evictions = new Evictions(context, nodes.store, pods.store, options.tolerationSeconds);
      const monitor = new NodeMonitor(context, options, nodes.store, pods.store);
      const hear = (node: NodeView) =>
        monitor.heartbeats.observe(
          node,
          leases.store.get({ namespace: leaseNamespace, name: node.metadata.name }),
          clock.now(),
        );
      const say = (node: NodeView, reason: string, what: string) =>
        context.events.event(node, 'Normal', reason, `Node ${node.metadata.name} event: ${what}`);
      const evictFrom = (node: string) => {
        for (const pod of pods.store.byIndex('byNode', node)) evictionQueue.add(keyOf(pod));
      };
      const hearLease = (lease: DeepReadonly<Lease>) => {
        const node = nodes.store.get(lease.metadata.name);
        if (node) hear(node);
      };
      const registrations = [
        nodes.addHandler({
          onAdd(node) {
            hear(node);
            say(node, 'RegisteredNode', `Registered Node ${node.metadata.name} in Controller`);
            queue.add(node.metadata.name);
            evictFrom(node.metadata.name);
          },
          onUpdate(before, after) {
            hear(after);
            queue.add(after.metadata.name);
            if (before.spec.taints !== after.spec.taints) evictFrom(after.metadata.name);
          },
          onDelete(node) {
            say(node, 'RemovingNode', `Removing Node ${node.metadata.name} from Controller`);
            monitor.forget(node);
            evictions.forgetNode(node.metadata.name);
          },
        }),
        leases.addHandler({ onAdd: hearLease, onUpdate: (_, lease) => hearLease(lease) }),
        pods.addHandler({
          onAdd: pod => evictionQueue.add(keyOf(pod)),
          onUpdate(before, after) {
            const moved = before.spec.nodeName !== after.spec.nodeName;
            if (moved || !jsonEqual(tolerationsOf(before), tolerationsOf(after))) evictionQueue.add(keyOf(after));
          },
        }),
      ];
      const orphans = new OrphanedPods(context, nodes.store, pods.store, options.nodeQuarantineMs ?? nodeQuarantineMs);
      const waitFor = [nodes, leases, pods];
      const loop = { name, informers: waitFor };
      await together(
        context,
        part =>
          reconcileLoop(
            part,
            { ...loop, queue, concurrency: 8, reconcile: key => monitor.reconcile(key) },
            registrations,
          ),
        part =>
          reconcileLoop(
            part,
            { ...loop, queue: evictionQueue, concurrency: 8, reconcile: key => evictions.reconcile(key) },
            [],
          ),
        async part => {
          await Promise.all(waitFor.map(informer => informer.waitForSync({ signal: part.signal })));
          const watching = () => [nodes, leases].every(each => each.state.phase === 'watching');
          const deaf = deafness(context, monitorPeriodMs, watching);
          await periodically(part, monitorPeriodMs, async () => {
            monitor.heartbeats.forgive(deaf(), clock.now());
            monitor.judgeZones();
            for (const node of nodes.store.list()) queue.add(node.metadata.name);
            await orphans.collect();
          });
        },
      );
    },
  };
}

/** Says at each round for how long nothing could be heard since the last: the watch was broken, or the process stood still. */
function deafness({ clock }: ControllerContext, periodMs: number, watching: () => boolean): () => number {
  let last = clock.now();
  let wasWatching = true;
  return () => {
    const now = clock.now();
    const elapsed = now - last;
    const deaf = watching() && wasWatching ? 0 : elapsed;
    const stalled = elapsed > 3 * periodMs ? elapsed - periodMs : 0;
    last = now;
    wasWatching = watching();
    return Math.max(deaf, stalled);
  };
}

class NodeMonitor {
  readonly heartbeats = new Heartbeats();
  readonly #zones: Zones;
  /** uids of nodes whose pods were marked when they failed. */
  readonly #marked = new Set<string>();
  #allDown = false;

  constructor(
    private readonly context: ControllerContext,
    private readonly options: NodeLifecycleOptions,
    private readonly nodes: Store<Node>,
    private readonly pods: Store<Pod>,
  ) {
    this.#zones = new Zones(options);
  }

  forget(node: NodeView): void {
    this.heartbeats.forget(node.metadata.uid);
    this.#marked.delete(node.metadata.uid);
  }

  /** Comes before single nodes are judged, so that those which fall silent together are seen together. */
  judgeZones(): void {
    const { log, clock } = this.context;
    const now = clock.now();
    this.#zones.update(this.nodes.list(), node => readiness(node) === 'True' && !this.#isSilent(node, now));
    const allDown = this.#zones.allDown && this.options.haltWhenAllDown !== false;
    if (allDown && !this.#allDown) log.warn('no node is ready: nobody is driven away until one is');
    // Somebody is back: whoever else was silent for the same reason gets time to speak.
    if (!allDown && this.#allDown) this.heartbeats.forgive(Number.MAX_SAFE_INTEGER, clock.now());
    this.#allDown = allDown;
  }

  async reconcile(key: string): Promise<void> {
    const cached = this.nodes.get(key);
    if (!cached) return;
    try {
      const node = (await this.#judge(cached)) ?? cached;
      await this.#taint(node);
      await this.#markPods(node);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #isSilent(node: NodeView, now: number): boolean {
    const spoke = findCondition(node.status.conditions, 'Ready') !== undefined;
    const { gracePeriodMs = 40_000, startupGracePeriodMs = 60_000 } = this.options;
    return this.heartbeats.silenceMs(node, now) > (spoke ? gracePeriodMs : startupGracePeriodMs);
  }

  /** Declares a silent node Unknown. @returns the node as written. */
  async #judge(node: NodeView): Promise<NodeView | undefined> {
    const { clock, client, events, log } = this.context;
    const now = clock.now();
    if (!this.#isSilent(node, now)) return undefined;

    const next = mutableCopy<Node>(node);
    for (const type of ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']) {
      const before = findCondition(node.status.conditions, type);
      if (before?.status === 'Unknown') continue;
      const [reason, message] = before
        ? ['NodeStatusUnknown', 'Kubelet stopped posting node status.']
        : ['NodeStatusNeverUpdated', 'Kubelet never posted node status.'];
      const condition = {
        type,
        status: 'Unknown',
        reason,
        message,
        lastHeartbeatTime: before?.lastHeartbeatTime ?? node.metadata.creationTimestamp,
        lastTransitionTime: formatTime(now),
      };
      next.status.conditions = setCondition(next.status.conditions, condition, now);
    }
    if (JSON.stringify(next.status.conditions) === JSON.stringify(node.status.conditions)) return undefined;
    log.warn('a node is silent', { node: node.metadata.name, silenceMs: this.heartbeats.silenceMs(node, now) });
    const written = await client.updateStatus(Node, next);
    events.event(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`);
    return written;
  }

  async #taint(node: NodeView): Promise<void> {
    const now = this.context.clock.now();
    const outage = outageTaint(node);
    const driven = node.spec.taints?.some(taint => taint.key === outage && taint.effect === 'NoExecute') ?? false;
    const may = outage !== undefined && !this.#allDown && (driven || this.#zones.mayEvict(node, now));
    const taints = desiredTaints(node, this.#allDown ? 'remove' : may ? 'add' : 'keep', now);
    if (taints === node.spec.taints || (taints.length === 0 && !node.spec.taints?.length)) return;
    const { uid, resourceVersion } = node.metadata;
    await this.context.client.patch(Node, node.metadata as { name: string }, {
      type: 'merge',
      patch: { metadata: { uid, resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } },
    });
  }

  /** Nobody reports on the pods of a silent node, so services must learn from here that they are not to be trusted. */
  async #markPods(node: NodeView): Promise<void> {
    const { uid, name: nodeName } = node.metadata;
    const ready = readiness(node);
    if (ready === 'True') {
      this.#marked.delete(uid);
      return;
    }
    // An agent that says of itself that it is not ready goes on reporting its pods: once is enough.
    if (ready === 'False' && this.#marked.has(uid)) return;
    const { clock, client, events } = this.context;
    for (const pod of this.pods.byIndex('byNode', nodeName)) {
      if (!isPodReady(pod)) continue;
      const next = mutableCopy<Pod>(pod);
      const before = findCondition(next.status.conditions, 'Ready')!;
      const condition = { ...before, status: 'False', lastTransitionTime: formatTime(clock.now()) };
      next.status.conditions = setCondition(next.status.conditions, condition, clock.now());
      try {
        await client.updateStatus(Pod, next);
        events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    this.#marked.add(uid);
  }
}
