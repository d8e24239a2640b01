/** What a decision's plugins are asked with: the points that come once before filters, and clusters that are only supposed to be, for preemption. */
import type { Pod } from '@orbitkit/core';
import type { Cycle, NodeRefusal, Refusal, Trial } from '../framework/plugin.js';
import type { Profile } from '../framework/profile.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { classOf } from '../snapshot/pod-class.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { asked } from './asked.js';
import { type Plan, planFor } from './plan.js';

/** Runs what comes once before filters. */
export function begin(plan: Plan, pod: Pod, profile: Profile, cycle: Cycle, snapshot: Snapshot) {
  plan.current = { pod, cycle };
  for (const rules of plan.rules) rules.begin?.();
  let only: Set<number> | undefined;
  let elsewhere: NodeRefusal | undefined;
  if (plan.refuseAll) return { refusal: plan.refuseAll, only, elsewhere };
  for (const plugin of profile.plugins) {
    if (!plugin.preFilter) continue;
    const answer = asked(plugin, 'preFilter', () => plugin.preFilter!(pod, cycle));
    if (!answer) continue;
    if (typeof answer !== 'object' || !('reasons' in answer || 'nodes' in answer))
      throw new Error(
        `plugin "${plugin.name}": preFilter answered ${JSON.stringify(answer)}; it gives { reasons: ["why"] }, { nodes: new Set(["name"]) } or nothing`,
      );
    if (isRefusal(answer)) return { refusal: { ...answer, plugin: plugin.name }, only, elsewhere };
    const allowed = new Set<number>();
    for (const name of answer.nodes) {
      const slot = snapshot.get(name)?.slot;
      if (slot !== undefined && (!only || only.has(slot))) allowed.add(slot);
    }
    only = allowed;
    elsewhere = { plugin: plugin.name, reasons: [`node(s) not among those ${plugin.name} allows`], unresolvable: true };
  }
  return { refusal: undefined, only, elsewhere };
}

const isRefusal = (answer: object): answer is Refusal => 'reasons' in answer;

export class DecisionCycle implements Cycle {
  #state: Map<string, unknown> | undefined;
  #local: boolean | undefined;
  /** Plugins that a PostFilter named. */
  readonly waited = new Set<string>();
  constructor(
    private readonly pod: Pod,
    readonly snapshot: Snapshot,
    private readonly profile: Profile,
    private readonly plan: Plan,
  ) {}

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  waitsFor(plugin: string): void {
    this.waited.add(plugin);
  }

  get rulesVersion(): number {
    return this.profile.version;
  }

  get verdictsAreLocal(): boolean {
    const { plan } = this;
    this.#local ??= plan.isNodeLocal && !plan.refuseAll && !this.profile.plugins.some(plugin => plugin.preFilter);
    return this.#local;
  }

  suppose<T>(node: NodeInfo, ask: (trial: Trial) => T): T {
    const { plan, pod, snapshot, profile } = this;
    const supposed = (refusal: () => NodeRefusal | undefined): T =>
      snapshot.suppose(change =>
        ask({ remove: each => change.remove(each), add: each => change.add(each, node.name), refusal }),
      );
    if (this.verdictsAreLocal) {
      // Nothing but this node is looked at, so that the rules need not hear of the change.
      return supposed(() => {
        const verdict = plan.check(node.slot);
        return verdict === 0 ? undefined : plan.refusal(node.slot, verdict);
      });
    }
    const outer = planFor(pod, classOf(pod), snapshot, profile);
    const { current } = outer;
    try {
      return supposed(() => refusalIn(pod, node, snapshot, profile));
    } finally {
      // The decision around it goes on with its own numbers.
      outer.current = current;
      for (const rules of outer.rules) rules.begin?.();
    }
  }
}

/** Every filter about one node, in the cluster as it is supposed to be. */
function refusalIn(pod: Pod, node: NodeInfo, snapshot: Snapshot, profile: Profile): NodeRefusal | undefined {
  const plan = planFor(pod, classOf(pod), snapshot, profile);
  const before = begin(plan, pod, profile, new DecisionCycle(pod, snapshot, profile, plan), snapshot);
  if (before.refusal) return before.refusal;
  if (before.only && !before.only.has(node.slot)) return before.elsewhere;
  const verdict = plan.check(node.slot);
  return verdict === 0 ? undefined : plan.refusal(node.slot, verdict);
}
