/** Batch is packed and leaves every node a fifth for services; services go where it is quiet. */
import type { Pod } from '@orbitkit/core';
import { type NodeInfo, type Plugin, requestsOf } from '@orbitkit/scheduler';

const isBatch = (pod: Pod): boolean => pod.metadata.labels?.['tier'] === 'batch';

/** Share of the node's cpu that is asked for once the pod is there, in percent. */
function filled(pod: Pod, node: NodeInfo): number {
  const asked = (node.requested.get('cpu') ?? 0) + (requestsOf(pod).get('cpu') ?? 0);
  return (100 * asked) / (node.allocatable.get('cpu') || 1);
}

export default function roomForServices({ reserve = 20 } = {}): Plugin {
  return {
    name: 'RoomForServices',
    weight: 10,
    events: ['NodeAdd', 'NodeAllocatable', 'PodDelete'],
    filter(pod, node) {
      if (!isBatch(pod) || filled(pod, node) <= 100 - reserve) return undefined;
      return { reasons: [`batch would take the last ${reserve} % of cpu`] };
    },
    score(pod, node) {
      const share = Math.min(100, filled(pod, node));
      return isBatch(pod) ? share : 100 - share;
    },
  };
}
