import type { corev1 } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';

type Requirement = corev1.NodeSelectorRequirement;

/** One expression against one value. Gt and Lt compare integers; what is not one does not match. */
function matchesValue(requirement: Requirement, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(values[0] ?? '')) return false;
      const difference = BigInt(value) - BigInt(values[0]!);
      return requirement.operator === 'Gt' ? difference > 0n : difference < 0n;
    }
    default:
      return false;
  }
}

/** All expressions and fields of a term hold; a term without either matches nothing (the API's rule). */
function matchesTerm(term: corev1.NodeSelectorTerm, node: NodeInfo): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length + fields.length === 0) return false;
  const labels = node.node.metadata.labels ?? {};
  return (
    expressions.every(each => matchesValue(each, labels[each.key])) &&
    fields.every(each => each.key === 'metadata.name' && matchesValue(each, node.name))
  );
}

const preferred = (pod: { spec: corev1.PodSpec }) =>
  pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

/** `spec.nodeSelector` and required node affinity filter; preferred affinity scores by the weights of the terms that match. */
export const nodeAffinity = (options: { weight?: number } = {}): Plugin => ({
  name: 'NodeAffinity',
  weight: options.weight ?? 2,
  events: ['NodeAdd', 'NodeLabel'],
  filter(pod, node) {
    const labels = node.node.metadata.labels ?? {};
    const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
    const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (selected && (!required || required.nodeSelectorTerms.some(term => matchesTerm(term, node)))) return undefined;
    return { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };
  },
  score(pod, node) {
    let sum = 0;
    for (const each of preferred(pod)) {
      // An empty preferred term matches every node, other than a required one.
      const empty = !each.preference.matchExpressions?.length && !each.preference.matchFields?.length;
      if (empty || matchesTerm(each.preference, node)) sum += each.weight;
    }
    return sum;
  },
  normalizeScore: (_pod, scores) => toHundred(scores),
});

/** Maps raw scores so that the best has 100; all zero stays zero. */
function toHundred(scores: Map<string, number>): void {
  const best = Math.max(...scores.values());
  if (best <= 0) return;
  for (const [name, score] of scores) scores.set(name, (100 * score) / best);
}
