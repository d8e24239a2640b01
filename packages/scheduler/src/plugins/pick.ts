/** Policies that pick one node among those that can take the pod, and have no opinion on the rest. What they pick gets 100, the others 0. */
import type { Pod } from '@orbitkit/core';
import type { Cycle, Plugin } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';

export function pickPlugin(
  name: string,
  options: { weight?: number },
  pick: (pod: Pod, nodes: readonly NodeInfo[], cycle: Cycle) => NodeInfo,
): Plugin {
  const picks = new WeakMap<Cycle, string>();
  return {
    name,
    weight: options.weight ?? 1,
    events: [],
    preScore(pod, nodes, cycle) {
      picks.set(cycle, pick(pod, nodes, cycle).name);
    },
    score: (_pod, node, cycle) => (picks.get(cycle) === node.name ? 100 : 0),
  };
}

/** FNV-1a, 32 bits, over UTF-16 code units. With the pod's uid in the text it is a random number that can be drawn again. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // Neighbours in text are far apart only after mixing (murmur3's finalizer).
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Pods on the node: its connections, for policies that count those. */
export const podsOn = (node: NodeInfo, cycle: Cycle): number => cycle.snapshot.columns.podCount[node.slot]!;
