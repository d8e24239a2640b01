import type { Plugin } from '../framework/plugin.js';
import { cachedRequests, cachedScoringRequests } from '../snapshot/node-info.js';

export interface ResourceFitOptions {
  weight?: number;
  /** `least` spreads (default, kube-scheduler's LeastAllocated), `most` packs. */
  scoring?: 'least' | 'most';
}

/** What the pod requests must be free on the node, its place among the node's `pods` included. Scores by cpu and memory. */
export const resourceFit = (options: ResourceFitOptions = {}): Plugin => ({
  name: 'NodeResourcesFit',
  weight: options.weight ?? 1,
  events: ['NodeAdd', 'NodeAllocatable', 'PodDelete'],
  filter(pod, node) {
    const reasons: string[] = [];
    if ((node.requested.get('pods') ?? 0) + 1 > (node.allocatable.get('pods') ?? Number.POSITIVE_INFINITY)) {
      reasons.push('Too many pods');
    }
    let unresolvable = false;
    for (const [resource, amount] of cachedRequests(pod)) {
      if (amount === 0) continue;
      const total = node.allocatable.get(resource) ?? 0;
      if (amount > total - (node.requested.get(resource) ?? 0)) {
        reasons.push(`Insufficient ${resource}`);
        if (amount > total) unresolvable = true;
      }
    }
    return reasons.length > 0 ? { reasons, unresolvable } : undefined;
  },
  score(pod, node) {
    const wanted = cachedScoringRequests(pod);
    let sum = 0;
    for (const resource of ['cpu', 'memory']) {
      const total = node.allocatable.get(resource) ?? 0;
      const used = (node.scoring.get(resource) ?? 0) + (wanted.get(resource) ?? 0);
      const share = total > 0 ? Math.min(1, used / total) : 1;
      sum += options.scoring === 'most' ? share : 1 - share;
    }
    return (sum / 2) * 100;
  },
});
