import type { Pod } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';

interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

function hostPortsOf(pod: Pod): HostPort[] {
  return pod.spec.containers.flatMap(container =>
    (container.ports ?? []).flatMap(each => {
      const port = each.hostPort || (pod.spec.hostNetwork ? each.containerPort : 0);
      return port ? [{ ip: each.hostIP || '0.0.0.0', protocol: each.protocol ?? 'TCP', port }] : [];
    }),
  );
}

const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');

/** Two pods on one node cannot have the same host port on the same address. */
export const nodePorts = (): Plugin => ({
  name: 'NodePorts',
  events: ['NodeAdd', 'PodDelete'],
  filter(pod, node) {
    const wanted = hostPortsOf(pod);
    if (wanted.length === 0) return undefined;
    const taken = node.pods.flatMap(hostPortsOf);
    return wanted.some(port => taken.some(other => collide(port, other)))
      ? { reasons: ["node(s) didn't have free ports for the requested pod ports"] }
      : undefined;
  },
});
