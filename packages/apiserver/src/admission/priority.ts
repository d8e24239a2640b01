/**
 * PriorityClasses: a pod has the number and the preemption policy of its class, of the default class, or 0. Only one class is the default. Source and
 * texts: `plugin/pkg/admission/priority` (v0.33).
 */
import type { corev1, schedulingv1 } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';
import { refused } from './functions.js';

type PriorityClass = schedulingv1.PriorityClass;

const classes = { group: 'scheduling.k8s.io', plural: 'priorityclasses' };

/** Classes that every cluster has, so that its own parts can name them before anyone makes one. */
export const systemPriorityClasses = [
  {
    metadata: { name: 'system-cluster-critical' },
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  {
    metadata: { name: 'system-node-critical' },
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
] as const;

/** Upstream's Priority. A pod of a class that does not exist is refused with 403. */
export function priority(): AdmissionPlugin {
  return {
    name: 'Priority',
    admit(request, cluster) {
      const { kind, operation, subresource } = request;
      if (kind.group !== '' || kind.plural !== 'pods' || operation !== 'CREATE' || subresource !== undefined) return;
      return prioritise(request, (request.object as unknown as corev1.Pod).spec, cluster);
    },
    validate(request, cluster) {
      const { kind, operation, object } = request;
      if (kind.group !== classes.group || kind.plural !== classes.plural || operation === 'DELETE') return;
      if ((object as unknown as PriorityClass).globalDefault) return onlyDefault(request, cluster);
    },
  };
}

async function onlyDefault(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
  const other = (await defaults(cluster, request.signal)).find(each => each.metadata.name !== request.name);
  if (other) {
    throw refused(
      request,
      `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
    );
  }
}

async function defaults(cluster: AdmissionCluster, signal: AbortSignal): Promise<PriorityClass[]> {
  const all = await cluster.list(classes, undefined, signal);
  return all.map(each => each.object() as unknown as PriorityClass).filter(each => each.globalDefault);
}

async function prioritise(request: AdmissionRequest, spec: corev1.PodSpec, cluster: AdmissionCluster): Promise<void> {
  let found: Pick<PriorityClass, 'value' | 'preemptionPolicy'> | undefined;
  if (spec.priorityClassName) {
    const key = { name: spec.priorityClassName };
    const known = cluster.peek(classes, key) ?? (await cluster.read(classes, key, request.signal));
    found =
      (known?.object() as unknown as PriorityClass | undefined) ??
      systemPriorityClasses.find(each => each.metadata.name === spec.priorityClassName);
    if (!found) throw refused(request, `no PriorityClass with name ${spec.priorityClassName} was found`);
  } else {
    const [byDefault] = (await defaults(cluster, request.signal)).sort((a, b) => a.value - b.value);
    if (byDefault) {
      spec.priorityClassName = byDefault.metadata.name;
      found = byDefault;
    }
  }
  const value = found?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refused(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  spec.priority = value;
  const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority';
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw refused(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  spec.preemptionPolicy = policy;
}
