/**
 * What the pod requests must be free on the node, its place among the node's `pods` included; scores by what would then be left.
 *
 * - `LeastAllocated` (default) prefers empty nodes, `MostAllocated` full ones, `RequestedToCapacityRatio` follows a shape of points.
 * - CPU and memory count at least 100 thousandths of a core and 200 MiB a container when nodes are compared, so that pods without requests spread.
 * - A refused pod is worth another try when a node has room for it, with those it may preempt left out of account.
 * - Whole numbers, rounded down as kube-scheduler does.
 */
import type { Pod } from '@orbitkit/core';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onNode, onPod } from '../framework/queueing-hints.js';
import type { Columns } from '../snapshot/columns.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { classOf, type PodClass } from '../snapshot/pod-class.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { awaitsVictims } from './default-preemption.js';

/** Everything has kube-scheduler's default. */
export interface ResourceFitOptions {
  /** Of the score. Default 1, kube-scheduler's. */
  weight?: number;
  scoringStrategy?: ScoringStrategy;
  /** Resources that are not looked at. */
  ignoredResources?: readonly string[];
}

/** How nodes with room are compared. Default LeastAllocated. */
export interface ScoringStrategy {
  type?: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
  /** Default: cpu and memory, weight 1. */
  resources?: readonly { name: string; weight?: number }[];
  /** Utilisation in percent → score 0…10, rising in utilisation; between points straight lines. */
  shape?: readonly { utilization: number; score: number }[];
}

const tooMany = 'Too many pods';

/** The plugin NodeResourcesFit. Default weight 1. */
export const resourceFit = (options: ResourceFitOptions = {}): Plugin => {
  const rate = ratingOf(options.scoringStrategy ?? {});
  const ignored = new Set(options.ignoredResources);
  const mayFit = (pod: Pod, node: string | undefined, snapshot: Snapshot | undefined): boolean => {
    if (!snapshot || node === undefined) return true;
    const info = snapshot.get(node);
    return info !== undefined && hasRoom(pod, info, snapshot, ignored);
  };
  return {
    name: 'NodeResourcesFit',
    weight: options.weight ?? 1,
    events: [
      ...onNode(['NodeAdd', 'NodeAllocatable'], (pod, { node }, snapshot) => mayFit(pod, node.metadata.name, snapshot)),
      ...onPod(['PodDelete', 'PodScaleDown'], (pod, { node }, snapshot) => mayFit(pod, node, snapshot)),
    ],
    attach({ ignoredResources }) {
      for (const name of ignoredResources ?? []) ignored.add(name);
    },
    compile(pod, snapshot) {
      const podClass = classOf(pod);
      return {
        filter: fit(podClass, snapshot.columns, ignored),
        score: { scope: 'node', of: scoreOf(podClass, snapshot, options.scoringStrategy?.resources ?? both, rate) },
      };
    },
  };
};

function fit(podClass: PodClass, columns: Columns, ignored: ReadonlySet<string>) {
  const requests = [...podClass.requests].filter(([name]) => !ignored.has(name));
  const ids = requests.map(([name]) => columns.resource(name));
  const amounts = requests.map(([, amount]) => amount);
  const allocatable = ids.map(id => columns.allocatable[id]!);
  const requested = ids.map(id => columns.requested[id]!);
  const { podCount, podLimit } = columns;
  const refusals = new Map<number, Refusal>();
  return {
    scope: 'node' as const,
    passes(slot: number): boolean {
      if (podCount[slot]! + 1 > podLimit[slot]!) return false;
      for (let i = 0; i < amounts.length; i++)
        if (amounts[i]! > allocatable[i]![slot]! - requested[i]![slot]!) return false;
      return true;
    },
    refusal(slot: number): Refusal {
      let mask = podCount[slot]! + 1 > podLimit[slot]! ? 1 : 0;
      for (let i = 0; i < amounts.length; i++) {
        const total = allocatable[i]![slot]!;
        if (amounts[i]! <= total - requested[i]![slot]!) continue;
        mask += 4 * 2 ** i;
        if (amounts[i]! > total && (mask & 2) === 0) mask += 2;
      }
      let refusal = refusals.get(mask);
      if (!refusal) {
        refusal = { reasons: reasonsOf(mask), ...(mask & 2 ? { unresolvable: true } : {}) };
        refusals.set(mask, refusal);
      }
      return refusal;
    },
  };
  /** Bit 0: too many pods; bit 1: more than the node has at all; then one bit a resource. */
  function reasonsOf(mask: number): string[] {
    const reasons = mask & 1 ? [tooMany] : [];
    requests.forEach(([name], i) => {
      if (Math.floor(mask / (4 * 2 ** i)) % 2 === 1) reasons.push(`Insufficient ${name}`);
    });
    return reasons;
  }
}

/** Whether the pod fits on the node beside pods that it may not preempt; while its victims are ending, beside all. */
function hasRoom(pod: Pod, { slot, pods }: NodeInfo, snapshot: Snapshot, ignored: ReadonlySet<string>): boolean {
  const { columns } = snapshot;
  const { priority, requests } = classOf(pod);
  const lacking = new Map<string, number>();
  let places = columns.podLimit[slot]! - columns.podCount[slot]!;
  for (const [name, amount] of requests) {
    if (ignored.has(name)) continue;
    const id = columns.resource(name);
    const total = columns.allocatable[id]![slot]!;
    if (amount > total) return false;
    const missing = amount - (total - columns.requested[id]![slot]!);
    if (missing > 0) lacking.set(name, missing);
  }
  if (places >= 1 && lacking.size === 0) return true;
  if (columns.podLimit[slot]! < 1 || pod.spec.preemptionPolicy === 'Never' || awaitsVictims(pod, snapshot))
    return false;
  for (const other of pods) {
    const known = classOf(other);
    if (known.priority >= priority) continue;
    places += 1;
    for (const [name, missing] of lacking) {
      const left = missing - (known.requests.get(name) ?? 0);
      if (left > 0) lacking.set(name, left);
      else lacking.delete(name);
    }
    if (places >= 1 && lacking.size === 0) return true;
  }
  return false;
}

const both: readonly { name: string; weight?: number }[] = [{ name: 'cpu' }, { name: 'memory' }];

type Rating = (used: number, total: number) => number;

function scoreOf(
  podClass: PodClass,
  { columns }: Snapshot,
  resources: readonly { name: string; weight?: number }[],
  rate: Rating,
): (slot: number) => number {
  const counted = resources
    // A resource beyond cpu and memory that the pod does not ask for says nothing.
    .filter(({ name }) => name === 'cpu' || name === 'memory' || podClass.requests.has(name))
    .map(({ name, weight = 1 }) => {
      const id = columns.resource(name);
      const requested =
        name === 'cpu' ? columns.scoringCpu : name === 'memory' ? columns.scoringMemory : columns.requested[id]!;
      const wanted = name === 'cpu' || name === 'memory' ? podClass.scoring[name] : podClass.requests.get(name)!;
      return { weight, wanted, requested, allocatable: columns.allocatable[id]! };
    });
  return slot => {
    let sum = 0;
    let weights = 0;
    for (const { weight, wanted, requested, allocatable } of counted) {
      const total = allocatable[slot]!;
      if (total === 0) continue;
      sum += weight * rate(requested[slot]! + wanted, total);
      weights += weight;
    }
    return weights === 0 ? 0 : Math.floor(sum / weights);
  };
}

const strategies: readonly string[] = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'];

/** @throws Error for a type that there is not; when a shape has no points, or they do not rise. */
function ratingOf({ type = 'LeastAllocated', shape }: ScoringStrategy): Rating {
  if (!strategies.includes(type))
    throw new Error(`scoringStrategy.type: "${type}"; there are ${strategies.join(', ')}`);
  if (type === 'LeastAllocated')
    return (used, total) => (used > total ? 0 : Math.floor(((total - used) * 100) / total));
  if (type === 'MostAllocated') return (used, total) => Math.floor((Math.min(used, total) * 100) / total);
  const points = (shape ?? []).map(({ utilization, score }) => ({ x: utilization, y: score * 10 }));
  const rises = points.every(({ x }, i) => x >= 0 && x <= 100 && (i === 0 || x > points[i - 1]!.x));
  if (points.length === 0 || !rises)
    throw new Error(
      'scoringStrategy.shape of RequestedToCapacityRatio: give points whose utilization rises from 0 to 100',
    );
  const beyond = points.find(({ y }) => !(y >= 0 && y <= 100));
  if (beyond) throw new Error(`scoringStrategy.shape: a score of ${beyond.y / 10}; scores go from 0 to 10`);
  return (used, total) => lineThrough(points, used > total ? 100 : Math.floor((used * 100) / total));
}

function lineThrough(points: readonly { x: number; y: number }[], x: number): number {
  const next = points.findIndex(point => x <= point.x);
  if (next < 0) return points.at(-1)!.y;
  const b = points[next]!;
  const a = points[next - 1];
  if (!a) return b.y;
  return a.y + Math.trunc(((b.y - a.y) * (x - a.x)) / (b.x - a.x));
}
