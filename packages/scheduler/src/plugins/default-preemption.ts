/**
 * When no node passes: which pods of lower priority would have to end, and on which node it costs least.
 *
 * On each candidate node all pods of lower priority are supposed gone; if the pod fits then, as many as possible stay, those whose disruption budget
 * would break first, then by priority, then the older. Among nodes, in this order: fewest broken budgets, lowest top priority of victims, lowest
 * sum of priorities, fewest victims, the latest start of the oldest top victim, the first. A pod with `preemptionPolicy: Never`, or whose earlier victims
 * are still ending on its nominated node, preempts nobody. Nodes refused for what removing pods cannot change are not looked at.
 *
 * Source: kube-scheduler's DefaultPreemption (10 % of nodes, at least 100 candidates) and the documentation of pod priority and preemption.
 */
import { type KubeObject, labelSelectorOf, type Pod, type policyv1 } from '@orbitkit/core';
import type { Cycle, NodeRefusal, Plugin, Preemption } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';

export interface DefaultPreemptionOptions {
  /** Share of the nodes that is dry-run, percent. Default 10. */
  minCandidateNodesPercentage?: number;
  /** Default 100. */
  minCandidateNodesAbsolute?: number;
}

type Budget = KubeObject & { kind: 'PodDisruptionBudget' } & Pick<policyv1.PodDisruptionBudget, 'spec' | 'status'>;

interface Candidate extends Preemption {
  /** Most important first. */
  readonly victims: readonly Pod[];
  readonly broken: number;
}

const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status.startTime ?? pod.metadata.creationTimestamp ?? '';

/** More important first: higher priority, then started earlier. */
const byImportance = (a: Pod, b: Pod): number =>
  priorityOf(b) - priorityOf(a) || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);

export const defaultPreemption = (options: DefaultPreemptionOptions = {}): Plugin => ({
  name: 'DefaultPreemption',
  events: ['PodDelete', 'NodeAdd'],
  postFilter(pod, refusals, cycle) {
    if (!mayPreempt(pod, refusals, cycle)) return undefined;
    const { nodes } = cycle.snapshot;
    const share = Math.floor((nodes.length * (options.minCandidateNodesPercentage ?? 10)) / 100);
    const wanted = Math.max(options.minCandidateNodesAbsolute ?? 100, share);
    const budgets = cycle.snapshot.objects.list<Budget>('PodDisruptionBudget');
    const candidates: Candidate[] = [];
    for (const info of nodes) {
      if (candidates.length >= wanted) break;
      if (refusals.get(info.name)?.unresolvable) continue;
      const candidate = victimsOn(pod, info, cycle, budgets);
      if (candidate) candidates.push(candidate);
    }
    return cheapest(candidates);
  },
});

function mayPreempt(pod: Pod, refusals: ReadonlyMap<string, NodeRefusal>, cycle: Cycle): boolean {
  if (pod.spec.preemptionPolicy === 'Never') return false;
  const { nominatedNodeName } = pod.status;
  const nominated = nominatedNodeName ? cycle.snapshot.get(nominatedNodeName) : undefined;
  if (!nominated || refusals.get(nominated.name)?.unresolvable) return true;
  return !nominated.pods.some(
    other => other.metadata.deletionTimestamp !== undefined && priorityOf(other) < priorityOf(pod),
  );
}

function victimsOn(pod: Pod, info: NodeInfo, cycle: Cycle, budgets: readonly Budget[]): Candidate | undefined {
  const priority = priorityOf(pod);
  const lower = info.pods.filter(other => priorityOf(other) < priority);
  if (lower.length === 0 || cycle.fits(info, { without: lower })) return undefined;
  const { breaking, others } = byBudget([...lower].sort(byImportance), budgets);
  const gone = new Set(lower);
  const victims: Pod[] = [];
  let broken = 0;
  for (const [list, costs] of [
    [breaking, 1],
    [others, 0],
  ] as const) {
    for (const other of list) {
      gone.delete(other);
      if (!cycle.fits(info, { without: [...gone] })) continue;
      gone.add(other);
      victims.push(other);
      broken += costs;
    }
  }
  return { node: info.name, victims: victims.sort(byImportance), broken };
}

/** Which of them would break a budget if all before them in the list ended too. */
function byBudget(pods: readonly Pod[], budgets: readonly Budget[]): { breaking: Pod[]; others: Pod[] } {
  if (budgets.length === 0) return { breaking: [], others: [...pods] };
  const left = budgets.map(budget => budget.status?.disruptionsAllowed ?? 0);
  const selectors = budgets.map(budget => labelSelectorOf(budget.spec.selector));
  const breaking: Pod[] = [];
  const others: Pod[] = [];
  for (const pod of pods) {
    const labels = pod.metadata.labels ?? {};
    let breaks = false;
    budgets.forEach((budget, i) => {
      if (budget.metadata.namespace !== pod.metadata.namespace || Object.keys(labels).length === 0) return;
      const { selector } = budget.spec;
      const empty = !selector?.matchExpressions?.length && Object.keys(selector?.matchLabels ?? {}).length === 0;
      // A pod that is already being disrupted is not counted twice.
      if (empty || !selectors[i]!.matches(labels) || budget.status?.disruptedPods?.[pod.metadata.name]) return;
      left[i]! -= 1;
      if (left[i]! < 0) breaks = true;
    });
    (breaks ? breaking : others).push(pod);
  }
  return { breaking, others };
}

const topStart = (victims: readonly Pod[]): string => {
  const top = priorityOf(victims[0]!);
  return victims
    .filter(each => priorityOf(each) === top)
    .reduce((least, each) => (startOf(each) < least ? startOf(each) : least), '\uffff');
};

/** Least first in each; the sum is raised so that more victims never cost less than fewer of negative priority. */
const costs: readonly ((candidate: Candidate) => number)[] = [
  each => each.broken,
  each => (each.victims.length === 0 ? Number.NEGATIVE_INFINITY : priorityOf(each.victims[0]!)),
  each => each.victims.reduce((sum, victim) => sum + priorityOf(victim) + 2 ** 31, 0),
  each => each.victims.length,
];

function cheapest(candidates: readonly Candidate[]): Preemption | undefined {
  let left = candidates;
  for (const cost of costs) {
    if (left.length < 2) break;
    const least = Math.min(...left.map(cost));
    left = left.filter(each => cost(each) === least);
  }
  let best = left[0];
  for (const each of left.slice(1)) if (best && topStart(each.victims) > topStart(best.victims)) best = each;
  return best && { node: best.node, victims: best.victims };
}
