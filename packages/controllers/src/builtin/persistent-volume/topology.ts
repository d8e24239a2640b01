/** Whether a node is in one of a class's allowed topologies. Source: component-helpers `corev1.MatchTopologySelectorTerms` (v0.33). */
import type { Node } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { ClassView } from './names.js';

export function isAllowedTopology({ allowedTopologies }: ClassView, node: DeepReadonly<Node>): boolean {
  if (!allowedTopologies?.length) return true;
  const labels = node.metadata.labels ?? {};
  return allowedTopologies.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => labels[key] !== undefined && values.includes(labels[key])),
  );
}
