import { tolerates } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';

const refusal = { reasons: ['node(s) were unschedulable'], unresolvable: true };
const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' } as const;

/** Not on cordoned nodes, unless the pod tolerates the taint that stands for it. */
export const nodeUnschedulable = (): Plugin => ({
  name: 'NodeUnschedulable',
  events: onNode(
    ['NodeAdd', 'NodeTaint'],
    (_pod, { node, before }) => !node.spec.unschedulable && (!before || before.spec.unschedulable === true),
  ),
  compile(pod, snapshot) {
    if (pod.spec.tolerations?.some(each => tolerates(each, cordon))) return undefined;
    return {
      filter: { scope: 'object', passes: slot => !snapshot.at(slot).node.spec.unschedulable, refusal: () => refusal },
    };
  },
});
