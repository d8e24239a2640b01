/**
 * The decision: a pure function of the pod, the snapshot and the profile (with the state of its policies).
 *
 * The live scheduler, unit tests and simulations call exactly this. It changes nothing; `commit` tells the policies that the
 * placement stands. In large clusters it looks for some nodes that can take the pod and not for all, starting where the last decision
 * stopped (`start`, `nextStart`), as kube-scheduler does. Among equal scores the node that comes first wins, so that a decision can be repeated.
 */
import type { Pod } from '@orbitkit/core';
import { asked } from './engine/asked.js';
import { begin, DecisionCycle } from './engine/decision-cycle.js';
import { type Plan, planFor } from './engine/plan.js';
import { Refusals } from './engine/refusals.js';
import type { NodeRefusal, Preemption } from './framework/plugin.js';
import type { Profile } from './framework/profile.js';
import { normalizeTo100 } from './framework/rules.js';
import { classOf } from './snapshot/pod-class.js';
import type { Snapshot } from './snapshot/snapshot.js';

/** The scores of one node that can take the pod. */
export interface NodeScore {
  readonly node: string;
  readonly total: number;
  /** After normalisation, before the weight. */
  readonly byPlugin: Readonly<Record<string, number>>;
}

interface Examined {
  /** Nodes that were looked at, and how many of them can take the pod. */
  readonly examined: number;
  readonly feasible: number;
  /** Where the next decision starts to look. */
  readonly nextStart: number;
  /** Nodes that were looked at and cannot take the pod. Empty when the decision was asked for its choice only and there is one. */
  readonly refusals: ReadonlyMap<string, NodeRefusal>;
}

/** Where the pod goes, or why nowhere. */
export type Decision =
  | (Examined & {
      readonly outcome: 'placed';
      readonly node: string;
      /** Best first. Empty when only one node was feasible, or only the choice was asked for. */
      readonly scores: readonly NodeScore[];
    })
  | (Examined & {
      readonly outcome: 'unschedulable';
      /** In kube-scheduler's form: `0/3 nodes are available: 2 Insufficient cpu, …` */
      readonly message: string;
      /** Whose `events` are worth another try: those that refused, and PostFilter plugins that were asked. */
      readonly refusedBy: ReadonlySet<string>;
      /** A way out that a PostFilter plugin found: the node, and the pods that must end first. */
      readonly preemption?: Preemption;
      /** There is none, on the node that was nominated before neither. */
      readonly losesNomination?: true;
    });

/** What extenders said of nodes that the plugins let through: those they leave, why not the others, and points added to the total. */
export interface ExtenderVerdict {
  readonly nodes: ReadonlySet<string>;
  readonly refusals: ReadonlyMap<string, NodeRefusal>;
  readonly scores: ReadonlyMap<string, number>;
}

/** How much is looked at, and how much is told. */
export interface ScheduleOptions {
  /** `nextStart` of the decision before. */
  start?: number;
  /** `choice` leaves out refusals and scores of a pod that can be placed, which cost more than the decision. Default `full`. */
  detail?: 'full' | 'choice';
  /** Look at every node. Default: as the profile says. */
  allNodes?: boolean;
  /** Only nodes that extenders leave can take the pod, if the plugins still let it there; all nodes are looked at. */
  extended?: ExtenderVerdict;
  /** The nominated node is a node like others. */
  ignoreNomination?: boolean;
  /** Do not look for a way out. */
  withoutPostFilter?: boolean;
}

const noRefusals: ReadonlyMap<string, NodeRefusal> = new Map();

/** Decides about one pod. Nothing is changed: the same input gives the same decision. */
export function schedule(pod: Pod, snapshot: Snapshot, profile: Profile, options: ScheduleOptions = {}): Decision {
  const { order, nominated } = snapshot;
  const total = order.length;
  if (total === 0) return nowhere('no nodes are registered in the cluster');
  const plan = planFor(pod, classOf(pod), snapshot, profile);
  const cycle = new DecisionCycle(pod, snapshot, profile, plan);
  const before = begin(plan, pod, profile, cycle, snapshot);
  if (before.refusal) {
    const refusals = new Refusals(snapshot, total);
    for (const slot of order) refusals.add(slot, before.refusal);
    return refused({ pod, snapshot, profile, cycle, refusals, examined: total, options });
  }
  const { only } = before;
  const { extended } = options;
  const full = options.detail !== 'choice';
  const start = (options.start ?? 0) % total;
  const nominatedSlot =
    pod.status.nominatedNodeName && !options.ignoreNomination && !extended
      ? snapshot.get(pod.status.nominatedNodeName)?.slot
      : undefined;
  // The node that victims were removed from for this pod: if it fits there now, nobody else is asked.
  if (nominatedSlot !== undefined && (!only || only.has(nominatedSlot)) && !refusalAt(nominatedSlot, 0)) {
    const info = snapshot.at(nominatedSlot);
    return {
      outcome: 'placed',
      node: info.name,
      scores: [],
      refusals: noRefusals,
      examined: 1,
      feasible: 1,
      nextStart: start,
    };
  }

  const wanted = options.allNodes || extended ? total : nodesToFind(total, profile.percentageOfNodesToScore);
  const scratch = scratches.pop() ?? new Scratch();
  scratch.reserve(wanted);
  const { slots } = scratch;
  if (!full && !only && !extended) {
    const found = plan.gather(slots, start, wanted, nominated, slot => refusalAt(slot, 0) !== undefined);
    if (found && found.count > 0) {
      const { best } = choose(plan, snapshot, scratch, found.count, false);
      scratches.push(scratch);
      return {
        outcome: 'placed',
        node: snapshot.at(best).name,
        scores: [],
        refusals: noRefusals,
        examined: found.examined,
        feasible: found.count,
        nextStart: (start + found.examined) % total,
      };
    }
    if (found && plan.isNodeLocal) {
      scratches.push(scratch);
      const refusals = plan.allRefusals(start, slot => refusalAt(slot, 0)!);
      return refused({ pod, snapshot, profile, cycle, refusals, examined: total, options });
    }
  }
  let refusals: Refusals | undefined;
  let count = 0;
  let examined = 0;
  let index = start;
  for (; examined < total && count < wanted; examined++) {
    const slot = order[index]!;
    if (++index === total) index = 0;
    let refusal: NodeRefusal | undefined;
    if (only && !only.has(slot)) refusal = before.elsewhere!;
    else if (extended && !extended.nodes.has(snapshot.at(slot).name)) {
      const { name } = snapshot.at(slot);
      const known = extended.refusals.get(name) ?? (full ? refusalAt(slot, 0) : undefined);
      // Neither refused by plugins nor shown to extenders: there were enough others.
      if (!known) continue;
      refusal = known;
    } else {
      const verdict = plan.check(slot);
      if (verdict === 0 && nominated.size === 0) {
        slots[count++] = slot;
        continue;
      }
      // Refusals are of use only for those who ask for all, or when there is no node at all.
      if (verdict !== 0 && !full && count > 0) continue;
      refusal = verdict === 0 ? refusalAt(slot, verdict) : plan.refusal(slot, verdict);
    }
    if (refusal) {
      refusals ??= new Refusals(snapshot, total);
      refusals.add(slot, refusal);
    } else slots[count++] = slot;
  }
  const nextStart = index;
  if (count === 0) {
    scratches.push(scratch);
    refusals ??= new Refusals(snapshot, 0);
    return refused({ pod, snapshot, profile, cycle, refusals, examined, options });
  }
  const { best, scores } = choose(plan, snapshot, scratch, count, full, extended?.scores);
  scratches.push(scratch);
  return {
    outcome: 'placed',
    node: snapshot.at(best).name,
    scores,
    refusals: (full && refusals) || noRefusals,
    examined,
    feasible: count,
    nextStart,
  };

  /** With those counted as there who wait for victims to end; their going away again must not be what the pod needs, so without them too. */
  function refusalAt(slot: number, verdict: number): NodeRefusal | undefined {
    const known = verdict || plan.check(slot);
    if (known !== 0) return plan.refusal(slot, known);
    const priority = pod.spec.priority ?? 0;
    const first = [...(nominated.get(slot)?.values() ?? [])].filter(
      each => each.metadata.uid !== pod.metadata.uid && (each.spec.priority ?? 0) >= priority,
    );
    if (first.length === 0) return undefined;
    const info = snapshot.at(slot);
    return cycle.suppose(info, trial => {
      for (const each of first) trial.add(each);
      return trial.refusal();
    });
  }
}

/** Arrays for one decision, used again by the next. A plugin may start a decision within a decision: it gets its own. */
class Scratch {
  slots = new Int32Array(128);
  totals = new Float64Array(128);
  scores = new Float64Array(128);
  reserve(size: number): void {
    if (this.slots.length >= size) return;
    this.slots = new Int32Array(size);
    this.totals = new Float64Array(size);
    this.scores = new Float64Array(size);
  }
}
const scratches: Scratch[] = [];

/** kube-scheduler's numFeasibleNodesToFind: 50 % falling by one for each 125 nodes, at least 5 %; all of 100 or fewer, never fewer than 100. */
function nodesToFind(total: number, percentage: number | undefined): number {
  if (total < 100) return total;
  const share = percentage || Math.max(5, 50 - Math.floor(total / 125));
  if (share >= 100) return total;
  return Math.max(100, Math.floor((total * share) / 100));
}

function choose(
  plan: Plan,
  snapshot: Snapshot,
  scratch: Scratch,
  count: number,
  full: boolean,
  extra?: ReadonlyMap<string, number>,
) {
  if (count === 1) return { best: scratch.slots[0]!, scores: [] };
  const { totals, scores } = scratch;
  const slots = scratch.slots.subarray(0, count);
  const detail: Record<string, number>[] | undefined = full ? Array.from(slots, () => ({})) : undefined;
  plan.localScores(totals, slots);
  if (detail) {
    for (const { plugin, rule } of plan.local) for (let i = 0; i < count; i++) detail[i]![plugin] = rule.of(slots[i]!);
  }
  for (const { plugin, weight, rule, kept } of plan.scores) {
    const same = rule.uniform?.();
    if (same !== undefined) {
      // It decides nothing; only who asks for scores wants to see it.
      if (!detail) continue;
      for (let i = 0; i < count; i++) {
        totals[i]! += weight * same;
        detail[i]![plugin] = same;
      }
      continue;
    }
    if (rule.begin?.(slots) === 'skip') continue;
    if (kept) for (let i = 0; i < count; i++) scores[i] = kept.of(slots[i]!);
    else if (rule.fill) rule.fill(scores, slots);
    else for (let i = 0; i < count; i++) scores[i] = rule.of(slots[i]!);
    const { normalize } = rule;
    if (typeof normalize === 'function') normalize(scores, slots);
    else if (normalize) normalizeTo100(scores, count, normalize === 'lowest');
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const score = scores[i]!;
      sum += score;
      totals[i]! += weight * score;
    }
    if (!Number.isFinite(sum)) refuseNumbers(plugin, snapshot, slots, scores);
    if (detail) for (let i = 0; i < count; i++) detail[i]![plugin] = scores[i]!;
  }
  if (extra?.size) {
    for (let i = 0; i < count; i++) {
      const points = extra.get(snapshot.at(slots[i]!).name) ?? 0;
      totals[i]! += points;
      if (detail) detail[i]!.Extenders = points;
    }
  }
  let best = 0;
  for (let i = 1; i < count; i++) if (totals[i]! > totals[best]!) best = i;
  if (Number.isNaN(totals[best]!)) throw notANumber('a built-in plugin', snapshot.at(slots[best]!).name, Number.NaN);
  const list: NodeScore[] = [];
  if (detail) {
    for (let i = 0; i < count; i++)
      list.push({ node: snapshot.at(slots[i]!).name, total: totals[i]!, byPlugin: detail[i]! });
    // A stable sort: equals stay in the order they were looked at.
    list.sort((a, b) => b.total - a.total);
  }
  return { best: slots[best]!, scores: list };
}

/** @throws Error that names the first node whose score is no finite number, if there is one. */
function refuseNumbers(plugin: string, snapshot: Snapshot, slots: Int32Array, scores: Float64Array): void {
  for (let i = 0; i < slots.length; i++)
    if (!Number.isFinite(scores[i]!)) throw notANumber(plugin, snapshot.at(slots[i]!).name, scores[i]!);
}

const notANumber = (plugin: string, node: string, score: number): Error =>
  new Error(`plugin "${plugin}" scored node "${node}" with ${score}; a score is a finite number`);

interface RefusedBy {
  pod: Pod;
  snapshot: Snapshot;
  profile: Profile;
  cycle: DecisionCycle;
  refusals: Refusals;
  examined: number;
  options: ScheduleOptions;
}

function refused({ pod, snapshot, profile, cycle, refusals, examined, options }: RefusedBy): Decision {
  let preemption: Preemption | undefined;
  let hopeless = false;
  const refusedBy = new Set<string>();
  for (const refusal of refusals.counted().keys()) refusedBy.add(refusal.plugin);
  if (!options.withoutPostFilter) {
    for (const plugin of profile.plugins) {
      if (!plugin.postFilter) continue;
      const answer = asked(plugin, 'postFilter', () => plugin.postFilter!(pod, refusals, cycle));
      // What it waits for, or found no way out without, it says itself; who says nothing is not asked on every event for that.
      if (plugin.events) refusedBy.add(plugin.name);
      if (answer === 'none') hopeless = true;
      else if (answer) {
        preemption = answer;
        break;
      }
    }
    for (const name of cycle.waited) refusedBy.add(name);
  }
  return {
    outcome: 'unschedulable',
    message: summaryOf(snapshot.order.length, refusals.counted()),
    refusals,
    refusedBy,
    examined,
    feasible: 0,
    nextStart: (options.start ?? 0) % snapshot.order.length,
    ...(preemption ? { preemption } : hopeless && pod.status.nominatedNodeName ? { losesNomination: true } : {}),
  };
}

const nowhere = (message: string): Decision => ({
  outcome: 'unschedulable',
  message,
  refusals: noRefusals,
  refusedBy: new Set(),
  examined: 0,
  feasible: 0,
  nextStart: 0,
});

/** Reasons and how many nodes gave them, sorted as text: kube-scheduler's FitError. */
export function summaryOf(total: number, counted: ReadonlyMap<NodeRefusal, number>): string {
  const counts = new Map<string, number>();
  for (const [refusal, times] of counted) {
    for (const reason of refusal.reasons) counts.set(reason, (counts.get(reason) ?? 0) + times);
  }
  const texts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${total} nodes are available: ${texts.join(', ')}.`;
}
