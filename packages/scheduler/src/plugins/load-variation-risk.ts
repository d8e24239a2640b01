/**
 * Prefers nodes whose load is low and steady: risk = (mean + margin · deviation^(1/sensitivity)) / 2, both as shares of the node with the pod's request
 * in the mean; 100 · (1 − risk), the worse of CPU and memory. Unknown load: 0. Source: scheduler-plugins' LoadVariationRiskBalancing.
 */
import type { Plugin } from '../framework/plugin.js';
import { NodeLoads } from '../snapshot/node-loads.js';
import { classOf } from '../snapshot/pod-class.js';

/** `loads` may be shared with other plugins; default: its own, fed from metrics.k8s.io. */
export interface LoadVariationRiskOptions {
  /** Default 1. */
  margin?: number;
  /** Default 1. */
  sensitivity?: number;
  loads?: NodeLoads;
  /** Of the score. Default 1. */
  weight?: number;
}

/** All as shares, 0…1. */
export function riskScore(mean: number, deviation: number, margin = 1, sensitivity = 1): number {
  const share = (value: number) => Math.min(1, Math.max(0, value));
  const spread = share(margin * share(deviation) ** (1 / sensitivity));
  return Math.round((1 - (share(mean) + spread) / 2) * 100);
}

/** The plugin LoadVariationRiskBalancing. @throws Error for a sensitivity of 0 or less. */
export const loadVariationRisk = (options: LoadVariationRiskOptions = {}): Plugin => {
  const { margin = 1, sensitivity = 1, loads = new NodeLoads() } = options;
  if (!(sensitivity > 0)) throw new Error(`sensitivity is ${sensitivity}; give more than 0`);
  return {
    name: 'LoadVariationRiskBalancing',
    weight: options.weight ?? 1,
    events: ['NodeMetrics'],
    attach: handle => loads.feed(handle),
    score(pod, node) {
      const load = loads.of(node.name);
      if (!load) return 0;
      const scores = (['cpu', 'memory'] as const).map(name => {
        const total = node.allocatable.get(name) ?? 0;
        if (total <= 0) return 0;
        const coming = name === 'cpu' ? loads.coming(node.name) : 0;
        const mean = (load.mean[name] + coming + (classOf(pod).requests.get(name) ?? 0)) / total;
        return riskScore(mean, load.deviation[name] / total, margin, sensitivity);
      });
      return Math.min(...scores);
    },
    reserve: (pod, node) => loads.placed(pod, node, classOf(pod).requests.get('cpu') ?? 0),
    unreserve: (pod, node) => loads.displaced(pod, node),
  };
};
