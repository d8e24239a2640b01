import type { Plugin } from '../framework/plugin.js';

/** A pod that names its node fits there and nowhere else. */
export const nodeName = (): Plugin => ({
  name: 'NodeName',
  events: ['NodeAdd'],
  filter(pod, node) {
    if (!pod.spec.nodeName || pod.spec.nodeName === node.name) return undefined;
    return { reasons: ["node(s) didn't match the requested node name"], unresolvable: true };
  },
});
