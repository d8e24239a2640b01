/**
 * Whether a pod that was bound to this node can be taken in: the scheduler may have been wrong, or bypassed by `nodeName`.
 *
 * A refused pod is Failed with upstream's reason and words; its controller makes another one elsewhere. Pods that run already are
 * never refused. Source: kubernetes `pkg/kubelet/lifecycle/predicate.go`.
 */
import { type Pod, podAmounts, Quantity } from '@orbitkit/core';
import type { Allocatable } from '../env/resource-ref.js';
import { containersOf } from './pod-state.js';

export interface Refusal {
  reason: string;
  message: string;
}

/** @param taken The pods that this node runs or has taken in; those that have ended need nothing any more. */
export function refusalOf(pod: Pod, taken: readonly Pod[], allocatable: Allocatable): Refusal | undefined {
  const others = taken.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  const capacity = allocatable['pods'];
  if (capacity !== undefined && others.length >= Number(capacity))
    return notEnough('pods', '1', String(others.length), capacity);
  for (const [resource, amount] of podAmounts(pod).requests) {
    if (amount.compare(Quantity.zero) <= 0) continue;
    // An extended resource that the node does not know is the cluster's; whoever schedules it counts it.
    if (allocatable[resource] === undefined && resource.includes('/')) continue;
    const total = Quantity.parse(allocatable[resource] ?? '0');
    const used = others.reduce(
      (sum, other) => sum.add(podAmounts(other).requests.get(resource) ?? Quantity.zero),
      Quantity.zero,
    );
    if (used.add(amount).compare(total) > 0) {
      const shown = (quantity: Quantity) => String(resource === 'cpu' ? quantity.milliValue() : quantity.value());
      return notEnough(resource, shown(amount), shown(used), shown(total));
    }
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

const notEnough = (resource: string, requested: string, used: string, capacity: string): Refusal => ({
  reason: `OutOf${resource}`,
  message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
});

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
