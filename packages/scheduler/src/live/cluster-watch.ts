/** Informers → cluster state, with a word to the queue about everything that may help a pod that waits. */
import {
  type Client,
  type Clock,
  CSINode,
  type KubeObject,
  type Logger,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  type ResourceRef,
  Service,
  StatefulSet,
  StorageClass,
} from '@orbitkit/core';
import { type DeepReadonly, type SharedInformer, sharedInformer } from '@orbitkit/informer';
import type { ClusterEvent, ClusterEventType } from '../framework/event.js';
import type { ClusterState } from '../snapshot/cluster-state.js';
import { isUsable } from '../snapshot/node-info.js';
import { isTerminal, nodeEvents, podEvents, same } from './cluster-events.js';

/** What the cluster's changes mean to the scheduler. */
export interface ClusterListener {
  /** A pod that waits for a node, new or changed. */
  pending(pod: Pod): void;
  /** It has a node, ended, or is gone. */
  settled(pod: Pod): void;
  notice(event: ClusterEvent): void;
  /** A node became usable, or stopped being so. */
  joined(name: string): void;
  left(name: string): void;
}

export interface ClusterWatchOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  state: ClusterState;
  listener: ClusterListener;
}

export interface ClusterWatch {
  /** Nodes, namespaces and pods are known; the rest too, or it has not come within five seconds. */
  synced(): Promise<void>;
  /** Ends with the signal. */
  readonly ended: Promise<unknown>;
}

const others: readonly [ResourceRef<any>, ClusterEventType | undefined][] = [
  [Service, undefined],
  [ReplicaSet, undefined],
  [StatefulSet, undefined],
  [ReplicationController, undefined],
  [PodDisruptionBudget, undefined],
  [PersistentVolume, 'PersistentVolume'],
  [PersistentVolumeClaim, 'PersistentVolumeClaim'],
  [StorageClass, 'StorageClass'],
  [CSINode, 'CSINode'],
];
const othersSyncMs = 5_000;

// Plugins see the cache's own objects under their plain type; they are pure and change nothing.
const plain = <T>(object: DeepReadonly<T>): T => object as T;

export function watchCluster({ client, clock, log, signal, state, listener }: ClusterWatchOptions): ClusterWatch {
  const nodes = sharedInformer({ client, kind: Node, clock });
  const namespaces = sharedInformer({ client, kind: Namespace, clock });
  const pods = sharedInformer({ client, kind: Pod, clock });

  nodes.addHandler({
    onAdd(added) {
      const node = plain<Node>(added);
      state.setNode(node);
      if (isUsable(node)) listener.joined(node.metadata.name);
      tellAll(nodeEvents(undefined, node));
    },
    onUpdate(old, now) {
      const [before, after] = [plain<Node>(old), plain<Node>(now)];
      state.setNode(after);
      if (isUsable(before) !== isUsable(after))
        (isUsable(after) ? listener.joined : listener.left)(after.metadata.name);
      tellAll(nodeEvents(before, after));
    },
    onDelete(node) {
      state.removeNode(node.metadata.name);
      listener.left(node.metadata.name);
      tellAll(nodeEvents(plain<Node>(node), undefined));
    },
  });
  namespaces.addHandler({
    onAdd(namespace) {
      state.setNamespace(namespace.metadata.name, namespace.metadata.labels ?? {});
      listener.notice({ type: 'NamespaceLabel', after: plain<Namespace>(namespace) });
    },
    onUpdate(before, after) {
      if (same(before.metadata.labels, after.metadata.labels)) return;
      state.setNamespace(after.metadata.name, after.metadata.labels ?? {});
      listener.notice({ type: 'NamespaceLabel', before: plain<Namespace>(before), after: plain<Namespace>(after) });
    },
    onDelete: namespace => state.setNamespace(namespace.metadata.name, undefined),
  });
  pods.addHandler({
    onAdd: pod => seen(plain<Pod>(pod), undefined),
    onUpdate: (before, after) => seen(plain<Pod>(after), plain<Pod>(before)),
    onDelete(deleted) {
      const pod = plain<Pod>(deleted);
      const kept = state.nominationOf(pod.metadata.uid);
      state.removePod(pod.metadata.uid);
      listener.settled(pod);
      tellAll(podEvents(pod, undefined));
      released(pod, kept);
    },
  });

  function seen(pod: Pod, before: Pod | undefined): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const kept = state.nominationOf(uid);
    state.setPod(pod);
    const bound = pod.spec.nodeName;
    if (bound || (before?.status.nominatedNodeName && !pod.status.nominatedNodeName)) state.nominate(uid, undefined);
    if (!bound && !isTerminal(pod) && !deletionTimestamp) listener.pending(pod);
    else listener.settled(pod);
    tellAll(podEvents(before, pod));
    released(pod, kept);
  }

  /** Room that was kept for the pod on a node where it is not: others may have it. */
  function released(pod: Pod, kept: string | undefined): void {
    const { uid } = pod.metadata;
    if (kept === undefined || kept === state.nominationOf(uid) || kept === state.nodeOf(uid)) return;
    listener.notice({ type: 'PodDelete', before: pod, node: kept });
  }

  const tellAll = (events: readonly ClusterEvent[]): void => {
    for (const event of events) listener.notice(event);
  };

  const rest = others.map(([kind, type]) => {
    const informer = sharedInformer<KubeObject>({ client, kind, clock });
    const tell = (before: KubeObject | undefined, after: KubeObject | undefined): void => {
      if (type) listener.notice({ type, ...(before ? { before } : {}), ...(after ? { after } : {}) });
    };
    informer.addHandler({
      onAdd(object) {
        state.objects.set(plain<KubeObject>(object));
        tell(undefined, plain<KubeObject>(object));
      },
      onUpdate(before, after) {
        state.objects.set(plain<KubeObject>(after));
        tell(plain<KubeObject>(before), plain<KubeObject>(after));
      },
      onDelete(object) {
        state.objects.remove(plain<KubeObject>(object));
        tell(plain<KubeObject>(object), undefined);
      },
    });
    return informer;
  });

  const main: readonly SharedInformer<any>[] = [nodes, namespaces, pods];
  const running = [...main, ...rest].map(informer => informer.run({ signal }));
  return {
    async synced() {
      for (const informer of main) await informer.waitForSync({ signal });
      const late = await Promise.all(
        rest.map(async informer => {
          try {
            await informer.waitForSync({ signal, timeoutMs: othersSyncMs });
          } catch {
            return informer.kind.plural;
          }
          return undefined;
        }),
      );
      signal.throwIfAborted();
      const missing = late.filter(each => each !== undefined);
      if (missing.length > 0) log.warn('going on without what could not be read yet', { missing });
    },
    ended: Promise.allSettled(running),
  };
}
