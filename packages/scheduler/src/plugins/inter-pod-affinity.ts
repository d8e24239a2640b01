/**
 * Near these pods, away from those: affinity and anti-affinity between pods, required and preferred.
 *
 * - Required terms of the incoming pod filter; so do required anti-affinity terms of pods that are there already (symmetric). Required affinity counts pods
 *   that match all of the terms; when there is none and the pod would match itself, it may be the first.
 * - Preferred terms score, the incoming pod's and those of pods that are there; their required affinity terms count `hardPodAffinityWeight`.
 * - `soft` is the reading of the older MiniK8s systems: only the incoming pod's anti-affinity terms count, a term excludes hosts whatever its
 *   topologyKey says, and a rule that excludes every node is ignored.
 *
 * Source: the API's documentation of podAffinity and podAntiAffinity; behaviour of kube-scheduler's InterPodAffinity.
 */
import type { corev1, Pod } from '@orbitkit/core';
import type { EventInterest } from '../framework/event.js';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onNode, onObject, onPod } from '../framework/queueing-hints.js';
import type { CountRange, Rules } from '../framework/rules.js';
import { classOf, type PodClass } from '../snapshot/pod-class.js';
import { type AffinityTerm, type CarriedTerm, type LabelledPods, termsOf } from '../snapshot/pod-counts.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { Counter, PodGroup, Topology } from '../snapshot/topology.js';

/** Everything has kube-scheduler's default. */
export interface InterPodAffinityOptions {
  /** Weight of the score. */
  weight?: number;
  /** What a required affinity term of a pod that is there counts in the score of nodes near it. Default 1. */
  hardPodAffinityWeight?: number;
  /** Leave preferred terms of pods that are there out. */
  ignorePreferredTermsOfExistingPods?: boolean;
  /** The older reading, see above. Default false. */
  soft?: boolean;
}

const notNear: Refusal = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true };
const tooNear: Refusal = { reasons: ["node(s) didn't match pod anti-affinity rules"] };
const unwelcome: Refusal = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };

const requiredTerms = (rule: corev1.PodAffinity | corev1.PodAntiAffinity | undefined): readonly AffinityTerm[] =>
  rule?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

/** Whose topology or namespaces decide: the pod's own required terms, and those of others that keep it away. */
function decisiveTerms(pod: Pod, snapshot: Snapshot): AffinityTerm[] {
  const { affinity, labels, namespace } = classOf(pod);
  return [
    ...requiredTerms(affinity?.podAffinity),
    ...requiredTerms(affinity?.podAntiAffinity),
    ...about(snapshot, { namespace, labels }, ['requiredAnti']).map(({ term }) => term),
  ];
}

/** A pod it must be near came, or the last of them went and it may be the first; a pod that it must avoid, or that avoids it, went. */
function mayBeNear(pod: Pod, before: Pod | undefined, after: Pod | undefined, snapshot: Snapshot): boolean {
  const own = classOf(pod);
  const near = requiredTerms(own.affinity?.podAffinity);
  const away = requiredTerms(own.affinity?.podAntiAffinity);
  const speaks = (term: AffinityTerm, owner: LabelledPods, other: LabelledPods): boolean =>
    snapshot.counts.matcherOf(term, owner.namespace)(other);
  const isFriend = (other: PodClass | undefined): boolean =>
    other !== undefined && near.length > 0 && near.every(term => speaks(term, own, other));
  /** Terms that keep the two apart, each in a topology of its own. */
  const apart = (other: PodClass | undefined): string[] => {
    if (!other) return [];
    const ours = away.filter(term => speaks(term, own, other));
    const theirs = requiredTerms(other.affinity?.podAntiAffinity).filter(term => speaks(term, other, own));
    return [...ours.map(term => `ours ${JSON.stringify(term)}`), ...theirs.map(term => JSON.stringify(term))];
  };
  const [was, is] = [before && classOf(before), after && classOf(after)];
  if (isFriend(was) !== isFriend(is)) return true;
  const left = apart(is);
  return apart(was).some(term => !left.includes(term));
}

const interests: readonly EventInterest[] = [
  'NodeDelete',
  ...onNode(['NodeAdd'], (pod, { node }) => {
    const near = requiredTerms(classOf(pod).affinity?.podAffinity);
    return near.length === 0 || near.some(({ topologyKey }) => node.metadata.labels?.[topologyKey] !== undefined);
  }),
  ...onNode(['NodeLabel'], (pod, { node, before }, snapshot) => {
    if (!snapshot || !before) return true;
    const [was, is] = [before.metadata.labels ?? {}, node.metadata.labels ?? {}];
    return decisiveTerms(pod, snapshot).some(({ topologyKey }) => was[topologyKey] !== is[topologyKey]);
  }),
  ...onPod(
    ['PodAdd', 'PodDelete', 'PodLabel'],
    (pod, { before, after }, snapshot) => !snapshot || mayBeNear(pod, before, after, snapshot),
  ),
  ...onObject('NamespaceLabel', (pod, _after, _before, snapshot) => {
    if (!snapshot) return true;
    const { affinity } = classOf(pod);
    const own = [...requiredTerms(affinity?.podAffinity), ...requiredTerms(affinity?.podAntiAffinity)];
    if (own.some(term => term.namespaceSelector)) return true;
    // Also those of others that do not speak of the pod: until now they may have.
    return [...snapshot.counts.carried].some(({ type, term }) => type === 'requiredAnti' && term.namespaceSelector);
  }),
];

/** The plugin InterPodAffinity. Default weight 2. */
export const interPodAffinity = (options: InterPodAffinityOptions = {}): Plugin => ({
  name: 'InterPodAffinity',
  weight: options.weight ?? 2,
  events: options.soft ? ['NodeAdd', 'NodeDelete', 'NodeLabel', 'PodAdd', 'PodDelete', 'PodLabel'] : interests,
  compile: (pod, snapshot) => (options.soft ? softRules(pod, snapshot) : rules(pod, snapshot, options)),
});

function rules(pod: Pod, snapshot: Snapshot, options: InterPodAffinityOptions): Rules | undefined {
  const filter = filterOf(pod, snapshot);
  const score = scoreOf(pod, snapshot, options);
  return filter || score ? { ...(filter ? { filter } : {}), ...(score ? { score } : {}) } : undefined;
}

/** Counts pods that match all of the terms, which stand in a pod of that namespace. */
function matching(snapshot: Snapshot, terms: readonly AffinityTerm[], namespace: string, topologyKey: string): Counter {
  const matchers = terms.map(term => snapshot.counts.matcherOf(term, namespace));
  const selectors = terms.map(({ topologyKey: _key, ...selector }) => selector);
  return snapshot.counts.counter({
    key: `near ${JSON.stringify([namespace, selectors, topologyKey])}`,
    topology: snapshot.counts.topology(topologyKey),
    weigh: group => (matchers.every(matches => matches(group)) ? 1 : 0),
  });
}

/** Counts pods that carry the term. */
const carrying = (snapshot: Snapshot, carried: CarriedTerm): Counter =>
  snapshot.counts.counter({
    key: `carries ${carried.key}`,
    topology: snapshot.counts.topology(carried.term.topologyKey),
    weigh: group => (carries(group, carried) ? 1 : 0),
  });

function carries(group: PodGroup, carried: CarriedTerm): boolean {
  if (group.namespace !== carried.namespace) return false;
  const text = JSON.stringify(carried.term);
  for (const { type, term, weight } of termsOf(group))
    if (type === carried.type && weight === carried.weight && JSON.stringify(term) === text) return true;
  return false;
}

/** Terms of pods in the cluster that speak of this one. */
function about(snapshot: Snapshot, pod: LabelledPods, types: readonly CarriedTerm['type'][]): CarriedTerm[] {
  return [...snapshot.counts.carried].filter(
    each => types.includes(each.type) && snapshot.counts.matcherOf(each.term, each.namespace)(pod),
  );
}

function filterOf(pod: Pod, snapshot: Snapshot) {
  const podClass = classOf(pod);
  const { namespace } = podClass;
  const near = requiredTerms(podClass.affinity?.podAffinity);
  const away = requiredTerms(podClass.affinity?.podAntiAffinity);
  const existing = about(snapshot, podClass, ['requiredAnti']).map(each => carrying(snapshot, each));
  if (near.length + away.length + existing.length === 0) return undefined;

  const domains = (counters: readonly Counter[]) => counters.map(each => each.rule.topology);
  const awayCounters = away.map(term => matching(snapshot, [term], namespace, term.topologyKey));
  const nearCounters = near.map(term => matching(snapshot, near, namespace, term.topologyKey));
  const [existingAt, awayAt, nearAt] = [domains(existing), domains(awayCounters), domains(nearCounters)];
  const mayBeFirst = near.every(term => snapshot.counts.matcherOf(term, namespace)(podClass));

  const hits = (counters: readonly Counter[], at: readonly Topology[], slot: number): boolean => {
    for (let i = 0; i < counters.length; i++) {
      const domain = at[i]!.domainOf[slot]!;
      if (domain >= 0 && counters[i]!.perDomain[domain]! > 0) return true;
    }
    return false;
  };
  const isNear = (slot: number): boolean => {
    let all = true;
    for (let i = 0; i < nearCounters.length; i++) {
      const domain = nearAt[i]!.domainOf[slot]!;
      if (domain < 0) return false;
      if (!(nearCounters[i]!.perDomain[domain]! > 0)) all = false;
    }
    return all || (mayBeFirst && isNobodyThere());
  };
  const isNobodyThere = (): boolean => nearCounters.every(each => each.total === 0);
  const none = [...awayCounters, ...existing].map(
    (counter): CountRange => ({ counter, least: 0, most: 0, unlabelled: true }),
  );
  const nearAtLeast = (least: number) =>
    nearCounters.map((counter): CountRange => ({ counter, least, most: Number.POSITIVE_INFINITY, unlabelled: false }));
  const ranges = nearAtLeast(1);
  const first = nearAtLeast(0);
  return {
    scope: 'cluster' as const,
    passes: (slot: number) =>
      (nearCounters.length === 0 || isNear(slot)) &&
      !hits(awayCounters, awayAt, slot) &&
      !hits(existing, existingAt, slot),
    refusal: (slot: number) => (!isNear(slot) ? notNear : hits(awayCounters, awayAt, slot) ? tooNear : unwelcome),
    ranges: () => (nearCounters.length > 0 && mayBeFirst && isNobodyThere() ? first : ranges),
    fixed: none,
  };
}

function scoreOf(pod: Pod, snapshot: Snapshot, options: InterPodAffinityOptions) {
  const podClass = classOf(pod);
  const { namespace, affinity } = podClass;
  const parts: { counter: Counter; topology: Topology; weight: number }[] = [];
  const add = (counter: Counter, weight: number): void => {
    if (weight !== 0) parts.push({ counter, topology: counter.rule.topology, weight });
  };
  for (const [list, sign] of [
    [affinity?.podAffinity, 1],
    [affinity?.podAntiAffinity, -1],
  ] as const) {
    for (const { weight, podAffinityTerm: term } of list?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      add(matching(snapshot, [term], namespace, term.topologyKey), sign * weight);
  }
  const preferences = options.ignorePreferredTermsOfExistingPods ? [] : (['preferred', 'preferredAnti'] as const);
  for (const carried of about(snapshot, podClass, ['required', ...preferences])) {
    const weight =
      carried.type === 'required'
        ? (options.hardPodAffinityWeight ?? 1)
        : carried.type === 'preferred'
          ? carried.weight
          : -carried.weight;
    add(carrying(snapshot, carried), weight);
  }
  if (parts.length === 0) return undefined;
  return {
    scope: 'cluster' as const,
    of(slot: number): number {
      let sum = 0;
      for (let i = 0; i < parts.length; i++) {
        const { counter, topology, weight } = parts[i]!;
        const domain = topology.domainOf[slot]!;
        if (domain >= 0) sum += weight * counter.perDomain[domain]!;
      }
      return sum;
    },
    fill(scores: Float64Array, slots: Int32Array): void {
      for (let part = 0; part < parts.length; part++) {
        const { counter, topology, weight } = parts[part]!;
        const { perDomain } = counter;
        const { domainOf } = topology;
        for (let i = 0; i < slots.length; i++) {
          const domain = domainOf[slots[i]!]!;
          const points = domain >= 0 ? weight * perDomain[domain]! : 0;
          scores[i] = part === 0 ? points : scores[i]! + points;
        }
      }
    },
    normalize(scores: Float64Array, slots: Int32Array): void {
      let most = Number.NEGATIVE_INFINITY;
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < slots.length; i++) {
        if (scores[i]! > most) most = scores[i]!;
        if (scores[i]! < least) least = scores[i]!;
      }
      const span = most - least;
      for (let i = 0; i < slots.length; i++) scores[i] = span > 0 ? Math.floor((100 * (scores[i]! - least)) / span) : 0;
    },
  };
}

function softRules(pod: Pod, snapshot: Snapshot): Rules | undefined {
  const terms = requiredTerms(pod.spec.affinity?.podAntiAffinity);
  const wanted = terms
    .map(term => Object.entries(term.labelSelector?.matchLabels ?? {}))
    .filter(each => each.length > 0);
  if (wanted.length === 0) return undefined;
  const counter = snapshot.counts.counter({
    key: `soft ${JSON.stringify(wanted)}`,
    topology: snapshot.counts.topology('kubernetes.io/hostname'),
    weigh: group => (wanted.some(labels => labels.every(([key, value]) => group.labels[key] === value)) ? 1 : 0),
  });
  let ignored = false;
  return {
    begin() {
      ignored = snapshot.order.every(slot => counter.perSlot[slot]! > 0);
    },
    filter: { scope: 'cluster', passes: slot => ignored || counter.perSlot[slot] === 0, refusal: () => tooNear },
  };
}
