/**
 * Whether a pod that was bound to this node can be taken in: the scheduler may have been wrong, or bypassed by `nodeName`.
 *
 * A refused pod is Failed with upstream's reason and words; its controller makes another one elsewhere. Pods that run already are
 * never refused. Source: kubernetes `pkg/kubelet/lifecycle/predicate.go`.
 */
import type { Pod } from '@orbitkit/core';
import { containersOf } from './pod-state.js';

export interface Refusal {
  reason: string;
  message: string;
}

/** @param others The pods that this node runs or has taken in. */
export function refusalOf(pod: Pod, others: readonly Pod[], maxPods: number): Refusal | undefined {
  if (others.length >= maxPods) {
    return {
      reason: 'OutOfpods',
      message: `Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: ${others.length}, capacity: ${maxPods}`,
    };
  }
  const wanted = hostPortsOf(pod);
  for (const other of wanted.length > 0 ? others : []) {
    for (const taken of hostPortsOf(other)) {
      const conflict = wanted.find(port => collide(port, taken));
      if (conflict) {
        const { namespace, name } = other.metadata;
        return {
          reason: 'NodePorts',
          message: `Pod was rejected: host port ${conflict.protocol}/${conflict.port} is taken by pod ${namespace}/${name}`,
        };
      }
    }
  }
  return undefined;
}

interface HostPort {
  port: number;
  protocol: string;
  address: string;
}

/** With host network a container port is a host port (upstream defaults it so). */
function hostPortsOf(pod: Pod): HostPort[] {
  return containersOf(pod).flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol, hostIP }) => {
      const port = hostPort || (pod.spec.hostNetwork ? containerPort : 0);
      return port ? [{ port, protocol: protocol ?? 'TCP', address: hostIP || '0.0.0.0' }] : [];
    }),
  );
}

const everywhere = (address: string): boolean => address === '0.0.0.0' || address === '::';

const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  (a.address === b.address || everywhere(a.address) || everywhere(b.address));
