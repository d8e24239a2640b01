/**
 * Spreads pods that a selector matches over the values of a node label.
 *
 * - DoNotSchedule: the count of a domain, with the pod, may exceed the least count of any domain by `maxSkew`; with fewer domains than `minDomains`
 *   the least counts as 0. ScheduleAnyway: the same counts as score, domains weighted by log(domains + 2).
 * - Domains are those of nodes that have the keys of all constraints and that `nodeAffinityPolicy` (default Honor) and `nodeTaintsPolicy` (default Ignore) let in.
 * - A pod without constraints gets the default ones (system default: hostname 3, zone 5, ScheduleAnyway) for the pods that its services and workload select.
 *
 * Source: the API's documentation of topologySpreadConstraints; behaviour of kube-scheduler's PodTopologySpread.
 */
import {
  type corev1,
  type LabelSelector,
  labelSelectorOf,
  type Node,
  type Pod,
  selectsNode,
  tolerates,
} from '@orbitkit/core';
import type { EventInterest } from '../framework/event.js';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onNode, onPod } from '../framework/queueing-hints.js';
import type { FilterRule, ScoreRule } from '../framework/rules.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { Counter, CounterRule, Topology } from '../snapshot/topology.js';
import { defaultSelector, selectorsVersion } from './default-selector.js';

/** As in `spec.topologySpreadConstraints` of a pod. */
export type SpreadConstraint = corev1.TopologySpreadConstraint;

/** Everything has kube-scheduler's default. */
export interface TopologySpreadOptions {
  /** Of the score. Default 2, kube-scheduler's. */
  weight?: number;
  /** For pods without constraints of their own. Default: the system's. An empty list: none. */
  defaultConstraints?: readonly Pick<SpreadConstraint, 'maxSkew' | 'topologyKey' | 'whenUnsatisfiable'>[];
}

const hostname = 'kubernetes.io/hostname';
const systemDefaults = [
  { maxSkew: 3, topologyKey: hostname, whenUnsatisfiable: 'ScheduleAnyway' },
  { maxSkew: 5, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
] as const;

const uneven: Refusal = { reasons: ["node(s) didn't match pod topology spread constraints"] };
const unlabelled: Refusal = {
  reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"],
  unresolvable: true,
};

/** Undefined where default constraints may have refused the pod: what they count hangs on more than the pod. */
function ownHard(pod: Pod): readonly SpreadConstraint[] | undefined {
  const own = pod.spec.topologySpreadConstraints;
  if (!own?.length) return undefined;
  return own.filter(each => each.whenUnsatisfiable !== 'ScheduleAnyway').map(each => withLabelKeys(each, pod));
}

const interests: readonly EventInterest[] = [
  ...onNode(['NodeAdd', 'NodeDelete', 'NodeLabel'], (pod, { node, before }) => {
    const hard = ownHard(pod);
    if (!hard) return true;
    const place = (each: Node): string => {
      const values = hard.map(({ topologyKey }) => each.metadata.labels?.[topologyKey]);
      // Not a node that counts, whatever else is on it.
      return values.includes(undefined) ? '' : JSON.stringify([values, selectsNode(pod.spec, each)]);
    };
    return place(node) !== (before ? place(before) : '');
  }),
  ...onNode(['NodeTaint'], pod => ownHard(pod)?.some(each => each.nodeTaintsPolicy === 'Honor') ?? true),
  ...onPod(['PodAdd', 'PodLabel', 'PodTerminating', 'PodDelete'], (pod, { before, after }) => {
    const hard = ownHard(pod);
    if (!hard) return true;
    const { namespace } = pod.metadata;
    /** Which of the constraints count it. */
    const counted = (other: Pod | undefined): string => {
      if (other?.metadata.namespace !== namespace) return '';
      const labels = other.metadata.labels ?? {};
      return hard.flatMap(({ labelSelector }, i) => (labelSelectorOf(labelSelector).matches(labels) ? i : [])).join();
    };
    const ends = after?.metadata.deletionTimestamp !== undefined;
    return counted(before) !== (ends ? '' : counted(after));
  }),
];

/** The plugin PodTopologySpread. Default weight 2. */
export const topologySpread = (options: TopologySpreadOptions = {}): Plugin => ({
  name: 'PodTopologySpread',
  weight: options.weight ?? 2,
  events: interests,
  compile(pod, snapshot) {
    const { constraints, stale } = constraintsOf(pod, snapshot, options.defaultConstraints ?? systemDefaults);
    if (constraints.length === 0) return stale ? { stale } : undefined;
    const own = (pod.spec.topologySpreadConstraints?.length ?? 0) > 0;
    const hard = constraints.filter(each => each.whenUnsatisfiable !== 'ScheduleAnyway');
    const soft = constraints.filter(each => each.whenUnsatisfiable === 'ScheduleAnyway');
    const requireAll = own || options.defaultConstraints !== undefined;
    return {
      ...(stale ? { stale } : {}),
      ...(hard.length > 0 ? { filter: filterOf(pod, snapshot, hard) } : {}),
      ...(soft.length > 0 ? { score: scoreOf(pod, snapshot, soft, requireAll) } : {}),
    };
  },
});

function constraintsOf(
  pod: Pod,
  snapshot: Snapshot,
  defaults: readonly Pick<SpreadConstraint, 'maxSkew' | 'topologyKey' | 'whenUnsatisfiable'>[],
): { constraints: readonly SpreadConstraint[]; stale?: () => boolean } {
  const own = pod.spec.topologySpreadConstraints;
  if (own?.length) return { constraints: own.map(each => withLabelKeys(each, pod)) };
  if (defaults.length === 0) return { constraints: [] };
  const version = selectorsVersion(snapshot.objects);
  const stale = () => selectorsVersion(snapshot.objects) !== version;
  const labelSelector = defaultSelector(pod, snapshot.objects);
  if (!labelSelector) return { constraints: [], stale };
  return { constraints: defaults.map(each => ({ ...each, labelSelector })), stale };
}

/** `matchLabelKeys`: only pods with the same value as this pod count. */
function withLabelKeys(constraint: SpreadConstraint, pod: Pod): SpreadConstraint {
  const labels = pod.metadata.labels ?? {};
  const keys = (constraint.matchLabelKeys ?? []).filter(key => labels[key] !== undefined);
  if (keys.length === 0) return constraint;
  const matchExpressions = [
    ...(constraint.labelSelector?.matchExpressions ?? []),
    ...keys.map(key => ({ key, operator: 'In', values: [labels[key]!] })),
  ] as NonNullable<LabelSelector['matchExpressions']>;
  return { ...constraint, labelSelector: { ...constraint.labelSelector, matchExpressions } };
}

function counterRule(
  pod: Pod,
  snapshot: Snapshot,
  constraint: SpreadConstraint,
  requiredKeys: readonly string[],
): CounterRule {
  const { namespace } = pod.metadata;
  const selector = labelSelectorOf(constraint.labelSelector);
  const honorAffinity = (constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor';
  const honorTaints = constraint.nodeTaintsPolicy === 'Honor';
  const { nodeSelector } = pod.spec;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const selects = honorAffinity && (nodeSelector || required) ? { nodeSelector, required } : undefined;
  const tolerations = honorTaints ? (pod.spec.tolerations ?? []) : undefined;
  const keys = requiredKeys.filter(key => key !== constraint.topologyKey);
  const eligible = (slot: number): boolean => {
    const { node } = snapshot.at(slot);
    if (keys.some(key => node.metadata.labels?.[key] === undefined)) return false;
    if (selects && !selectsNode(pod.spec, node)) return false;
    if (!tolerations) return true;
    const shut = node.spec.taints?.some(
      taint => taint.effect !== 'PreferNoSchedule' && !tolerations.some(each => tolerates(each, taint)),
    );
    return !shut;
  };
  return {
    key: `spread ${JSON.stringify([namespace, constraint.labelSelector, constraint.topologyKey, keys, selects, tolerations])}`,
    topology: snapshot.counts.topology(constraint.topologyKey),
    tracksLeast: true,
    weigh: group => (group.namespace === namespace && !group.leaving && selector.matches(group.labels) ? 1 : 0),
    ...(keys.length > 0 || selects || tolerations ? { eligible } : {}),
  };
}

function filterOf(pod: Pod, snapshot: Snapshot, hard: readonly SpreadConstraint[]): FilterRule {
  const keys = [...new Set(hard.map(each => each.topologyKey))].sort();
  const rules = hard.map(each => {
    const counter = snapshot.counts.counter(counterRule(pod, snapshot, each, keys));
    const self = labelSelectorOf(each.labelSelector).matches(pod.metadata.labels ?? {}) ? 1 : 0;
    return { counter, topology: counter.rule.topology, self, maxSkew: each.maxSkew, minDomains: each.minDomains ?? 1 };
  });
  /** The most that a domain may have before the pod comes. */
  const allowed = ({ counter, self, maxSkew, minDomains }: (typeof rules)[number]): number =>
    maxSkew - self + (counter.domains < minDomains ? 0 : counter.least);
  const skewed = (rule: (typeof rules)[number], slot: number): Refusal | undefined => {
    const { counter, topology } = rule;
    const domain = topology.domainOf[slot]!;
    if (domain < 0) return unlabelled;
    return counter.perDomain[domain]! > allowed(rule) ? uneven : undefined;
  };
  return {
    scope: 'cluster',
    passes(slot) {
      for (let i = 0; i < rules.length; i++) if (skewed(rules[i]!, slot)) return false;
      return true;
    },
    refusal: slot => rules.map(each => skewed(each, slot)).find(each => each !== undefined) ?? uneven,
    ranges: () =>
      rules.map(each => ({
        counter: each.counter,
        least: Number.NEGATIVE_INFINITY,
        most: allowed(each),
        unlabelled: false,
      })),
  };
}

interface SoftRule {
  readonly counter: Counter;
  readonly maxSkew: number;
  readonly byHost: boolean;
  weight: number;
}

function scoreOf(pod: Pod, snapshot: Snapshot, soft: readonly SpreadConstraint[], requireAll: boolean): ScoreRule {
  const keys = requireAll ? [...new Set(soft.map(each => each.topologyKey))].sort() : [];
  const rules = soft.map(
    (each): SoftRule => ({
      counter: snapshot.counts.counter(counterRule(pod, snapshot, each, keys)),
      maxSkew: each.maxSkew,
      byHost: each.topologyKey === hostname,
      weight: 0,
    }),
  );
  const topologies = rules.map(({ counter }) => counter.rule.topology);
  const lacks = (slot: number): boolean => topologies.some(({ domainOf }) => domainOf[slot]! < 0);
  /** Of the slots of this decision, those that are left out, and how many. */
  let out: Uint8Array | undefined;
  let ignored = 0;
  return {
    scope: 'cluster',
    begin(slots) {
      ignored = 0;
      out = undefined;
      if (requireAll && !topologies.every(({ labelled }) => labelled === snapshot.order.length)) {
        out = Uint8Array.from(slots, slot => (lacks(slot) ? 1 : 0));
        for (const each of out) ignored += each;
      }
      for (const rule of rules) {
        const size = rule.byHost ? slots.length - ignored : domainsAmong(slots, rule.counter.rule.topology, out);
        rule.weight = Math.log(size + 2);
      }
    },
    of(slot) {
      let sum = 0;
      for (let i = 0; i < rules.length; i++) {
        const { counter, byHost, weight, maxSkew } = rules[i]!;
        const domain = counter.rule.topology.domainOf[slot]!;
        if (domain >= 0) sum += (byHost ? counter.perSlot[slot]! : counter.perDomain[domain]!) * weight + (maxSkew - 1);
      }
      return Math.round(sum);
    },
    fill(scores, slots) {
      scores.fill(0, 0, slots.length);
      for (let each = 0; each < rules.length; each++) {
        const { counter, byHost, weight, maxSkew } = rules[each]!;
        const { perSlot, perDomain } = counter;
        const { domainOf } = counter.rule.topology;
        for (let i = 0; i < slots.length; i++) {
          const slot = slots[i]!;
          const domain = domainOf[slot]!;
          if (domain >= 0) scores[i]! += (byHost ? perSlot[slot]! : perDomain[domain]!) * weight + (maxSkew - 1);
        }
      }
      for (let i = 0; i < slots.length; i++) scores[i] = Math.round(scores[i]!);
    },
    normalize(scores, slots) {
      let most = Number.NEGATIVE_INFINITY;
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < slots.length; i++) {
        if (out?.[i]) continue;
        if (scores[i]! > most) most = scores[i]!;
        if (scores[i]! < least) least = scores[i]!;
      }
      for (let i = 0; i < slots.length; i++) {
        if (out?.[i]) scores[i] = 0;
        else scores[i] = most === 0 ? 100 : Math.floor((100 * (most + least - scores[i]!)) / most);
      }
    },
  };
}

/** How many domains those of the slots have that are not left out. Ends when it has met all that there are. */
function domainsAmong(slots: Int32Array, topology: Topology, out: Uint8Array | undefined): number {
  const { domainOf, populated, values } = topology;
  const seen = new Uint8Array(values.length);
  let count = 0;
  for (let i = 0; i < slots.length && count < populated; i++) {
    const domain = domainOf[slots[i]!]!;
    if (domain < 0 || out?.[i] || seen[domain] === 1) continue;
    seen[domain] = 1;
    count += 1;
  }
  return count;
}
