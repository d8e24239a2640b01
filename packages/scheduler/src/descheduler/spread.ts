/**
 * Evens out what topology spread constraints ask for, and what pods of one owner do by themselves.
 *
 * - `removePodsViolatingTopologySpreadConstraint`: while the fullest domain has more than `maxSkew` pods over the emptiest, one pod of it leaves for the emptiest.
 * - `removeDuplicates`: pods of one owner with the same images leave nodes that have more than their share, for nodes that have less.
 *
 * Source: the documentation of the descheduler's strategies of these names, and of topologySpreadConstraints.
 */
import { type corev1, labelSelectorOf, type Pod, selectsNode, tolerates } from '@orbitkit/core';
import { isUsable, type NodeInfo } from '../snapshot/node-info.js';
import type { DeschedulePass, DescheduleStrategy } from './plan.js';

type Constraint = corev1.TopologySpreadConstraint;

/** Which constraints are evened out. */
export interface SpreadViolationOptions {
  /** Default: DoNotSchedule alone. */
  constraints?: readonly Constraint['whenUnsatisfiable'][];
}

/** The strategy of this name. */
export const removePodsViolatingTopologySpreadConstraint = (
  options: SpreadViolationOptions = {},
): DescheduleStrategy => ({
  name: 'RemovePodsViolatingTopologySpreadConstraint',
  plan(pass) {
    const wanted = options.constraints ?? ['DoNotSchedule'];
    const seen = new Set<string>();
    for (const node of pass.snapshot.nodes)
      for (const pod of node.pods)
        for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
          if (!wanted.includes(constraint.whenUnsatisfiable)) continue;
          const selects = [
            pod.spec.nodeSelector,
            pod.spec.affinity?.nodeAffinity,
            constraint.nodeTaintsPolicy === 'Honor' ? pod.spec.tolerations : [],
          ];
          const values = (constraint.matchLabelKeys ?? []).map(key => pod.metadata.labels?.[key]);
          const key = JSON.stringify([pod.metadata.namespace, constraint, selects, values]);
          if (seen.has(key)) continue;
          seen.add(key);
          level(pass, pod, constraint);
        }
  },
});

/** Evens out one constraint; `pod` stands for those that have it. */
function level(pass: DeschedulePass, pod: Pod, constraint: Constraint): void {
  const { topologyKey, maxSkew } = constraint;
  const domains = new Map<string, NodeInfo[]>();
  for (const node of pass.snapshot.nodes) {
    const value = node.node.metadata.labels?.[topologyKey];
    if (value === undefined || !counts(node, pod, constraint)) continue;
    const there = domains.get(value);
    if (there) there.push(node);
    else domains.set(value, [node]);
  }
  if (domains.size < 2) return;
  const matches = matcherOf(pod, constraint);
  const sizeOf = (nodes: readonly NodeInfo[]): number =>
    nodes.reduce((sum, node) => sum + node.pods.filter(matches).length, 0);
  const stuck = new Set<string>();
  for (;;) {
    const sizes = [...domains].map(([name, nodes]) => ({ name, nodes, size: sizeOf(nodes) }));
    sizes.sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
    const [fullest, emptiest] = [sizes[0]!, sizes.at(-1)!];
    if (fullest.size - emptiest.size <= maxSkew) return;
    const targets = new Set(
      sizes.filter(each => each.size === emptiest.size).flatMap(each => each.nodes.map(({ name }) => name)),
    );
    const candidates = fullest.nodes
      .flatMap(node => pass.evictable(node))
      .filter(each => matches(each) && !stuck.has(each.metadata.uid));
    const next = candidates[0];
    if (!next) return;
    stuck.add(next.metadata.uid);
    pass.evict(
      next,
      `${topologyKey}=${fullest.name} has ${fullest.size} pods, ${emptiest.name} ${emptiest.size}; they may differ by ${maxSkew}`,
      targets,
    );
  }
}

/** Whether the node's domain counts for pods like that. */
function counts({ node }: NodeInfo, pod: Pod, constraint: Constraint): boolean {
  if ((constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor' && !selectsNode(pod.spec, node)) return false;
  return constraint.nodeTaintsPolicy !== 'Honor' || toleratesAll(pod, node);
}

const toleratesAll = (pod: Pod, node: NodeInfo['node']): boolean =>
  !node.spec.taints?.some(
    taint => taint.effect !== 'PreferNoSchedule' && !(pod.spec.tolerations ?? []).some(own => tolerates(own, taint)),
  );

function matcherOf(pod: Pod, constraint: Constraint): (other: Pod) => boolean {
  const selector = labelSelectorOf(constraint.labelSelector);
  const labels = pod.metadata.labels ?? {};
  const same = (constraint.matchLabelKeys ?? []).filter(key => labels[key] !== undefined);
  return other =>
    other.metadata.namespace === pod.metadata.namespace &&
    !other.metadata.deletionTimestamp &&
    selector.matches(other.metadata.labels ?? {}) &&
    same.every(key => other.metadata.labels?.[key] === labels[key]);
}

/** The strategy RemoveDuplicates. @param options Owners of these kinds are left alone. */
export const removeDuplicates = (options: { excludeOwnerKinds?: readonly string[] } = {}): DescheduleStrategy => ({
  name: 'RemoveDuplicates',
  plan(pass) {
    const groups = new Map<string, Map<NodeInfo, Pod[]>>();
    for (const node of pass.snapshot.nodes)
      for (const pod of pass.evictable(node)) {
        const owner = pod.metadata.ownerReferences?.[0];
        if (!owner || options.excludeOwnerKinds?.includes(owner.kind)) continue;
        const images = pod.spec.containers.map(each => each.image).sort();
        const key = JSON.stringify([pod.metadata.namespace, owner.kind, owner.name, images]);
        const group = groups.get(key) ?? new Map<NodeInfo, Pod[]>();
        groups.set(key, group.set(node, [...(group.get(node) ?? []), pod]));
      }
    for (const group of groups.values()) {
      const pods = [...group.values()].flat();
      const open = pass.snapshot.nodes.filter(
        ({ node }) => isUsable(node) && selectsNode(pods[0]!.spec, node) && toleratesAll(pods[0]!, node),
      );
      if (open.length < 2) continue;
      const share = Math.ceil(pods.length / open.length);
      const size = new Map(open.map(node => [node.name, group.get(node)?.length ?? 0]));
      for (const [node, here] of group)
        for (const pod of here.slice(0, Math.max(0, here.length - share))) {
          const targets = new Set(open.map(({ name }) => name).filter(name => size.get(name)! < share));
          if (!pass.evict(pod, `${here.length} alike are on ${node.name}, more than ${share}`, targets)) continue;
          // Where it goes now; without nodeFit that is not known.
          const target = pass.snapshot.nodeOf(pod.metadata.uid);
          if (target) size.set(target, (size.get(target) ?? 0) + 1);
        }
    }
  },
});
