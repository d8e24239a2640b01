/**
 * The groups, topologies and counters of a cluster state: who asks for a count gets a counter that stays true from then on.
 *
 * Counters that nobody has asked for during the last `counterLimit` others are dropped; they are made anew from the groups, not from the pods.
 */
import { type corev1, labelSelectorOf, type Node } from '@orbitkit/core';
import type { PodClass } from './pod-class.js';
import { Counter, type CounterRule, groupKeyOf, type PodGroup, Topology } from './topology.js';

const counterLimit = 512;

export type AffinityTerm = corev1.PodAffinityTerm;

export interface LabelledPods {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A term that pods in the cluster carry: what they say about others. */
export interface CarriedTerm {
  readonly key: string;
  readonly term: AffinityTerm;
  /** Namespace of the pods that carry it: where it looks when it names none. */
  readonly namespace: string;
  readonly type: 'requiredAnti' | 'required' | 'preferred' | 'preferredAnti';
  readonly weight: number;
  groups: number;
}

interface World {
  capacity(): number;
  nodeAt(slot: number): Node | undefined;
  slots(): Int32Array;
  namespaceLabels(name: string): Readonly<Record<string, string>>;
}

export class PodCounts {
  readonly #world: World;
  readonly #groups = new Map<string, PodGroup>();
  readonly #groupOfClass = new WeakMap<PodClass, PodGroup>();
  readonly #topologies = new Map<string, Topology>();
  readonly #counters = new Map<string, Counter>();
  readonly #carried = new Map<string, CarriedTerm>();
  /** Changes when counters were dropped or terms came or went: who keeps either asks again. */
  version = 1;
  #clock = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Terms of pods that are somewhere in the cluster. */
  get carried(): Iterable<CarriedTerm> {
    return this.#carried.values();
  }

  groupOf(podClass: PodClass): PodGroup {
    const cached = this.#groupOfClass.get(podClass);
    if (cached && this.#groups.get(cached.key) === cached) return cached;
    const key = groupKeyOf(podClass);
    let group = this.#groups.get(key);
    if (!group) {
      const { namespace, labels, leaving, affinity } = podClass;
      const { podAffinity, podAntiAffinity } = affinity ?? {};
      group = {
        key,
        namespace,
        labels,
        leaving,
        podAffinity,
        podAntiAffinity,
        bySlot: new Map(),
        total: 0,
        counters: [],
      };
      this.#groups.set(key, group);
      for (const counter of this.#counters.values()) {
        const weight = counter.rule.weigh(group);
        if (weight !== 0) group.counters.push({ counter, weight });
      }
    }
    this.#groupOfClass.set(podClass, group);
    return group;
  }

  add(group: PodGroup, slot: number, sign: 1 | -1): void {
    if (group.total === 0) this.#carry(group, 1);
    group.total += sign;
    const count = (group.bySlot.get(slot) ?? 0) + sign;
    if (count === 0) group.bySlot.delete(slot);
    else group.bySlot.set(slot, count);
    for (const { counter, weight } of group.counters) counter.add(slot, sign * weight);
    if (group.total === 0) {
      this.#carry(group, -1);
      this.#groups.delete(group.key);
    }
  }

  topology(key: string): Topology {
    let topology = this.#topologies.get(key);
    if (!topology) {
      topology = new Topology(key, this.#world.capacity());
      this.#topologies.set(key, topology);
      for (const slot of this.#world.slots()) topology.place(slot, this.#world.nodeAt(slot)?.metadata.labels?.[key]);
    }
    return topology;
  }

  /** The counter of that rule. Keep it no longer than `version` stays. */
  counter(rule: CounterRule): Counter {
    let counter = this.#counters.get(rule.key);
    if (!counter) {
      counter = new Counter(rule, this.#world.capacity());
      for (const group of this.#groups.values()) {
        const weight = rule.weigh(group);
        if (weight === 0) continue;
        group.counters.push({ counter, weight });
        for (const [slot, count] of group.bySlot) counter.perSlot[slot]! += weight * count;
      }
      for (const slot of this.#world.slots()) counter.attach(slot);
      rule.topology.counters.add(counter);
      this.#counters.set(rule.key, counter);
      if (this.#counters.size > counterLimit) this.#dropOld();
    }
    counter.lastUsed = ++this.#clock;
    return counter;
  }

  /** Whether a term that stands in a pod of `owner`'s namespace speaks of pods like that. Right until namespaces change. */
  matcherOf(term: AffinityTerm, owner: string): (other: LabelledPods) => boolean {
    if (!term.labelSelector) return () => false;
    const { namespaces } = term;
    const selector = labelSelectorOf(term.labelSelector);
    const places = term.namespaceSelector && labelSelectorOf(term.namespaceSelector);
    return other =>
      (namespaces?.includes(other.namespace) ||
        places?.matches(this.#world.namespaceLabels(other.namespace)) ||
        (!namespaces?.length && !places && owner === other.namespace)) &&
      selector.matches(other.labels);
  }

  nodeChanged(slot: number, before: Node | undefined): void {
    const after = this.#world.nodeAt(slot);
    for (const topology of this.#topologies.values()) {
      const value = after?.metadata.labels?.[topology.key];
      const sameLabel = value === before?.metadata.labels?.[topology.key];
      // Eligibility may hang on other labels and on taints: counters that have a rule for it look again.
      if (!sameLabel || !before !== !after) topology.place(slot, value);
      else
        for (const counter of topology.counters) {
          if (!counter.rule.eligible) continue;
          counter.detach(slot);
          counter.attach(slot);
        }
    }
  }

  /** Selectors of namespaces may match others now: all counts are made again when they are asked for. */
  namespacesChanged(): void {
    if (this.#counters.size > 0) this.#drop([...this.#counters.values()]);
    this.version += 1;
  }

  grow(capacity: number): void {
    for (const topology of this.#topologies.values()) topology.grow(capacity);
    this.version += 1;
  }

  #carry(group: PodGroup, sign: 1 | -1): void {
    for (const { type, term, weight } of termsOf(group)) {
      const key = carriedKey(type, weight, group.namespace, term);
      const known = this.#carried.get(key);
      if (known) known.groups += sign;
      else this.#carried.set(key, { key, type, term, weight, namespace: group.namespace, groups: 1 });
      if (known?.groups === 0) this.#carried.delete(key);
      if (!known || known.groups === 0) this.version += 1;
    }
  }

  #dropOld(): void {
    const old = [...this.#counters.values()].sort((a, b) => a.lastUsed - b.lastUsed).slice(0, counterLimit / 2);
    this.#drop(old);
    this.version += 1;
  }

  #drop(counters: readonly Counter[]): void {
    const gone = new Set(counters);
    for (const counter of gone) {
      this.#counters.delete(counter.rule.key);
      counter.rule.topology.counters.delete(counter);
    }
    for (const group of this.#groups.values()) group.counters = group.counters.filter(each => !gone.has(each.counter));
  }
}

const carriedKeys = new WeakMap<object, string>();
function carriedKey(type: string, weight: number, namespace: string, term: AffinityTerm): string {
  let text = carriedKeys.get(term);
  if (text === undefined) {
    text = JSON.stringify(term);
    carriedKeys.set(term, text);
  }
  return `${type} ${weight} ${namespace} ${text}`;
}

/** Everything that the pods of a group say about others. */
export function* termsOf(group: Pick<PodGroup, 'podAffinity' | 'podAntiAffinity'>) {
  const { podAffinity, podAntiAffinity } = group;
  for (const term of podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [])
    yield { type: 'requiredAnti' as const, term, weight: 1 };
  for (const term of podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [])
    yield { type: 'required' as const, term, weight: 1 };
  for (const each of podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    yield { type: 'preferred' as const, term: each.podAffinityTerm, weight: each.weight };
  for (const each of podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    yield { type: 'preferredAnti' as const, term: each.podAffinityTerm, weight: each.weight };
}
