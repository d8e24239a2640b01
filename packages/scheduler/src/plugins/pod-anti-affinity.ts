/**
 * Required pod anti-affinity, the incoming pod's terms and those of the pods that are there (symmetric, as in Kubernetes).
 *
 * Required means required: a pod whose rule excludes every node stays Pending. `soft: true` is the reading of the older MiniK8s systems,
 * in which only the incoming pod's terms count, a term excludes hosts whatever its topologyKey says, and a rule that excludes every node is ignored.
 */
import { type corev1, labelSelectorOf, type Pod } from '@orbitkit/core';
import type { Cycle, Plugin } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';

type Term = corev1.PodAffinityTerm;

export interface PodAntiAffinityOptions {
  soft?: boolean;
  /** Weight of preferred terms. */
  weight?: number;
}

const requiredTerms = (pod: Pod): readonly Term[] =>
  pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

/** Whether `term`, which stands in `owner`, speaks of `other`. */
function termMatches(term: Term, owner: Pod, other: Pod, cycle: Cycle): boolean {
  if (!term.labelSelector) return false;
  const namespace = other.metadata.namespace;
  const named = term.namespaces?.includes(namespace) ?? false;
  const selected =
    term.namespaceSelector !== undefined &&
    labelSelectorOf(term.namespaceSelector).matches(cycle.snapshot.namespaceLabels(namespace));
  const own =
    !term.namespaces?.length && term.namespaceSelector === undefined && owner.metadata.namespace === namespace;
  return (named || selected || own) && labelSelectorOf(term.labelSelector).matches(other.metadata.labels ?? {});
}

const domainOf = (node: NodeInfo, key: string): string | undefined => node.node.metadata.labels?.[key];

interface Excluded {
  /** `topologyKey=value` pairs that the incoming pod's own terms exclude. */
  own: ReadonlySet<string>;
  /** Those that terms of pods already there exclude for it. */
  others: ReadonlySet<string>;
}
const stateKey = 'PodAntiAffinity';

export const podAntiAffinity = (options: PodAntiAffinityOptions = {}): Plugin => ({
  name: 'PodAntiAffinity',
  weight: options.weight ?? 2,
  events: ['NodeAdd', 'NodeLabel', 'PodDelete', 'PodLabel', 'NamespaceLabel'],
  preFilter(pod, cycle) {
    const mine = requiredTerms(pod);
    if (options.soft) {
      const hosts = new Set<string>();
      for (const node of cycle.snapshot.nodes) {
        if (node.pods.some(other => mine.some(term => softMatch(term, other)))) hosts.add(node.name);
      }
      const left = cycle.snapshot.nodes.some(node => !hosts.has(node.name));
      cycle.state.set(stateKey, left ? hosts : new Set());
      return undefined;
    }
    const own = new Set<string>();
    const others = new Set<string>();
    for (const node of cycle.snapshot.nodes) {
      for (const other of node.pods) {
        for (const term of mine) {
          const domain = domainOf(node, term.topologyKey);
          if (domain !== undefined && termMatches(term, pod, other, cycle)) own.add(`${term.topologyKey}=${domain}`);
        }
        for (const term of requiredTerms(other)) {
          const domain = domainOf(node, term.topologyKey);
          if (domain !== undefined && termMatches(term, other, pod, cycle)) others.add(`${term.topologyKey}=${domain}`);
        }
      }
    }
    cycle.state.set(stateKey, { own, others } satisfies Excluded);
    return undefined;
  },
  filter(pod, node, cycle) {
    const state = cycle.state.get(stateKey) as Excluded | Set<string>;
    if (state instanceof Set) {
      return state.has(node.name) ? { reasons: ["node(s) didn't match pod anti-affinity rules"] } : undefined;
    }
    for (const term of requiredTerms(pod)) {
      const domain = domainOf(node, term.topologyKey);
      if (domain !== undefined && state.own.has(`${term.topologyKey}=${domain}`)) {
        return { reasons: ["node(s) didn't match pod anti-affinity rules"] };
      }
    }
    for (const excluded of state.others) {
      const at = excluded.indexOf('=');
      if (domainOf(node, excluded.slice(0, at)) === excluded.slice(at + 1)) {
        return { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };
      }
    }
    return undefined;
  },
  score(pod, node, cycle) {
    const terms = pod.spec.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    let against = 0;
    for (const { weight, podAffinityTerm: term } of terms) {
      const domain = domainOf(node, term.topologyKey);
      if (domain === undefined) continue;
      for (const peer of cycle.snapshot.nodes) {
        if (domainOf(peer, term.topologyKey) !== domain) continue;
        for (const other of peer.pods) if (termMatches(term, pod, other, cycle)) against += weight;
      }
    }
    return against;
  },
  normalizeScore(_pod, scores) {
    const worst = Math.max(...scores.values());
    for (const [name, against] of scores) scores.set(name, worst === 0 ? 100 : 100 - (100 * against) / worst);
  },
});

function softMatch(term: Term, other: Pod): boolean {
  const wanted = Object.entries(term.labelSelector?.matchLabels ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => other.metadata.labels?.[key] === value);
}
