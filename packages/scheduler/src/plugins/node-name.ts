import type { Plugin } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';

const refusal = { reasons: ["node(s) didn't match the requested node name"], unresolvable: true };

/** A pod that names its node fits there and nowhere else. */
export const nodeName = (): Plugin => ({
  name: 'NodeName',
  events: onNode(['NodeAdd'], (pod, { node }) => node.metadata.name === pod.spec.nodeName),
  // The class of a pod leaves the node's name out.
  sign: pod => pod.spec.nodeName ?? '',
  compile(pod, snapshot) {
    const { nodeName: wanted } = pod.spec;
    if (!wanted) return undefined;
    return { filter: { scope: 'object', passes: slot => snapshot.at(slot).name === wanted, refusal: () => refusal } };
  },
});
