/**
 * A plan: the rules of a profile for one class of pods, and what is known of each node under them.
 *
 * Verdicts and scores are kept by node until its generation changes, so that deciding the next pod of a class looks again only at nodes that
 * something happened to. A class that was met once keeps nothing; one that comes again does.
 */
import type { Pod } from '@orbitkit/core';
import type { Cycle, NodeRefusal, Plugin, Refusal } from '../framework/plugin.js';
import type { Profile } from '../framework/profile.js';
import type { CountRange, FilterRule, Rules, ScoreRule } from '../framework/rules.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { asked } from './asked.js';
import { Refusals, RefusalTable } from './refusals.js';

export interface PlannedScore {
  readonly plugin: string;
  readonly weight: number;
  readonly rule: ScoreRule;
  /** Raw scores of object-scoped rules that are normalised. */
  readonly kept: KeptScores | undefined;
}

/** The pod and cycle of the decision under way, for plugins without compiled rules. */
interface Current {
  pod: Pod;
  cycle: Cycle;
}

class KeptScores {
  readonly #at: Float64Array;
  readonly #scores: Float64Array;
  constructor(
    private readonly snapshot: Snapshot,
    private readonly rule: ScoreRule,
  ) {
    this.#at = new Float64Array(snapshot.columns.capacity);
    this.#scores = new Float64Array(snapshot.columns.capacity);
  }
  of(slot: number): number {
    const { columns } = this.snapshot;
    const now = (this.rule.scope === 'object' ? columns.nodeGeneration : columns.generation)[slot]!;
    if (this.#at[slot] !== now) {
      this.#at[slot] = now;
      this.#scores[slot] = this.rule.of(slot);
    }
    return this.#scores[slot]!;
  }
}

/** A range with the arrays that it reads, for the length of one decision. */
class HeldRange {
  constructor(
    readonly domainOf: Int32Array,
    readonly counts: Float64Array,
    readonly least: number,
    readonly most: number,
    readonly unlabelled: boolean,
  ) {}

  static of({ counter, least, most, unlabelled }: CountRange): HeldRange {
    return new HeldRange(counter.rule.topology.domainOf, counter.perDomain, least, most, unlabelled);
  }

  admits(slot: number): boolean {
    const domain = this.domainOf[slot]!;
    if (domain < 0) return this.unlabelled;
    const here = this.counts[domain]!;
    return here >= this.least && here <= this.most;
  }
}
const everything = new HeldRange(new Int32Array(0), new Float64Array(0), 0, 0, true);

interface PlannedFilter {
  readonly plugin: string;
  readonly rule: FilterRule;
}

export class Plan {
  readonly rules: Rules[] = [];
  /** Those that refuse every node. */
  refuseAll: NodeRefusal | undefined;
  /** Object-scoped first, then node, then cluster; in the profile's order within each. */
  readonly filters: PlannedFilter[];
  /** Scores that need no look at the other nodes: added up and kept. */
  readonly local: PlannedScore[] = [];
  readonly scores: PlannedScore[] = [];
  current: Current | undefined;
  readonly #snapshot: Snapshot;
  readonly #profileVersion: number;
  readonly #layout: number;
  readonly #countsVersion: number;
  readonly #objectFilters: number;
  readonly #keptFilters: number;
  /** Fixed ranges of cluster-scoped filters, by the verdict that they give. */
  readonly #fixed: { readonly verdict: number; readonly range: CountRange }[] = [];
  /** Whether what is kept of a node has the fixed ranges in it. */
  #withFixed = false;
  #objectAt: Float64Array | undefined;
  #objectVerdict: Uint8Array | undefined;
  #nodeAt: Float64Array | undefined;
  #nodeVerdict: Uint8Array | undefined;
  #localScore: Float64Array | undefined;
  /** Why not, of nodes whose kept verdict was asked for: one more than its number in the table, 0 when not known. */
  #refusalNumber: Uint32Array | undefined;
  #refusals = new RefusalTable();
  readonly #named = new Map<Refusal, NodeRefusal>();

  constructor(pod: Pod, snapshot: Snapshot, profile: Profile) {
    this.#snapshot = snapshot;
    this.#profileVersion = profile.version;
    const filters: PlannedFilter[] = [];
    const scores: PlannedScore[] = [];
    const plan = (plugin: Plugin, rules: Rules | undefined): void => {
      if (!rules) return;
      this.rules.push(rules);
      if (rules.refuseAll && !this.refuseAll) this.refuseAll = { ...rules.refuseAll, plugin: plugin.name };
      if (rules.filter) filters.push({ plugin: plugin.name, rule: rules.filter });
      if (rules.score) {
        const weight = profile.weightOf(plugin);
        const rule = rules.score;
        const kept = rule.normalize && rule.scope !== 'cluster' ? new KeptScores(snapshot, rule) : undefined;
        if (weight !== 0) scores.push({ plugin: plugin.name, weight, rule, kept });
      }
    };
    for (const plugin of profile.plugins) plan(plugin, plugin.compile?.(pod, snapshot) ?? this.#simple(plugin));
    const scope = (wanted: string) => filters.filter(each => each.rule.scope === wanted);
    this.filters = [...scope('object'), ...scope('node'), ...scope('cluster')];
    this.#objectFilters = scope('object').length;
    this.#keptFilters = this.#objectFilters + scope('node').length;
    for (let i = this.#keptFilters; i < this.filters.length; i++)
      for (const range of this.filters[i]!.rule.fixed ?? []) this.#fixed.push({ verdict: i + 1, range });
    this.#withFixed = this.#areFixedByNode();
    for (const score of scores)
      (score.rule.scope !== 'cluster' && !score.rule.normalize && !score.rule.begin ? this.local : this.scores).push(
        score,
      );
    // Compiling makes counters, which may drop others: taken last.
    this.#layout = snapshot.columns.layout;
    this.#countsVersion = snapshot.counts.version;
  }

  isStale(profile: Profile): boolean {
    return (
      this.#profileVersion !== profile.version ||
      this.#layout !== this.#snapshot.columns.layout ||
      this.#countsVersion !== this.#snapshot.counts.version ||
      this.rules.some(rules => rules.stale?.())
    );
  }

  /** From the second pod of the class on. */
  keepAnswers(): void {
    const withFixed = this.#areFixedByNode();
    if (withFixed !== this.#withFixed) {
      this.#withFixed = withFixed;
      this.#nodeAt?.fill(0);
    }
    if (this.#nodeAt) return;
    const { capacity } = this.#snapshot.columns;
    this.#objectAt = new Float64Array(capacity);
    this.#objectVerdict = new Uint8Array(capacity);
    this.#nodeAt = new Float64Array(capacity);
    this.#nodeVerdict = new Uint8Array(capacity);
    this.#localScore = new Float64Array(capacity);
    this.#refusalNumber = new Uint32Array(capacity);
  }

  /** Number (from 1) of the filter that refuses the node; 0 when all pass. */
  check(slot: number): number {
    const kept = this.#keptCheck(slot);
    if (kept !== 0) return kept;
    const { filters } = this;
    for (let i = this.#keptFilters; i < filters.length; i++) if (!filters[i]!.rule.passes(slot)) return i + 1;
    return 0;
  }

  #keptCheck(slot: number): number {
    const nodeAt = this.#nodeAt;
    if (!nodeAt) return this.#ask(slot, 0, this.#keptFilters) || (this.#withFixed ? this.#outOfFixed(slot) : 0);
    if (nodeAt[slot] !== this.#snapshot.columns.generation[slot]) this.#refresh(slot);
    return this.#nodeVerdict![slot]!;
  }

  /** Something happened to the node: its verdict, and its local score if it passes. */
  #refresh(slot: number): void {
    const { columns } = this.#snapshot;
    const nodeNow = columns.nodeGeneration[slot]!;
    let verdict: number;
    if (this.#objectAt![slot] === nodeNow) verdict = this.#objectVerdict![slot]!;
    else {
      verdict = this.#ask(slot, 0, this.#objectFilters);
      this.#objectAt![slot] = nodeNow;
      this.#objectVerdict![slot] = verdict;
    }
    if (verdict === 0) verdict = this.#ask(slot, this.#objectFilters, this.#keptFilters);
    if (verdict === 0 && this.#withFixed) verdict = this.#outOfFixed(slot);
    this.#nodeAt![slot] = columns.generation[slot]!;
    this.#nodeVerdict![slot] = verdict;
    this.#refusalNumber![slot] = 0;
    if (verdict === 0) this.#localScore![slot] = this.#sumLocal(slot);
  }

  #areFixedByNode(): boolean {
    return this.#fixed.length > 0 && this.#fixed.every(({ range }) => range.counter.rule.topology.isByNode);
  }

  /** Verdict of the first fixed range that the node is out of. */
  #outOfFixed(slot: number): number {
    for (const { verdict, range } of this.#fixed) if (!HeldRange.of(range).admits(slot)) return verdict;
    return 0;
  }

  /** Whether verdicts hang on the node alone. */
  get isNodeLocal(): boolean {
    return this.filters.length === this.#keptFilters;
  }

  /**
   * Fills `slots` with the first `wanted` nodes from `start` on that pass every filter, and answers how many they are and how many were looked
   * at; undefined for a class of which nothing is kept. `refuses` has the last word about nodes of `held`.
   */
  gather(
    slots: Int32Array,
    start: number,
    wanted: number,
    held: ReadonlyMap<number, unknown>,
    refuses: (slot: number) => boolean,
  ): { count: number; examined: number } | undefined {
    const nodeAt = this.#nodeAt;
    if (!nodeAt) return undefined;
    const { order, columns } = this.#snapshot;
    const { generation } = columns;
    const verdicts = this.#nodeVerdict!;
    const ranges: HeldRange[] = [];
    const others: FilterRule[] = [];
    for (let i = this.#keptFilters; i < this.filters.length; i++) {
      const { rule } = this.filters[i]!;
      if (rule.ranges) {
        for (const range of rule.ranges()) ranges.push(HeldRange.of(range));
        if (!this.#withFixed) for (const range of rule.fixed ?? []) ranges.push(HeldRange.of(range));
      } else others.push(rule);
    }
    // Most classes have one at the most: its parts stay at hand.
    const [first] = ranges;
    const { domainOf, counts, least, most, unlabelled } = first ?? everything;
    const total = order.length;
    const anyHeld = held.size > 0;
    let count = 0;
    let index = start;
    let examined = 0;
    next: for (; examined < total && count < wanted; examined++) {
      const slot = order[index]!;
      if (++index === total) index = 0;
      if (nodeAt[slot] !== generation[slot]) this.#refresh(slot);
      if (verdicts[slot] !== 0) continue;
      if (first !== undefined) {
        const domain = domainOf[slot]!;
        if (domain >= 0) {
          const here = counts[domain]!;
          if (here < least || here > most) continue;
        } else if (!unlabelled) continue;
        for (let i = 1; i < ranges.length; i++) if (!ranges[i]!.admits(slot)) continue next;
      }
      for (let i = 0; i < others.length; i++) if (!others[i]!.passes(slot)) continue next;
      if (anyHeld && held.has(slot) && refuses(slot)) continue;
      slots[count++] = slot;
    }
    return { count, examined };
  }

  /** Why not, of every node from `start` on, when `gather` found none and verdicts are local; `refuses` says it of those that pass the filters. */
  allRefusals(start: number, refuses: (slot: number) => NodeRefusal): Refusals {
    const { order, columns } = this.#snapshot;
    const { generation } = columns;
    const nodeAt = this.#nodeAt!;
    if (this.#refusals.kinds.length > namedLimit) {
      this.#refusals = new RefusalTable();
      this.#refusalNumber!.fill(0);
    }
    const table = this.#refusals;
    const numbers = this.#refusalNumber!;
    const verdicts = this.#nodeVerdict!;
    const refusals = new Refusals(this.#snapshot, order.length, table);
    for (let i = 0, index = start; i < order.length; i++) {
      const slot = order[index]!;
      if (++index === order.length) index = 0;
      // What was supposed of a node since is not what is true of it.
      if (nodeAt[slot] !== generation[slot]) this.#refresh(slot);
      if (numbers[slot] === 0 && verdicts[slot] !== 0)
        numbers[slot] = 1 + table.numberOf(this.refusal(slot, verdicts[slot]!));
      if (verdicts[slot] !== 0) refusals.addNumber(slot, numbers[slot]! - 1);
      else refusals.add(slot, refuses(slot));
    }
    return refusals;
  }

  #ask(slot: number, from: number, to: number): number {
    const { filters } = this;
    for (let i = from; i < to; i++) if (!filters[i]!.rule.passes(slot)) return i + 1;
    return 0;
  }

  /** Sums of the weighted local scores of nodes that passed. What was supposed of a node meanwhile is not what is kept of it. */
  localScores(totals: Float64Array, slots: Int32Array): void {
    const nodeAt = this.#nodeAt;
    if (!nodeAt) {
      for (let i = 0; i < slots.length; i++) totals[i] = this.#sumLocal(slots[i]!);
      return;
    }
    const { generation } = this.#snapshot.columns;
    const kept = this.#localScore!;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (nodeAt[slot] !== generation[slot]) this.#refresh(slot);
      totals[i] = kept[slot]!;
    }
  }

  #sumLocal(slot: number): number {
    let sum = 0;
    for (const { rule, weight } of this.local) sum += weight * rule.of(slot);
    return sum;
  }

  refusal(slot: number, verdict: number): NodeRefusal {
    const { plugin, rule } = this.filters[verdict - 1]!;
    const refusal = rule.refusal(slot);
    if (!Array.isArray(refusal?.reasons) || refusal.reasons.length === 0) throw noRefusal(plugin, refusal);
    // Equal refusals stay one object: they are counted by identity.
    let named = this.#named.get(refusal);
    if (!named) {
      named = { ...refusal, plugin };
      if (this.#named.size < namedLimit) this.#named.set(refusal, named);
    }
    return named;
  }

  /** The plain points of a plugin, as rules. */
  #simple(plugin: Plugin): Rules | undefined {
    if (!plugin.filter && !plugin.score) return undefined;
    const at = (slot: number) => this.#snapshot.at(slot);
    const { filter, score } = plugin;
    const refusalAt = (slot: number): Refusal | undefined =>
      asked(plugin, 'filter', () => plugin.filter!(this.current!.pod, at(slot), this.current!.cycle));
    return {
      ...(filter
        ? {
            filter: {
              scope: 'cluster' as const,
              passes: (slot: number) => !refusalAt(slot),
              refusal: (slot: number) => refusalAt(slot) ?? { reasons: ['it answered differently when asked again'] },
            },
          }
        : {}),
      ...(score ? { score: this.#simpleScore(plugin) } : {}),
    };
  }

  #simpleScore(plugin: Plugin): ScoreRule {
    const at = (slot: number) => this.#snapshot.at(slot);
    const normalize = (scores: Float64Array, slots: Int32Array): void => {
      const { pod, cycle } = this.current!;
      const byName = new Map<string, number>();
      for (let i = 0; i < slots.length; i++) byName.set(at(slots[i]!).name, scores[i]!);
      asked(plugin, 'normalizeScore', () => plugin.normalizeScore!(pod, byName, cycle));
      for (let i = 0; i < slots.length; i++) scores[i] = byName.get(at(slots[i]!).name)!;
    };
    return {
      scope: 'cluster',
      of: slot => asked(plugin, 'score', () => plugin.score!(this.current!.pod, at(slot), this.current!.cycle)),
      ...(plugin.normalizeScore ? { normalize } : {}),
      ...(plugin.preScore
        ? {
            begin: (slots: Int32Array) =>
              asked(plugin, 'preScore', () =>
                plugin.preScore!(this.current!.pod, Array.from(slots, at), this.current!.cycle),
              ),
          }
        : {}),
    };
  }
}

const noRefusal = (plugin: string, answer: unknown): Error =>
  new Error(`plugin "${plugin}" refused with ${JSON.stringify(answer)}; a refusal is { reasons: ["why"] }`);

/** Refusals remembered by a plan; plain plugins make a new one each time. */
const namedLimit = 256;

/** Plans kept for one cluster and profile; the oldest used go first. */
const planLimit = 256;
const plansOf = new WeakMap<Profile, WeakMap<Snapshot, Map<unknown, Plan>>>();

export function planFor(pod: Pod, podClass: object, snapshot: Snapshot, profile: Profile): Plan {
  let bySnapshot = plansOf.get(profile);
  if (!bySnapshot) {
    bySnapshot = new WeakMap();
    plansOf.set(profile, bySnapshot);
  }
  let plans = bySnapshot.get(snapshot);
  if (!plans) {
    plans = new Map();
    bySnapshot.set(snapshot, plans);
  }
  const key = signedKey(pod, podClass, profile);
  let plan = plans.get(key);
  if (plan && !plan.isStale(profile)) {
    plan.keepAnswers();
    return plan;
  }
  const known = plan !== undefined;
  plan = new Plan(pod, snapshot, profile);
  if (known) plan.keepAnswers();
  plans.delete(key);
  plans.set(key, plan);
  if (plans.size > planLimit) plans.delete(plans.keys().next().value);
  return plan;
}

/** The class alone, unless a plugin's rules hang on more. */
function signedKey(pod: Pod, podClass: object, profile: Profile): unknown {
  let signs: string | undefined;
  for (const plugin of profile.plugins) {
    const sign = plugin.sign?.(pod);
    if (sign) signs = `${signs ?? ''}\0${plugin.name} ${sign}`;
  }
  return signs === undefined ? podClass : `${(podClass as { key: string }).key}${signs}`;
}
