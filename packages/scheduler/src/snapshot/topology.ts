/**
 * Counts of pods by topology domain, kept while pods come and go, so that spread and affinity never recount the cluster.
 *
 * - A *topology* numbers the values of one node label; each node has a domain, or -1.
 * - A *group* is pods with equal namespace, labels and (anti-)affinity terms. Whether a selector matches is asked once for a group.
 * - A *counter* is one selector over one topology: how many matching pods (or how much weight) each node and each domain has.
 *
 * Invariant: a counter equals a recount over all pods at any time (property-tested).
 */
import type { corev1 } from '@orbitkit/core';
import type { PodClass } from './pod-class.js';

export class Topology {
  readonly key: string;
  readonly values: string[] = [];
  /** Domain of each slot; -1 without the label or without the node. */
  domainOf: Int32Array;
  /** Nodes in each domain. */
  readonly nodes: number[] = [];
  /** Domains that have a node. */
  populated = 0;
  /** Nodes that have the label. */
  labelled = 0;

  /** Each node is a domain of its own: what a domain has changes with its node only. */
  get isByNode(): boolean {
    return this.populated === this.labelled;
  }

  readonly #ids = new Map<string, number>();
  readonly counters = new Set<Counter>();

  constructor(key: string, capacity: number) {
    this.key = key;
    this.domainOf = new Int32Array(capacity).fill(-1);
  }

  idOf(value: string): number {
    let id = this.#ids.get(value);
    if (id === undefined) {
      id = this.values.length;
      this.#ids.set(value, id);
      this.values.push(value);
      this.nodes.push(0);
      for (const counter of this.counters) counter.reach(id);
    }
    return id;
  }

  place(slot: number, value: string | undefined): void {
    const before = this.domainOf[slot]!;
    const after = value === undefined ? -1 : this.idOf(value);
    if (before >= 0) {
      this.labelled -= 1;
      if (--this.nodes[before]! === 0) this.populated -= 1;
    }
    if (after >= 0) {
      this.labelled += 1;
      if (++this.nodes[after]! === 1) this.populated += 1;
    }
    for (const counter of this.counters) counter.detach(slot);
    this.domainOf[slot] = after;
    for (const counter of this.counters) counter.attach(slot);
  }

  grow(capacity: number): void {
    const wider = new Int32Array(capacity).fill(-1);
    wider.set(this.domainOf);
    this.domainOf = wider;
    for (const counter of this.counters) counter.grow(capacity);
  }
}

export interface PodGroup {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly leaving: boolean;
  readonly podAffinity: corev1.PodAffinity | undefined;
  readonly podAntiAffinity: corev1.PodAntiAffinity | undefined;
  readonly bySlot: Map<number, number>;
  total: number;
  /** Counters that count it, and how much a pod of it weighs there. */
  counters: { readonly counter: Counter; readonly weight: number }[];
}

export const groupKeyOf = (podClass: PodClass): string =>
  JSON.stringify([
    podClass.namespace,
    podClass.labels,
    podClass.leaving,
    podClass.affinity?.podAffinity,
    podClass.affinity?.podAntiAffinity,
  ]);

export interface CounterRule {
  /** Two rules with one key count the same. */
  readonly key: string;
  readonly topology: Topology;
  /** How much one pod of the group counts; 0 when it does not. */
  weigh(group: PodGroup): number;
  /** Nodes that are counted at all. Default: every node that has the label. */
  eligible?(slot: number): boolean;
  /** Whether `least` is asked for; only where each pod weighs 1. */
  readonly tracksLeast?: boolean;
}

export class Counter {
  readonly rule: CounterRule;
  perSlot: Float64Array;
  /** By domain, for every domain of the topology; 0 where no node is eligible. Replaced when it grows. */
  perDomain = new Float64Array(8);
  /** Eligible nodes by domain; a domain without one is not a place to spread to. */
  #eligibleNodes = new Int32Array(8);
  /** Sum over all domains. */
  total = 0;
  /** Domains with an eligible node. */
  domains = 0;
  lastUsed = 0;
  #attached: Uint8Array;
  /** How many domains have each count, to know the least without looking at all. */
  readonly #histogram: number[] = [];
  #least = 0;

  constructor(rule: CounterRule, capacity: number) {
    this.rule = rule;
    this.perSlot = new Float64Array(capacity);
    this.#attached = new Uint8Array(capacity);
    this.reach(rule.topology.values.length);
  }

  /** Has room for that domain from now on. */
  reach(domain: number): void {
    if (domain < this.perDomain.length) return;
    const perDomain = new Float64Array(2 * (domain + 1));
    perDomain.set(this.perDomain);
    this.perDomain = perDomain;
    const eligibleNodes = new Int32Array(2 * (domain + 1));
    eligibleNodes.set(this.#eligibleNodes);
    this.#eligibleNodes = eligibleNodes;
  }

  /** The least count of a domain with an eligible node; 0 without domains. */
  get least(): number {
    if (this.domains === 0) return 0;
    while (!this.#histogram[this.#least]) this.#least += 1;
    return this.#least;
  }

  add(slot: number, amount: number): void {
    this.perSlot[slot]! += amount;
    if (this.#attached[slot]) this.#move(this.rule.topology.domainOf[slot]!, amount);
  }

  /** The node counts from now on, if it has the label and is eligible. */
  attach(slot: number): void {
    const domain = this.rule.topology.domainOf[slot]!;
    if (domain < 0 || (this.rule.eligible && !this.rule.eligible(slot))) return;
    this.#attached[slot] = 1;
    if (this.#eligibleNodes[domain] === 0) {
      this.domains += 1;
      this.#enter(0);
    }
    this.#eligibleNodes[domain]! += 1;
    this.#move(domain, this.perSlot[slot]!);
  }

  detach(slot: number): void {
    if (!this.#attached[slot]) return;
    const domain = this.rule.topology.domainOf[slot]!;
    this.#attached[slot] = 0;
    this.#move(domain, -this.perSlot[slot]!);
    this.#eligibleNodes[domain]! -= 1;
    if (this.#eligibleNodes[domain] === 0) {
      this.domains -= 1;
      this.#leave(0);
    }
  }

  isEligible(slot: number): boolean {
    return this.#attached[slot] === 1;
  }

  grow(capacity: number): void {
    const wider = new Float64Array(capacity);
    wider.set(this.perSlot);
    this.perSlot = wider;
    const attached = new Uint8Array(capacity);
    attached.set(this.#attached);
    this.#attached = attached;
  }

  #move(domain: number, amount: number): void {
    if (amount === 0) return;
    const before = this.perDomain[domain]!;
    this.#leave(before);
    this.perDomain[domain] = before + amount;
    this.#enter(before + amount);
    this.total += amount;
  }
  #enter(count: number): void {
    if (!this.rule.tracksLeast) return;
    this.#histogram[count] = (this.#histogram[count] ?? 0) + 1;
    if (count < this.#least) this.#least = count;
  }
  #leave(count: number): void {
    if (this.rule.tracksLeast) this.#histogram[count]! -= 1;
  }
}
