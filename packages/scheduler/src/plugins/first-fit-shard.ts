/**
 * First fit in one's own shard of the nodes; when that is full, a peer's shard, peers in turn: the placement of Galaxy's shard schedulers, with room that
 * comes back when pods end, and peers that are asked for what they really have.
 */
import type { Plugin } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { hash32, pickPlugin } from './pick.js';

/** Whose shard it is, and how nodes are shared out. */
export interface FirstFitShardOptions {
  /** Whose shard comes first. */
  shard: string;
  /** All of them, this one included. */
  shards: readonly string[];
  /** Default: by rendezvous hashing of the node's name. */
  shardOf?: (node: NodeInfo) => string;
  /** Of the score. Default 1. */
  weight?: number;
}

/** Highest random weight: when a shard joins k others, it takes 1/(k+1) of the nodes and nothing else moves. @throws Error without shards. */
export function rendezvousShard(node: string, shards: readonly string[]): string {
  if (shards.length === 0) throw new Error('shards: give at least one');
  const score = (shard: string) => hash32(`${shard}/${node}`);
  return shards.reduce((best, each) => (score(each) > score(best) ? each : best));
}

/** @throws Error when the shard is not one of all. */
export const firstFitShard = (options: FirstFitShardOptions): Plugin => {
  if (!options.shards.includes(options.shard))
    throw new Error(`shard "${options.shard}" is not among shards: ${options.shards.join(', ') || 'none'}`);
  const shardOf = options.shardOf ?? (node => rendezvousShard(node.name, options.shards));
  const peers = options.shards.filter(each => each !== options.shard);
  let next = 0;
  const overflowed = new Map<string, number>();
  let last: { uid: string; peer: number } | undefined;
  return {
    ...pickPlugin('FirstFitShard', options, (pod, nodes) => {
      last = undefined;
      const own = nodes.find(node => shardOf(node) === options.shard);
      if (own) return own;
      for (let i = 0; i < peers.length; i++) {
        const peer = (next + i) % peers.length;
        const node = nodes.find(each => shardOf(each) === peers[peer]);
        if (!node) continue;
        last = { uid: pod.metadata.uid, peer };
        return node;
      }
      return nodes[0]!;
    }),
    reserve(pod) {
      if (last?.uid !== pod.metadata.uid) return;
      overflowed.set(pod.metadata.uid, next);
      next = (last.peer + 1) % peers.length;
      last = undefined;
    },
    unreserve(pod) {
      next = overflowed.get(pod.metadata.uid) ?? next;
      overflowed.delete(pod.metadata.uid);
    },
    postBind: pod => void overflowed.delete(pod.metadata.uid),
  };
};
