/** `spec.nodeSelector` and required node affinity filter; preferred affinity scores by the weights of the terms that match. */
import { type corev1, matchesNodeTerm, type Node, selectsNode } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';

const refusal = { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };
const addedRefusal = { reasons: ["node(s) didn't match scheduler-enforced node affinity"], unresolvable: true };

/** Everything has a default. */
export interface NodeAffinityOptions {
  /** Of the score. Default 2, kube-scheduler's. */
  weight?: number;
  /** Holds for every pod beside its own (`addedAffinity` of NodeAffinityArgs). */
  addedAffinity?: corev1.NodeAffinity;
}

/** The plugin NodeAffinity. Default weight 2. */
export const nodeAffinity = (options: NodeAffinityOptions = {}): Plugin => {
  const added = options.addedAffinity ? { affinity: { nodeAffinity: options.addedAffinity } } : undefined;
  return {
    name: 'NodeAffinity',
    weight: options.weight ?? 2,
    events: onNode(['NodeAdd', 'NodeLabel'], ({ spec }, { node, before }) => {
      const wanted = (each: Node) => (!added || selectsNode(added, each)) && selectsNode(spec, each);
      return wanted(node) && (!before || !wanted(before));
    }),
    compile(pod, snapshot) {
      const own = pod.spec.nodeSelector !== undefined || pod.spec.affinity?.nodeAffinity !== undefined;
      const preferred = [
        ...(options.addedAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
        ...(pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
      ].filter(each => each.weight !== 0);
      if (!added && !own) return undefined;
      const nodeAt = (slot: number) => snapshot.at(slot).node;
      return {
        filter: {
          scope: 'object',
          passes: slot => (!added || selectsNode(added, nodeAt(slot))) && selectsNode(pod.spec, nodeAt(slot)),
          refusal: slot => (added && !selectsNode(added, nodeAt(slot)) ? addedRefusal : refusal),
        },
        ...(preferred.length > 0
          ? {
              score: {
                scope: 'object' as const,
                of: (slot: number) =>
                  preferred.reduce((sum, each) => sum + (prefers(each, nodeAt(slot)) ? each.weight : 0), 0),
                normalize: 'highest' as const,
              },
            }
          : {}),
      };
    },
  };
};

/** An empty preferred term matches every node, other than a required one. */
function prefers({ preference }: corev1.PreferredSchedulingTerm, node: Node): boolean {
  const empty = !preference.matchExpressions?.length && !preference.matchFields?.length;
  return empty || matchesNodeTerm(preference, node);
}
