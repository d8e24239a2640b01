/** NoSchedule and NoExecute taints filter; nodes with fewer untolerated PreferNoSchedule taints score higher. */
import { type corev1, type Node, tolerates } from '@orbitkit/core';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';
import type { Snapshot } from '../snapshot/snapshot.js';

const firstUntolerated = (
  taints: readonly corev1.Taint[] | undefined,
  tolerations: readonly corev1.Toleration[],
): corev1.Taint | undefined =>
  taints?.find(
    taint =>
      (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') &&
      !tolerations.some(each => tolerates(each, taint)),
  );

/** Whether any node has a PreferNoSchedule taint; looked up once for each state of the nodes. */
function hasPreferences(snapshot: Snapshot): boolean {
  let known = preferences.get(snapshot);
  if (known?.version !== snapshot.nodesVersion) {
    const any = snapshot.nodes.some(({ node }) => node.spec.taints?.some(taint => taint.effect === 'PreferNoSchedule'));
    known = { version: snapshot.nodesVersion, any };
    preferences.set(snapshot, known);
  }
  return known.any;
}
const preferences = new WeakMap<Snapshot, { version: number; any: boolean }>();

/** The plugin TaintToleration. Default weight 3. */
export const taintToleration = (options: { weight?: number } = {}): Plugin => ({
  name: 'TaintToleration',
  weight: options.weight ?? 3,
  events: onNode(['NodeAdd', 'NodeTaint'], ({ spec: { tolerations = [] } }, { node, before }) => {
    const shut = ({ spec }: Node) => firstUntolerated(spec.taints, tolerations) !== undefined;
    return !shut(node) && (!before || shut(before));
  }),
  compile(pod, snapshot) {
    const tolerations = pod.spec.tolerations ?? [];
    // Only those of no effect or of this one speak of preferences.
    const soft = tolerations.filter(each => !each.effect || each.effect === 'PreferNoSchedule');
    const refusals = new Map<string, Refusal>();
    const taintsOf = (slot: number) => snapshot.at(slot).node.spec.taints;
    return {
      filter: {
        scope: 'object',
        passes: slot => firstUntolerated(taintsOf(slot), tolerations) === undefined,
        refusal(slot) {
          const taint = firstUntolerated(taintsOf(slot), tolerations)!;
          const text = `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
          let refusal = refusals.get(text);
          if (!refusal) {
            refusal = { reasons: [text], unresolvable: true };
            refusals.set(text, refusal);
          }
          return refusal;
        },
      },
      score: {
        scope: 'object',
        of: slot =>
          taintsOf(slot)?.filter(
            taint => taint.effect === 'PreferNoSchedule' && !soft.some(each => tolerates(each, taint)),
          ).length ?? 0,
        normalize: 'lowest',
        uniform: () => (hasPreferences(snapshot) ? undefined : 100),
      },
    };
  },
});
