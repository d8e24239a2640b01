import type { Plugin } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';
import { isReady } from '../snapshot/node-info.js';

const refusal = { reasons: ['node(s) were not ready'], unresolvable: true };

/**
 * Only nodes that say they are Ready. kube-scheduler has no such plugin and leaves this to the taint that the node lifecycle
 * controller sets; here it is a rule of its own, so that it holds without that controller and before it has noticed.
 */
export const nodeReady = (): Plugin => ({
  name: 'NodeReady',
  events: onNode(['NodeAdd', 'NodeReady'], (_pod, { node }) => isReady(node)),
  compile: (_pod, snapshot) => ({
    filter: { scope: 'object', passes: slot => isReady(snapshot.at(slot).node), refusal: () => refusal },
  }),
});
