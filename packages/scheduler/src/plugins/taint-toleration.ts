import { type corev1, tolerates } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';

const untolerated = (
  taints: readonly corev1.Taint[] | undefined,
  tolerations: readonly corev1.Toleration[] | undefined,
  effects: readonly string[],
): corev1.Taint[] =>
  (taints ?? []).filter(taint => effects.includes(taint.effect) && !tolerations?.some(each => tolerates(each, taint)));

/** Filters NoSchedule and NoExecute taints; prefers nodes with fewer untolerated PreferNoSchedule ones. */
export const taintToleration = (options: { weight?: number } = {}): Plugin => ({
  name: 'TaintToleration',
  weight: options.weight ?? 3,
  events: ['NodeAdd', 'NodeTaint'],
  filter(pod, { node }) {
    const taint = untolerated(node.spec.taints, pod.spec.tolerations, ['NoSchedule', 'NoExecute'])[0];
    if (!taint) return undefined;
    return { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`], unresolvable: true };
  },
  score: (pod, { node }) => untolerated(node.spec.taints, pod.spec.tolerations, ['PreferNoSchedule']).length,
  normalizeScore(_pod, scores) {
    const worst = Math.max(...scores.values());
    for (const [name, count] of scores) scores.set(name, worst === 0 ? 100 : 100 - (100 * count) / worst);
  },
});
