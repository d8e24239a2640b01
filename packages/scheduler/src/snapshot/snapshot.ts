/**
 * The world as one decision sees it, and the cache that makes it.
 *
 * The cache holds nodes and the pods on them. A placement that is decided but not yet confirmed by a watch event is
 * *assumed*: it counts at once, so that the next decision cannot use the same room twice. An assumed pod is confirmed by
 * its informer event, or forgotten when binding failed.
 */
import type { Node, Pod } from '@orbitkit/core';
import { type NodeInfo, nodeInfo } from './node-info.js';

export interface Snapshot {
  /** In the order of node names. */
  readonly nodes: readonly NodeInfo[];
  get(name: string): NodeInfo | undefined;
  /** Labels of a namespace; empty when it is not known. */
  namespaceLabels(name: string): Readonly<Record<string, string>>;
}

export function snapshotOf(
  nodes: readonly Node[],
  pods: readonly Pod[] = [],
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(),
): Snapshot {
  const cache = schedulerCache();
  for (const node of nodes) cache.setNode(node);
  for (const pod of pods) cache.setPod(pod);
  for (const [name, labels] of namespaces) cache.setNamespace(name, labels);
  return cache.snapshot();
}

/** Pods that ended hold no resources. */
const isTerminal = (pod: Pod): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

export interface SchedulerCache {
  setNode(node: Node): void;
  removeNode(name: string): void;
  /** A pod as the API has it; it counts where `spec.nodeName` says. */
  setPod(pod: Pod): void;
  removePod(uid: string): void;
  assume(pod: Pod, node: string): void;
  forget(uid: string): void;
  isAssumed(uid: string): boolean;
  setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void;
  snapshot(): Snapshot;
}

export function schedulerCache(): SchedulerCache {
  const nodes = new Map<string, Node>();
  const placed = new Map<string, { pod: Pod; node: string; assumed: boolean }>();
  const byNode = new Map<string, Map<string, Pod>>();
  const infos = new Map<string, NodeInfo>();
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  let order: string[] | undefined;

  function take(uid: string): void {
    const known = placed.get(uid);
    if (!known) return;
    placed.delete(uid);
    const pods = byNode.get(known.node);
    pods?.delete(uid);
    if (pods?.size === 0) byNode.delete(known.node);
    infos.delete(known.node);
  }

  function put(pod: Pod, node: string, assumed: boolean): void {
    take(pod.metadata.uid);
    placed.set(pod.metadata.uid, { pod, node, assumed });
    let pods = byNode.get(node);
    if (!pods) {
      pods = new Map();
      byNode.set(node, pods);
    }
    pods.set(pod.metadata.uid, pod);
    infos.delete(node);
  }

  const infoOf = (name: string): NodeInfo | undefined => {
    const node = nodes.get(name);
    if (!node) return undefined;
    let info = infos.get(name);
    if (!info) {
      info = nodeInfo(node, [...(byNode.get(name)?.values() ?? [])]);
      infos.set(name, info);
    }
    return info;
  };

  return {
    setNode(node) {
      if (!nodes.has(node.metadata.name)) order = undefined;
      nodes.set(node.metadata.name, node);
      infos.delete(node.metadata.name);
    },
    removeNode(name) {
      if (nodes.delete(name)) order = undefined;
      infos.delete(name);
    },
    setPod(pod) {
      const known = placed.get(pod.metadata.uid);
      if (isTerminal(pod)) take(pod.metadata.uid);
      else if (pod.spec.nodeName) put(pod, pod.spec.nodeName, false);
      else if (!known?.assumed) take(pod.metadata.uid);
    },
    removePod: take,
    assume: (pod, node) => put(pod, node, true),
    forget(uid) {
      if (placed.get(uid)?.assumed) take(uid);
    },
    isAssumed: uid => placed.get(uid)?.assumed ?? false,
    setNamespace(name, labels) {
      if (labels) namespaces.set(name, labels);
      else namespaces.delete(name);
    },
    snapshot() {
      order ??= [...nodes.keys()].sort();
      const list = order.map(name => infoOf(name)!);
      const byName = new Map(list.map(info => [info.name, info]));
      const labels = new Map(namespaces);
      return { nodes: list, get: name => byName.get(name), namespaceLabels: name => labels.get(name) ?? {} };
    },
  };
}
