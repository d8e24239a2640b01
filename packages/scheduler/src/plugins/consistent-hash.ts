/**
 * Pods with one key go to one node, and most keys stay where they are when nodes come and go. A node that has `loadFactor` times the mean of pods is
 * passed over (consistent hashing with bounded loads), as is one that cannot take the pod: the next on the ring has its turn.
 */
import type { Pod } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { hash32, pickPlugin, podsOn } from './pick.js';

/** What a pod's key is, and how the ring is made. */
export interface ConsistentHashOptions {
  /** Default: namespace and the name of the pod's controller, or of the pod. */
  key?: (pod: Pod) => string;
  /** Points of each node on the ring. Default 100. */
  points?: number;
  /** Default 1.25; Infinity for no bound. */
  loadFactor?: number;
  /** Of the score. Default 1. */
  weight?: number;
}

const ownKey = ({ metadata }: Pod): string =>
  `${metadata.namespace}/${metadata.ownerReferences?.find(each => each.controller)?.name ?? metadata.name}`;

/** The plugin, with a ring of its own. */
export const consistentHash = (options: ConsistentHashOptions = {}): Plugin => {
  const { key = ownKey, points = 100, loadFactor = 1.25 } = options;
  let ring: { snapshot: Snapshot; version: number; places: { at: number; name: string }[] } | undefined;
  const places = (snapshot: Snapshot) => {
    if (ring?.snapshot !== snapshot || ring.version !== snapshot.nodesVersion) {
      const all = snapshot.nodes.flatMap(({ name }) =>
        Array.from({ length: points }, (_, i) => ({ at: hash32(`${name}#${i}`), name })),
      );
      ring = {
        snapshot,
        version: snapshot.nodesVersion,
        places: all.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1)),
      };
    }
    return ring.places;
  };
  return pickPlugin('ConsistentHash', options, (pod, nodes, cycle) => {
    const all = places(cycle.snapshot);
    const byName = new Map(nodes.map(node => [node.name, node]));
    const pods = nodes.reduce((sum, node) => sum + podsOn(node, cycle), 0);
    const bound = Math.ceil(((pods + 1) / nodes.length) * loadFactor);
    const from = firstFrom(all, hash32(key(pod)));
    for (let i = 0; i < all.length; i++) {
      const node = byName.get(all[(from + i) % all.length]!.name);
      if (node && podsOn(node, cycle) + 1 <= bound) return node;
    }
    return nodes[0]!;
  });
};

function firstFrom(places: readonly { at: number }[], at: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]!.at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
