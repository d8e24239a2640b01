import { type corev1, matchesNodeTerm, selectsNode } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';

const preferred = (pod: { spec: corev1.PodSpec }) =>
  pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

/** `spec.nodeSelector` and required node affinity filter; preferred affinity scores by the weights of the terms that match. */
export const nodeAffinity = (options: { weight?: number } = {}): Plugin => ({
  name: 'NodeAffinity',
  weight: options.weight ?? 2,
  events: ['NodeAdd', 'NodeLabel'],
  filter(pod, { node }) {
    if (selectsNode(pod.spec, node)) return undefined;
    return { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };
  },
  score(pod, { node }) {
    let sum = 0;
    for (const each of preferred(pod)) {
      // An empty preferred term matches every node, other than a required one.
      const empty = !each.preference.matchExpressions?.length && !each.preference.matchFields?.length;
      if (empty || matchesNodeTerm(each.preference, node)) sum += each.weight;
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
