/**
 * Kube-scheduler's default rules once more, as simply as they can be said: every rule looks at every node and counts every pod, nothing is kept.
 * Slow, and meant to be seen right by reading; the differential test compares the scheduler with it.
 */
import {
  type corev1,
  labelSelectorOf,
  matchesNodeTerm,
  type Node,
  type Pod,
  selectsNode,
  tolerates,
} from '@orbitkit/core';
import { requestsOf, scoringRequestsOf } from '../snapshot/resources.js';

export interface World {
  readonly nodes: readonly Node[];
  /** Pods that have a node. */
  readonly pods: readonly Pod[];
}

export interface ReferenceAnswer {
  /** Names of nodes that can take the pod, with their scores. */
  readonly scores: ReadonlyMap<string, number>;
}

type Term = corev1.PodAffinityTerm;
const hostname = 'kubernetes.io/hostname';
const labelsOf = (object: Node | Pod): Record<string, string> => object.metadata.labels ?? {};
const on = (world: World, node: Node) => world.pods.filter(pod => pod.spec.nodeName === node.metadata.name);
const nodeOf = (world: World, pod: Pod) => world.nodes.find(node => node.metadata.name === pod.spec.nodeName);
const amount = (list: Record<string, string | number> | undefined, name: string): number => {
  const text = String(list?.[name] ?? 0);
  const units: Record<string, number> = { m: 1e-3, Mi: 2 ** 20, Gi: 2 ** 30 };
  const unit = Object.keys(units).find(each => text.endsWith(each));
  const value = unit ? Number(text.slice(0, -unit.length)) * units[unit]! : Number(text);
  return name === 'cpu' ? Math.round(value * 1000) : value;
};

export function reference(pod: Pod, world: World): ReferenceAnswer {
  const feasible = world.nodes.filter(node => fits(pod, node, world));
  const totals = new Map(feasible.map(node => [node.metadata.name, 0]));
  const add = (weight: number, scores: readonly number[]): void => {
    for (const [i, { metadata }] of feasible.entries())
      totals.set(metadata.name, totals.get(metadata.name)! + weight * scores[i]!);
  };
  add(3, taintScores(pod, feasible));
  add(2, nodeAffinityScores(pod, feasible));
  add(
    1,
    feasible.map(node => leastAllocated(pod, node, world)),
  );
  add(
    1,
    feasible.map(node => balanced(pod, node, world)),
  );
  add(2, spreadScores(pod, feasible, world));
  add(2, affinityScores(pod, feasible, world));
  return { scores: totals };
}

function fits(pod: Pod, node: Node, world: World): boolean {
  const ready = node.status.conditions?.some(each => each.type === 'Ready' && each.status === 'True');
  const shut = node.spec.taints?.some(
    taint => taint.effect !== 'PreferNoSchedule' && !pod.spec.tolerations?.some(each => tolerates(each, taint)),
  );
  if (!ready || node.spec.unschedulable || shut || !selectsNode(pod.spec, node)) return false;
  if (on(world, node).length + 1 > amount(node.status.allocatable, 'pods')) return false;
  for (const [name, wanted] of requestsOf(pod)) {
    const used = on(world, node).reduce((sum, each) => sum + (requestsOf(each).get(name) ?? 0), 0);
    if (wanted > 0 && used + wanted > amount(node.status.allocatable, name)) return false;
  }
  return spreads(pod, node, world) && affinityHolds(pod, node, world);
}

// --- topology spread ---

const constraintsOf = (pod: Pod, when: string) =>
  (pod.spec.topologySpreadConstraints ?? []).filter(each => each.whenUnsatisfiable === when);

/** Nodes whose pods are counted for the constraint. */
function countedNodes(pod: Pod, constraint: corev1.TopologySpreadConstraint, world: World, when: string): Node[] {
  const keys = constraintsOf(pod, when).map(each => each.topologyKey);
  return world.nodes.filter(
    node =>
      keys.every(key => labelsOf(node)[key] !== undefined) &&
      ((constraint.nodeAffinityPolicy ?? 'Honor') === 'Ignore' || selectsNode(pod.spec, node)) &&
      (constraint.nodeTaintsPolicy !== 'Honor' ||
        !node.spec.taints?.some(
          taint => taint.effect !== 'PreferNoSchedule' && !pod.spec.tolerations?.some(each => tolerates(each, taint)),
        )),
  );
}

function counted(pod: Pod, constraint: corev1.TopologySpreadConstraint, other: Pod): boolean {
  if (other.metadata.namespace !== pod.metadata.namespace || other.metadata.deletionTimestamp) return false;
  const same = (constraint.matchLabelKeys ?? []).every(
    key => !(key in labelsOf(pod)) || labelsOf(pod)[key] === labelsOf(other)[key],
  );
  return same && labelSelectorOf(constraint.labelSelector).matches(labelsOf(other));
}

function spreads(pod: Pod, node: Node, world: World): boolean {
  return constraintsOf(pod, 'DoNotSchedule').every(constraint => {
    const key = constraint.topologyKey;
    const own = labelsOf(node)[key];
    if (own === undefined) return false;
    const counts = new Map<string, number>();
    for (const each of countedNodes(pod, constraint, world, 'DoNotSchedule')) {
      const matching = on(world, each).filter(other => counted(pod, constraint, other)).length;
      counts.set(labelsOf(each)[key]!, (counts.get(labelsOf(each)[key]!) ?? 0) + matching);
    }
    const least = counts.size < (constraint.minDomains ?? 1) ? 0 : Math.min(...counts.values());
    const self = labelSelectorOf(constraint.labelSelector).matches(labelsOf(pod)) ? 1 : 0;
    return (counts.get(own) ?? 0) + self - (counts.size === 0 ? 0 : least) <= constraint.maxSkew;
  });
}

function spreadScores(pod: Pod, feasible: readonly Node[], world: World): number[] {
  const soft = constraintsOf(pod, 'ScheduleAnyway');
  if (soft.length === 0) return feasible.map(() => 0);
  const lacks = (node: Node) => soft.some(each => labelsOf(node)[each.topologyKey] === undefined);
  const scored = feasible.filter(node => !lacks(node));
  const raw = feasible.map(node => {
    if (lacks(node)) return undefined;
    let sum = 0;
    for (const constraint of soft) {
      const key = constraint.topologyKey;
      const size = key === hostname ? scored.length : new Set(scored.map(each => labelsOf(each)[key])).size;
      const places =
        key === hostname
          ? [node]
          : countedNodes(pod, constraint, world, 'ScheduleAnyway').filter(
              each => labelsOf(each)[key] === labelsOf(node)[key],
            );
      const count = places.flatMap(each => on(world, each)).filter(other => counted(pod, constraint, other)).length;
      sum += count * Math.log(size + 2) + (constraint.maxSkew - 1);
    }
    return Math.round(sum);
  });
  const known = raw.filter(each => each !== undefined);
  const [most, least] = [Math.max(...known), Math.min(...known)];
  return raw.map(each =>
    each === undefined ? 0 : most === 0 ? 100 : Math.floor((100 * (most + least - each)) / most),
  );
}

// --- affinity between pods ---

function speaksOf(term: Term, owner: Pod, other: Pod): boolean {
  const places = term.namespaces?.length ? term.namespaces : [owner.metadata.namespace];
  return (
    places.includes(other.metadata.namespace) &&
    term.labelSelector !== undefined &&
    labelSelectorOf(term.labelSelector).matches(labelsOf(other))
  );
}

/** Pods in the same domain of the key as the node. */
const near = (node: Node, key: string, world: World): Pod[] =>
  labelsOf(node)[key] === undefined
    ? []
    : world.pods.filter(other => {
        const there = nodeOf(world, other);
        return there && labelsOf(there)[key] === labelsOf(node)[key];
      });

const requiredOf = (rule: corev1.PodAffinity | corev1.PodAntiAffinity | undefined): readonly Term[] =>
  rule?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

function affinityHolds(pod: Pod, node: Node, world: World): boolean {
  const away = requiredOf(pod.spec.affinity?.podAntiAffinity);
  if (away.some(term => near(node, term.topologyKey, world).some(other => speaksOf(term, pod, other)))) return false;
  const unwelcome = world.pods.some(other =>
    requiredOf(other.spec.affinity?.podAntiAffinity).some(
      term => speaksOf(term, other, pod) && near(node, term.topologyKey, world).includes(other),
    ),
  );
  if (unwelcome) return false;
  const wanted = requiredOf(pod.spec.affinity?.podAffinity);
  if (wanted.length === 0) return true;
  if (wanted.some(term => labelsOf(node)[term.topologyKey] === undefined)) return false;
  const friend = (other: Pod) => wanted.every(term => speaksOf(term, pod, other));
  if (wanted.every(term => near(node, term.topologyKey, world).some(friend))) return true;
  const nobody = wanted.every(term => !world.nodes.some(each => near(each, term.topologyKey, world).some(friend)));
  return nobody && friend(pod);
}

function affinityScores(pod: Pod, feasible: readonly Node[], world: World): number[] {
  const preferred = (owner: Pod) => [
    ...(owner.spec.affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(each => ({
      term: each.podAffinityTerm,
      weight: each.weight,
    })),
    ...(owner.spec.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(each => ({
      term: each.podAffinityTerm,
      weight: -each.weight,
    })),
  ];
  const raw = feasible.map(node => {
    let sum = 0;
    for (const { term, weight } of preferred(pod))
      sum += weight * near(node, term.topologyKey, world).filter(other => speaksOf(term, pod, other)).length;
    for (const other of world.pods) {
      const opinions = [
        ...preferred(other),
        ...requiredOf(other.spec.affinity?.podAffinity).map(term => ({ term, weight: 1 })),
      ];
      for (const { term, weight } of opinions)
        if (speaksOf(term, other, pod) && near(node, term.topologyKey, world).includes(other)) sum += weight;
    }
    return sum;
  });
  const [most, least] = [Math.max(...raw), Math.min(...raw)];
  return raw.map(each => (most > least ? Math.floor((100 * (each - least)) / (most - least)) : 0));
}

// --- the others ---

function taintScores(pod: Pod, feasible: readonly Node[]): number[] {
  const soft = pod.spec.tolerations?.filter(each => !each.effect || each.effect === 'PreferNoSchedule') ?? [];
  const counts = feasible.map(
    node =>
      (node.spec.taints ?? []).filter(
        taint => taint.effect === 'PreferNoSchedule' && !soft.some(each => tolerates(each, taint)),
      ).length,
  );
  const most = Math.max(...counts);
  return counts.map(each => (most === 0 ? 100 : 100 - Math.floor((100 * each) / most)));
}

function nodeAffinityScores(pod: Pod, feasible: readonly Node[]): number[] {
  const terms = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const sums = feasible.map(node =>
    terms.filter(each => matchesNodeTerm(each.preference, node)).reduce((sum, each) => sum + each.weight, 0),
  );
  const most = Math.max(...sums);
  return sums.map(each => (most === 0 ? 0 : Math.floor((100 * each) / most)));
}

function leastAllocated(pod: Pod, node: Node, world: World): number {
  const scores = ['cpu', 'memory'].map(name => {
    const total = amount(node.status.allocatable, name);
    const used = [...on(world, node), pod].reduce((sum, each) => sum + (scoringRequestsOf(each).get(name) ?? 0), 0);
    return used > total ? 0 : Math.floor(((total - used) * 100) / total);
  });
  return Math.floor((scores[0]! + scores[1]!) / 2);
}

function balanced(pod: Pod, node: Node, world: World): number {
  if (!requestsOf(pod).get('cpu') && !requestsOf(pod).get('memory')) return 0;
  const [cpu, memory] = ['cpu', 'memory'].map(name => {
    const used = [...on(world, node), pod].reduce((sum, each) => sum + (requestsOf(each).get(name) ?? 0), 0);
    return Math.min(1, used / amount(node.status.allocatable, name));
  });
  return Math.floor((1 - Math.abs(cpu! - memory!) / 2) * 100);
}
