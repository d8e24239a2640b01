import type { Plugin } from '../framework/plugin.js';
import { isReady } from '../snapshot/node-info.js';

/**
 * Only nodes that are Ready and not cordoned. kube-scheduler leaves "not Ready" to the taint that the node lifecycle
 * controller sets; here it is a rule of its own, so that it holds without that controller and before it has noticed.
 */
export const nodeUsable = (): Plugin => ({
  name: 'NodeUsable',
  events: ['NodeAdd', 'NodeReady', 'NodeTaint'],
  filter(pod, { node }) {
    if (!isReady(node)) return { reasons: ['node(s) were not ready'], unresolvable: true };
    if (!node.spec.unschedulable) return undefined;
    const tolerated = pod.spec.tolerations?.some(
      each =>
        (each.key === 'node.kubernetes.io/unschedulable' || (!each.key && each.operator === 'Exists')) &&
        (!each.effect || each.effect === 'NoSchedule'),
    );
    return tolerated ? undefined : { reasons: ['node(s) were unschedulable'], unresolvable: true };
  },
});
