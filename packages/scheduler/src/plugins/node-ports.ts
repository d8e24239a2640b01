/** Two pods on one node cannot have the same host port on the same address. */
import type { Plugin } from '../framework/plugin.js';
import { onPod } from '../framework/queueing-hints.js';
import { classOf, type HostPort } from '../snapshot/pod-class.js';

const refusal = { reasons: ["node(s) didn't have free ports for the requested pod ports"] };

const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');

const intersect = (wanted: readonly HostPort[], taken: readonly HostPort[]): boolean =>
  taken.some(each => wanted.some(port => collide(port, each)));

/** The plugin NodePorts: a filter. */
export const nodePorts = (): Plugin => ({
  name: 'NodePorts',
  events: [
    'NodeAdd',
    ...onPod(
      ['PodDelete'],
      (pod, { before }) => !before || intersect(classOf(pod).hostPorts, classOf(before).hostPorts),
    ),
  ],
  compile(pod, snapshot) {
    const wanted = classOf(pod).hostPorts;
    if (wanted.length === 0) return undefined;
    return {
      filter: {
        scope: 'node',
        passes: slot => !snapshot.at(slot).pods.some(other => intersect(wanted, classOf(other).hostPorts)),
        refusal: () => refusal,
      },
    };
  },
});
