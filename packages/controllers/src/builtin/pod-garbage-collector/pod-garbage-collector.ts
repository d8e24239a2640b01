/**
 * Deletes pods that nobody else will: every 20 seconds
 * - those that are over, evicted ones first, then the oldest, when there are more than a threshold;
 * - those bound to nodes that are gone (see orphaned-pods);
 * - those that are being deleted and were never bound, so that no node agent finishes them;
 * - those that are being deleted on a node which its administrator tainted `out-of-service`.
 *
 * Source of the rules and constants: kube-controller-manager `gc_controller.go`.
 */
import { isConditionTrue, isDeleting, Node, Pod } from '@orbitkit/core';
import type { Controller, ControllerContext } from '../../controller.js';
import { periodically } from '../../periodically.js';
import { byNode, isTerminal, type PodView } from '../../pods/pod-state.js';
import { forceDelete, nodeQuarantineMs, OrphanedPods } from './orphaned-pods.js';

/** Everything has upstream's default; times are in milliseconds. */
export interface PodGarbageCollectorOptions {
  /** How many pods that are over may stay. Default 12,500 (`--terminated-pod-gc-threshold`); 0: any number. */
  terminatedPodThreshold?: number;
  /** Default 20 s. */
  periodMs?: number;
  /** How long a node must be missing. Default 40 s. */
  nodeQuarantineMs?: number;
}

const name = 'pod-garbage-collector';
const outOfService = 'node.kubernetes.io/out-of-service';

/** The controller that deletes pods nobody else will. */
export function podGarbageCollector(options: PodGarbageCollectorOptions = {}): Controller {
  const { terminatedPodThreshold = 12_500, periodMs = 20_000 } = options;
  return {
    name,
    async run(context) {
      const pods = context.informers.informer(Pod, { indexers: { byNode } });
      const nodes = context.informers.informer(Node);
      await Promise.all([pods, nodes].map(informer => informer.waitForSync({ signal: context.signal })));
      const orphans = new OrphanedPods(context, nodes.store, pods.store, options.nodeQuarantineMs ?? nodeQuarantineMs);
      context.ready();
      await periodically(context, periodMs, async () => {
        const all = pods.store.list();
        if (terminatedPodThreshold > 0) await collectTerminated(context, all, terminatedPodThreshold);
        await orphans.collect();
        for (const pod of all) {
          if (!isDeleting(pod)) continue;
          if (!pod.spec.nodeName) await forceDelete(context, pod, 'it was never bound to a node');
          else if (isOutOfService(nodes.store.get(pod.spec.nodeName))) {
            await forceDelete(context, pod, `node ${pod.spec.nodeName} is out of service`);
          }
        }
      });
    },
  };
}

async function collectTerminated(
  context: ControllerContext,
  all: readonly PodView[],
  threshold: number,
): Promise<void> {
  const over = all.filter(isTerminal);
  const surplus = over.length - threshold;
  if (surplus <= 0) return;
  // Those that were evicted first, then the oldest.
  const rank = ({ status, metadata }: PodView) =>
    `${status.phase === 'Failed' && status.reason === 'Evicted' ? 0 : 1} ${metadata.creationTimestamp}`;
  over.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
  for (const pod of over.slice(0, surplus)) await forceDelete(context, pod, 'too many pods are over');
}

function isOutOfService(node: ReturnType<import('@orbitkit/informer').Store<Node>['get']>): boolean {
  if (!node || isConditionTrue(node.status.conditions, 'Ready')) return false;
  return node.spec.taints?.some(taint => taint.key === outOfService) ?? false;
}
