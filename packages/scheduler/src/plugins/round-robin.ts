/**
 * Nodes take turns: a queue of nodes, whose head gets the next pod and then goes to the tail.
 *
 * - A node that joins (becomes Ready and schedulable) enters at the tail; one that leaves is taken out.
 * - Whoever is placed moves to the tail, also when other plugins passed over the head (anti-affinity, say).
 * - A pod with `spec.nodeName` never comes here, so it does not move the queue.
 * - A placement whose binding failed gives its node the former place back.
 *
 * Rules: the round robin of the MiniK8s systems, without its defects (nodes that are down keep a place there).
 */
import type { Plugin } from '../framework/plugin.js';

/** Everything has a default. */
export interface RoundRobinOptions {
  /** The queue at the start; nodes not named here follow by name. */
  order?: readonly string[];
  /** Of the score. Default 1. */
  weight?: number;
}

/** The plugin, with a queue of its own, which can be read. */
export const roundRobin = (options: RoundRobinOptions = {}): Plugin & { readonly queue: readonly string[] } => {
  let queue: string[] = [...(options.order ?? [])];
  const before = new Map<string, string[]>();

  /** The queue with the snapshot's newcomers at its end; pure. */
  const ordered = (names: readonly string[]): string[] => {
    const known = new Set(queue);
    return [...queue, ...names.filter(name => !known.has(name))];
  };

  return {
    name: 'RoundRobin',
    weight: options.weight ?? 1,
    get queue() {
      return queue;
    },
    preScore(_pod, nodes, cycle) {
      const feasible = new Set(nodes.map(node => node.name));
      const line = ordered(cycle.snapshot.nodes.map(node => node.name)).filter(name => feasible.has(name));
      cycle.state.set('RoundRobin', new Map(line.map((name, rank) => [name, rank])));
    },
    score(_pod, node, cycle) {
      const ranks = cycle.state.get('RoundRobin') as Map<string, number>;
      return 100 - (100 * ranks.get(node.name)!) / ranks.size;
    },
    reserve(pod, node) {
      before.set(pod.metadata.uid, [...queue]);
      queue = [...queue.filter(name => name !== node), node];
    },
    unreserve(pod, node) {
      const former = before.get(pod.metadata.uid);
      before.delete(pod.metadata.uid);
      if (!former?.includes(node)) return;
      // Others may have moved since: only this node goes back, to the place it had among those still there.
      const rank = former.indexOf(node);
      const rest = queue.filter(name => name !== node);
      queue = [...rest.slice(0, rank), node, ...rest.slice(rank)];
    },
    postBind(pod) {
      before.delete(pod.metadata.uid);
    },
    nodeJoined(name) {
      queue = [...queue.filter(each => each !== name), name];
    },
    nodeLeft(name) {
      queue = queue.filter(each => each !== name);
    },
  };
};
