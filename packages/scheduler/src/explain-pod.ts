/**
 * Why a pod is where it is, or nowhere, in a cluster as it is now: every node's verdict and score under a profile. For pods that wait, pods that run
 * (as if they were to be placed again), and pods that do not exist. Reads through the API and changes nothing; needs no scheduler to run.
 */
import {
  type Client,
  CSINode,
  type KubeObject,
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
import { type Explanation, explanationOf } from './explain.js';
import { type Profile, profile } from './framework/profile.js';
import { defaultPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { isUsable } from './snapshot/node-info.js';

/** Under which rules. */
export interface ExplainPodOptions {
  /** Default: `defaultPlugins()`. */
  profile?: Profile;
  signal?: AbortSignal;
}

const others: readonly ResourceRef<any>[] = [
  Service,
  ReplicaSet,
  StatefulSet,
  ReplicationController,
  PodDisruptionBudget,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  CSINode,
];

/** A pod by its name, or one that need not exist. @throws StatusError NotFound; whatever reading the cluster throws. */
export async function explainPod(
  client: Client,
  pod: Pod | { namespace: string; name: string },
  options: ExplainPodOptions = {},
): Promise<Explanation> {
  const scope = options.signal ? { signal: options.signal } : {};
  const rules = options.profile ?? profile({ plugins: defaultPlugins() });
  const wanted = 'spec' in pod ? pod : await client.get(Pod, pod, scope);
  const state = new ClusterState();
  const [nodes, pods, namespaces, ...rest] = await Promise.all([
    client.list(Node, scope),
    client.list(Pod, scope),
    client.list(Namespace, scope),
    ...others.map(kind => client.list<KubeObject>(kind, scope)),
  ]);
  for (const { metadata } of namespaces.items) state.setNamespace(metadata.name, metadata.labels ?? {});
  for (const node of nodes.items) {
    state.setNode(node);
    if (isUsable(node)) for (const plugin of rules.plugins) plugin.nodeJoined?.(node.metadata.name);
  }
  for (const each of pods.items) {
    // As if it were not there yet.
    if (each.metadata.uid === wanted.metadata.uid) continue;
    if (each.status.nominatedNodeName && !each.spec.nodeName)
      state.nominate(each.metadata.uid, each, each.status.nominatedNodeName);
    state.setPod(each);
  }
  rest.forEach((list, i) => {
    // Items of a list need not say what they are.
    for (const item of list.items) state.objects.set({ ...item, kind: others[i]!.kind });
  });
  const { nodeName: _node, ...spec } = wanted.spec;
  const { nominatedNodeName: _nominated, ...status } = wanted.status ?? {};
  return explanationOf(schedule({ ...wanted, spec, status }, state, rules, { allNodes: true }));
}
