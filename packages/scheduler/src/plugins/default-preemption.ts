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
import type { Cycle, NodeRefusal, NodeRefusals, Plugin, Preemption } from '../framework/plugin.js';
import { onNode, onPod } from '../framework/queueing-hints.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { classOf, type PodClass } from '../snapshot/pod-class.js';
import type { Snapshot } from '../snapshot/snapshot.js';

/** How many candidates are looked at; kube-scheduler's defaults. */
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
  /** Priority of the most important victim. */
  readonly top: number;
  readonly sum: number;
  /** When the oldest victim of the top priority started. */
  readonly start: string;
}

const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status.startTime ?? pod.metadata.creationTimestamp ?? '';

/** More important first: higher priority, then started earlier. */
const byImportance = (a: Pod, b: Pod): number =>
  priorityOf(b) - priorityOf(a) || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);

/** The plugin DefaultPreemption. */
export const defaultPreemption = (options: DefaultPreemptionOptions = {}): Plugin => {
  let kept = new WeakMap<Snapshot, Map<PodClass, Kept>>();
  let rules = 0;
  function keptFor(pod: Pod, cycle: Cycle): Kept {
    if (rules !== cycle.rulesVersion) {
      rules = cycle.rulesVersion;
      kept = new WeakMap();
    }
    let byClass = kept.get(cycle.snapshot);
    if (!byClass || byClass.size > 16) {
      byClass = new Map();
      kept.set(cycle.snapshot, byClass);
    }
    let own = byClass.get(classOf(pod));
    if (!own) {
      own = new Kept();
      byClass.set(classOf(pod), own);
    }
    return own;
  }
  return {
    name: 'DefaultPreemption',
    // While its victims end, a pod looks for no other way out; when they are gone, or its nominated node is no way any more, it does.
    events: [
      ...onPod(
        ['PodDelete'],
        (pod, { node }, snapshot) =>
          !snapshot || (node === pod.status.nominatedNodeName && !awaitsVictims(pod, snapshot)),
      ),
      ...onNode(
        ['NodeDelete', 'NodeLabel', 'NodeTaint', 'NodeReady', 'NodeAllocatable'],
        (pod, { node }) => node.metadata.name === pod.status.nominatedNodeName,
      ),
    ],
    postFilter(pod, refusals, cycle) {
      if (!mayPreempt(pod, refusals, cycle)) return undefined;
      const { nodes } = cycle.snapshot;
      const share = Math.floor((nodes.length * (options.minCandidateNodesPercentage ?? 10)) / 100);
      const wanted = Math.max(options.minCandidateNodesAbsolute ?? 100, share);
      const budgets = cycle.snapshot.objects.list<Budget>('PodDisruptionBudget');
      const known = budgets.length === 0 && cycle.verdictsAreLocal ? keptFor(pod, cycle) : undefined;
      const candidates: Candidate[] = [];
      let obstacle = '';
      for (const info of refusals.resolvable()) {
        if (candidates.length >= wanted) break;
        const compute = () => victimsOn(pod, info, cycle, budgets);
        const found = known ? known.of(info, cycle, compute) : compute();
        if (!found) continue;
        if ('victims' in found) candidates.push(found);
        else if (found.plugin !== obstacle) {
          obstacle = found.plugin;
          cycle.waitsFor(obstacle);
        }
      }
      return cheapest(candidates) ?? 'none';
    },
  };
};

function mayPreempt(pod: Pod, refusals: NodeRefusals, cycle: Cycle): boolean {
  if (pod.spec.preemptionPolicy === 'Never') return false;
  const { nominatedNodeName } = pod.status;
  if (nominatedNodeName && refusals.get(nominatedNodeName)?.unresolvable) return true;
  return !awaitsVictims(pod, cycle.snapshot);
}

/** Pods that it may preempt are ending on its nominated node. */
export function awaitsVictims(pod: Pod, snapshot: Snapshot): boolean {
  const { nominatedNodeName } = pod.status;
  const nominated = nominatedNodeName ? snapshot.get(nominatedNodeName) : undefined;
  if (!nominated) return false;
  return nominated.pods.some(
    other => other.metadata.deletionTimestamp !== undefined && priorityOf(other) < priorityOf(pod),
  );
}

/** Who must end there; or what stands in the way when all that may end have ended; or nothing, where there is none to preempt. */
type DryRun = Candidate | NodeRefusal | undefined;

function victimsOn(pod: Pod, info: NodeInfo, cycle: Cycle, budgets: readonly Budget[]): DryRun {
  const priority = priorityOf(pod);
  const lower = info.pods.filter(other => priorityOf(other) < priority);
  if (lower.length === 0) return undefined;
  return cycle.suppose(info, trial => {
    for (const other of lower) trial.remove(other);
    // The room of those who wait for it already is not offered twice; nor must it be they that the pod needs there.
    const first = [...(cycle.snapshot.nominated.get(info.slot)?.values() ?? [])].filter(
      each => each.metadata.uid !== pod.metadata.uid && priorityOf(each) >= priority,
    );
    const refusal = (): NodeRefusal | undefined => {
      const without = trial.refusal();
      if (without || first.length === 0) return without;
      for (const each of first) trial.add(each);
      const beside = trial.refusal();
      for (const each of first) trial.remove(each);
      return beside;
    };
    const obstacle = refusal();
    if (obstacle) return obstacle;
    const { breaking, others } = byBudget([...lower].sort(byImportance), budgets);
    const victims: Pod[] = [];
    let broken = 0;
    for (const list of [breaking, others]) {
      for (const other of list) {
        trial.add(other);
        if (!refusal()) continue;
        trial.remove(other);
        victims.push(other);
        if (list === breaking) broken += 1;
      }
    }
    // Nobody's end is what it needs: it was refused for something else, by an extender say.
    if (victims.length === 0) return undefined;
    return candidateOf(info.name, victims, broken);
  });
}

function candidateOf(node: string, given: readonly Pod[], broken: number): Candidate {
  const victims = [...given].sort(byImportance);
  const top = victims[0] ? priorityOf(victims[0]) : Number.NEGATIVE_INFINITY;
  return { node, victims, broken, top, sum: sumOf(victims), start: topStart(victims) };
}

/** The least costly of candidates that others (extenders) changed. */
export const cheapestOf = (candidates: NonNullable<Preemption['candidates']>): Preemption | undefined =>
  cheapest(candidates.map(({ node, victims, broken }) => candidateOf(node, victims, broken)));

/** Raised, so that more victims never cost less than fewer of negative priority. */
const sumOf = (victims: readonly Pod[]): number =>
  victims.reduce((sum, victim) => sum + priorityOf(victim) + 2 ** 31, 0);

/** Dry runs stay true until something happens to their node, when the verdicts are local and no budget counts. */
class Kept {
  /** By slot; what a node had at that generation. */
  readonly #generations: number[] = [];
  readonly #found: DryRun[] = [];
  of(info: NodeInfo, cycle: Cycle, compute: () => DryRun): DryRun {
    // Who waits for its room comes and goes without a change of the node.
    if (cycle.snapshot.nominated.has(info.slot)) return compute();
    const { slot } = info;
    const generation = cycle.snapshot.columns.generation[slot]!;
    if (this.#generations[slot] !== generation) {
      this.#found[slot] = compute();
      this.#generations[slot] = generation;
    }
    return this.#found[slot];
  }
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
  if (victims.length === 0) return '';
  const top = priorityOf(victims[0]!);
  return victims
    .filter(each => priorityOf(each) === top)
    .reduce((least, each) => (startOf(each) < least ? startOf(each) : least), '\uffff');
};

/** Negative when `a` costs less. */
const compare = (a: Candidate, b: Candidate): number =>
  a.broken - b.broken ||
  (a.top === b.top ? 0 : a.top - b.top) ||
  a.sum - b.sum ||
  a.victims.length - b.victims.length ||
  (a.start > b.start ? -1 : a.start < b.start ? 1 : 0);

function cheapest(candidates: readonly Candidate[]): Preemption | undefined {
  let best = candidates[0];
  for (let i = 1; i < candidates.length; i++) if (compare(candidates[i]!, best!) < 0) best = candidates[i];
  return best && { node: best.node, victims: best.victims, candidates };
}
