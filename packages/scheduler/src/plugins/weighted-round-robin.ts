/**
 * Nodes take turns in proportion to their weights, smoothly: of weights 5, 1, 1 the first comes never five times in a row (the rule of nginx: each turn
 * every node gains its weight, the richest is taken and pays the sum). Nodes that cannot take the pod neither gain nor pay.
 */
import type { Plugin } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { pickPlugin } from './pick.js';

/** Everything has a default. */
export interface WeightedRoundRobinOptions {
  /** Default: the node's cores. */
  weightOf?: (node: NodeInfo) => number;
  /** Of the score. Default 1. */
  weight?: number;
}

/** The plugin, with credits of its own. */
export const weightedRoundRobin = (options: WeightedRoundRobinOptions = {}): Plugin => {
  const weightOf = options.weightOf ?? (node => Math.max(1, (node.allocatable.get('cpu') ?? 0) / 1000));
  const credit = new Map<string, number>();
  /** What the last decision saw, for `reserve`; and what a placement changed, for `unreserve`. */
  let seen: { uid: string; weights: ReadonlyMap<string, number> } | undefined;
  const paid = new Map<string, { weights: ReadonlyMap<string, number>; node: string }>();

  function turn(weights: ReadonlyMap<string, number>, node: string, sign: 1 | -1): void {
    let sum = 0;
    for (const [name, weight] of weights) {
      credit.set(name, (credit.get(name) ?? 0) + sign * weight);
      sum += weight;
    }
    credit.set(node, (credit.get(node) ?? 0) - sign * sum);
  }

  return {
    ...pickPlugin('WeightedRoundRobin', options, (pod, nodes) => {
      const weights = new Map(nodes.map(node => [node.name, weightOf(node)]));
      seen = { uid: pod.metadata.uid, weights };
      const riches = (node: NodeInfo) => (credit.get(node.name) ?? 0) + weights.get(node.name)!;
      return nodes.reduce((best, each) => (riches(each) > riches(best) ? each : best));
    }),
    reserve(pod, node) {
      if (seen?.uid !== pod.metadata.uid) return;
      turn(seen.weights, node, 1);
      paid.set(pod.metadata.uid, { weights: seen.weights, node });
      seen = undefined;
    },
    unreserve(pod) {
      const former = paid.get(pod.metadata.uid);
      if (former) turn(former.weights, former.node, -1);
      paid.delete(pod.metadata.uid);
    },
    postBind: pod => void paid.delete(pod.metadata.uid),
    nodeLeft: name => void credit.delete(name),
  };
};
