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
import { isReady, isUsable } from '../snapshot/node-info.js';

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

const isTerminal = (pod: Pod): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
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
      listener.notice({ type: 'NodeAdd', after: node });
    },
    onUpdate(old, now) {
      const [before, after] = [plain<Node>(old), plain<Node>(now)];
      state.setNode(after);
      if (isUsable(before) !== isUsable(after))
        (isUsable(after) ? listener.joined : listener.left)(after.metadata.name);
      for (const type of nodeChanges(before, after)) listener.notice({ type, before, after });
    },
    onDelete(node) {
      state.removeNode(node.metadata.name);
      listener.left(node.metadata.name);
    },
  });
  namespaces.addHandler({
    onAdd: namespace => state.setNamespace(namespace.metadata.name, namespace.metadata.labels ?? {}),
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
      state.removePod(pod.metadata.uid);
      listener.settled(pod);
      if (pod.spec.nodeName && !isTerminal(pod)) listener.notice({ type: 'PodDelete', before: pod });
    },
  });

  function seen(pod: Pod, before: Pod | undefined): void {
    state.setPod(pod);
    if (!pod.spec.nodeName && !isTerminal(pod) && !pod.metadata.deletionTimestamp) {
      listener.pending(pod);
      return;
    }
    listener.settled(pod);
    if (!pod.spec.nodeName) return;
    if (isTerminal(pod)) {
      if (before && !isTerminal(before)) listener.notice({ type: 'PodDelete', before, after: pod });
    } else if (!before?.spec.nodeName) listener.notice({ type: 'PodAdd', after: pod });
    else if (!same(before.metadata.labels, pod.metadata.labels))
      listener.notice({ type: 'PodLabel', before, after: pod });
    else if (pod.metadata.deletionTimestamp && !before.metadata.deletionTimestamp)
      listener.notice({ type: 'PodLabel', before, after: pod });
  }

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

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What a changed node may mean to pods that wait. */
export function nodeChanges(before: Node, after: Node): ClusterEventType[] {
  const types: ClusterEventType[] = [];
  if (!same(before.status.allocatable, after.status.allocatable)) types.push('NodeAllocatable');
  if (!same(before.metadata.labels, after.metadata.labels)) types.push('NodeLabel');
  if (!same([before.spec.taints, before.spec.unschedulable], [after.spec.taints, after.spec.unschedulable]))
    types.push('NodeTaint');
  if (isReady(before) !== isReady(after)) types.push('NodeReady');
  return types;
}
