/**
 * Gives every node a block of the cluster's pod addresses: `spec.podCIDR` and `spec.podCIDRs`.
 *
 * No two nodes get overlapping blocks: what nodes have already is taken in before anything is given out, and one worker
 * decides. A block is never changed (the API forbids it) and comes back when its node is gone. When all are taken the
 * node gets an event, and its block as soon as one is free.
 */
import { isNotFound, keyOf, Node, unrecoverable } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { type Cidr, CidrPool, formatCidr, parseCidr } from './cidr.js';

/** Of which addresses the blocks are, and how large. */
export interface NodeIpamOptions {
  /** `10.244.0.0/16`; for two families `10.244.0.0/16,fd00:10:244::/56`. */
  clusterCIDR: string;
  /** Prefix length of a node's block. Default 24 for IPv4, 64 for IPv6. With two families give `[24, 64]`. */
  nodeMaskSize?: number | readonly number[];
  /** Blocks that must not be given out, e.g. the range of services. */
  reserved?: readonly string[];
}

const name = 'cidr-allocator';

/** @throws TypeError or RangeError when the options make no sense. */
export function nodeIpam(options: NodeIpamOptions): Controller {
  const newPools = () => poolsOf(options);
  try {
    newPools();
  } catch (error) {
    throw unrecoverable(error as Error);
  }
  return {
    name,
    async run(context) {
      const pools = newPools();
      /** Blocks of each node, by its uid: those that it has and those that were just given to it. */
      const given = new Map<string, readonly Cidr[]>();
      const nodes = context.informers.informer(Node);
      const queue = controllerQueue(context, name);
      const waiting = new Set<string>();

      const takeIn = (node: DeepReadonly<Node>) => {
        const blocks = blocksOf(node);
        if (blocks.length === 0) return;
        // What was given and what the node says are the same, unless somebody else was faster.
        for (const block of given.get(node.metadata.uid) ?? []) for (const pool of pools) pool.release(block);
        given.set(node.metadata.uid, blocks);
        for (const block of blocks) for (const pool of pools) pool.occupy(block);
      };
      const registrations = [
        nodes.addHandler({
          onAdd(node) {
            takeIn(node);
            queue.add(keyOf(node));
          },
          onUpdate(_, node) {
            takeIn(node);
            if (blocksOf(node).length === 0) queue.add(keyOf(node));
          },
          onDelete(node) {
            for (const block of given.get(node.metadata.uid) ?? []) for (const pool of pools) pool.release(block);
            given.delete(node.metadata.uid);
            for (const key of waiting) queue.add(key);
          },
        }),
      ];

      const reconcile = async (key: string): Promise<ReconcileResult> => {
        waiting.delete(key);
        const node = nodes.store.get(key);
        if (!node || blocksOf(node).length > 0) return;
        let blocks = given.get(node.metadata.uid);
        if (!blocks) {
          const fresh = pools.map(pool => pool.allocate());
          if (fresh.some(block => block === undefined)) {
            for (const [i, block] of fresh.entries()) if (block) pools[i]!.release(block);
            waiting.add(key);
            context.events.event(
              node,
              'Warning',
              'CIDRNotAvailable',
              `no free block is left in ${options.clusterCIDR}`,
            );
            return { requeueAfter: '1m' };
          }
          blocks = fresh as Cidr[];
          given.set(node.metadata.uid, blocks);
        }
        const podCIDRs = blocks.map(formatCidr);
        const { uid } = node.metadata;
        const patch = { metadata: { uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } };
        try {
          await context.client.patch(Node, node.metadata, { type: 'merge', patch });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      };
      // One worker: giving out is a decision over all nodes.
      await reconcileLoop(context, { name, queue, informers: [nodes], concurrency: 1, reconcile }, registrations);
    },
  };
}

function poolsOf({ clusterCIDR, nodeMaskSize, reserved = [] }: NodeIpamOptions): CidrPool[] {
  const ranges = clusterCIDR.split(',').map(text => parseCidr(text.trim()));
  const sizes = typeof nodeMaskSize === 'object' ? nodeMaskSize : [nodeMaskSize];
  return ranges.map((range, i) => {
    const pool = new CidrPool(range, sizes[i] ?? (range.family === 4 ? 24 : 64));
    for (const text of reserved) pool.occupy(parseCidr(text));
    return pool;
  });
}

function blocksOf({ spec }: DeepReadonly<Node>): Cidr[] {
  const texts = spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : []);
  return texts.flatMap(text => {
    try {
      return [parseCidr(text)];
    } catch {
      return [];
    }
  });
}
