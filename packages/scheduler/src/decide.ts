/**
 * The decision: a pure function of the pod, the snapshot and the profile (with the state of its policies).
 *
 * The live scheduler, unit tests and simulations call exactly this. It changes nothing; `commit` tells the policies that the
 * placement stands. Equal scores go to the node that comes first by name, so that a decision can be repeated.
 */
import type { Pod } from '@orbitkit/core';
import type { CycleState, NodeRefusal, Refusal } from './framework/plugin.js';
import type { Profile } from './framework/profile.js';
import type { NodeInfo } from './snapshot/node-info.js';
import type { Snapshot } from './snapshot/snapshot.js';

export interface NodeScore {
  readonly node: string;
  readonly total: number;
  readonly byPlugin: Readonly<Record<string, number>>;
}

export type Decision =
  | {
      readonly outcome: 'placed';
      readonly node: string;
      /** Best first. Empty when only one node was feasible. */
      readonly scores: readonly NodeScore[];
      readonly refusals: ReadonlyMap<string, NodeRefusal>;
    }
  | {
      readonly outcome: 'unschedulable';
      /** In kube-scheduler's form: `0/3 nodes are available: 2 Insufficient cpu, …` */
      readonly message: string;
      /** Every node with its own reason. */
      readonly refusals: ReadonlyMap<string, NodeRefusal>;
      readonly refusedBy: ReadonlySet<string>;
      readonly nominatedNode?: string;
    };

const isRefusal = (answer: object): answer is Refusal => 'reasons' in answer;

export function decide(pod: Pod, snapshot: Snapshot, profile: Profile): Decision {
  const state: CycleState = new Map();
  const cycle = { snapshot, state };
  const refusals = new Map<string, NodeRefusal>();
  let candidates: readonly NodeInfo[] = snapshot.nodes;

  if (candidates.length === 0) {
    return {
      outcome: 'unschedulable',
      message: 'no nodes are registered in the cluster',
      refusals,
      refusedBy: new Set(),
    };
  }

  for (const plugin of profile.plugins) {
    const answer = plugin.preFilter?.(pod, cycle);
    if (!answer) continue;
    if (isRefusal(answer)) {
      for (const info of snapshot.nodes) refusals.set(info.name, { ...answer, plugin: plugin.name });
      return unschedulable(snapshot, refusals, profile, pod, cycle);
    }
    candidates = candidates.filter(info => {
      if (answer.nodes.has(info.name)) return true;
      refusals.set(info.name, {
        plugin: plugin.name,
        reasons: [`node(s) not among those ${plugin.name} allows`],
        unresolvable: true,
      });
      return false;
    });
  }

  const feasible: NodeInfo[] = [];
  for (const info of candidates) {
    let refused = false;
    for (const plugin of profile.plugins) {
      const refusal = plugin.filter?.(pod, info, cycle);
      if (!refusal) continue;
      refusals.set(info.name, { ...refusal, plugin: plugin.name });
      refused = true;
      break;
    }
    if (!refused) feasible.push(info);
  }
  const first = feasible[0];
  if (!first) return unschedulable(snapshot, refusals, profile, pod, cycle);
  if (feasible.length === 1) return { outcome: 'placed', node: first.name, scores: [], refusals };

  const totals = new Map(feasible.map(info => [info.name, { total: 0, byPlugin: {} as Record<string, number> }]));
  for (const plugin of profile.plugins) {
    plugin.preScore?.(pod, feasible, cycle);
    if (!plugin.score) continue;
    const scores = new Map<string, number>();
    for (const info of feasible) scores.set(info.name, plugin.score(pod, info, cycle));
    plugin.normalizeScore?.(pod, scores, cycle);
    for (const [name, score] of scores) {
      if (!Number.isFinite(score))
        throw new Error(`plugin "${plugin.name}" scored node "${name}" with ${score}; a score is a finite number`);
      const entry = totals.get(name)!;
      entry.byPlugin[plugin.name] = score;
      entry.total += score * (plugin.weight ?? 1);
    }
  }
  const scores = [...totals].map(([node, entry]): NodeScore => ({ node, ...entry }));
  scores.sort((a, b) => b.total - a.total || (a.node < b.node ? -1 : 1));
  return { outcome: 'placed', node: scores[0]!.node, scores, refusals };
}

function unschedulable(
  snapshot: Snapshot,
  refusals: ReadonlyMap<string, NodeRefusal>,
  profile: Profile,
  pod: Pod,
  cycle: { snapshot: Snapshot; state: CycleState },
): Decision {
  let nominatedNode: string | undefined;
  for (const plugin of profile.plugins) {
    nominatedNode = plugin.postFilter?.(pod, refusals, cycle)?.nominatedNode;
    if (nominatedNode) break;
  }
  return {
    outcome: 'unschedulable',
    message: summaryOf(snapshot.nodes.length, refusals),
    refusals,
    refusedBy: new Set([...refusals.values()].map(refusal => refusal.plugin)),
    ...(nominatedNode ? { nominatedNode } : {}),
  };
}

/** Equal reasons are counted, the counts sorted as text: kube-scheduler's FitError. */
export function summaryOf(total: number, refusals: ReadonlyMap<string, NodeRefusal>): string {
  const counts = new Map<string, number>();
  for (const refusal of refusals.values()) {
    for (const reason of refusal.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const texts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${total} nodes are available: ${texts.join(', ')}.`;
}

/** The policies take note that the pod goes to the node. If one fails, those before it are undone. */
export function commit(pod: Pod, node: string, profile: Profile): void {
  const done: (typeof profile.plugins)[number][] = [];
  try {
    for (const plugin of profile.plugins) {
      done.push(plugin);
      plugin.reserve?.(pod, node);
    }
  } catch (error) {
    for (const plugin of done.reverse()) plugin.unreserve?.(pod, node);
    throw error;
  }
}

/** Takes a commit back, in reverse order. */
export function rollback(pod: Pod, node: string, profile: Profile): void {
  for (const plugin of [...profile.plugins].reverse()) plugin.unreserve?.(pod, node);
}
