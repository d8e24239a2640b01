/** The status of a replica set as its pods show it. Source: kube-controller-manager `replica_set_utils.go`. */
import { labelSet, type ReplicaSet, removeCondition, setCondition } from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import { isAvailable, isPodReady, type PodView } from '../../pods/pod-state.js';

type Status = ReplicaSet['status'];

export function statusOf(
  set: DeepReadonly<ReplicaSet>,
  pods: readonly PodView[],
  failure: { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined,
  now: number,
): Status {
  const templateLabels = labelSet(set.spec.template?.metadata?.labels ?? {});
  const minReady = set.spec.minReadySeconds ?? 0;
  const before = mutableCopy<Status>(set.status ?? { replicas: 0 });
  const conditions = failure
    ? setCondition(before.conditions, { type: 'ReplicaFailure', status: 'True', ...failure }, now)
    : removeCondition(before.conditions, 'ReplicaFailure');
  const { conditions: _dropped, ...rest } = before;
  return {
    ...rest,
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter(pod => templateLabels.matches(pod.metadata.labels)).length,
    readyReplicas: pods.filter(isPodReady).length,
    availableReplicas: pods.filter(pod => isAvailable(pod, minReady, now)).length,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

const counts = [
  'replicas',
  'fullyLabeledReplicas',
  'readyReplicas',
  'availableReplicas',
  'observedGeneration',
] as const;

/** Whether two statuses say the same: an absent count is zero. */
export function sameStatus(a: DeepReadonly<Status> | undefined, b: DeepReadonly<Status>): boolean {
  if (!a) return false;
  if (counts.some(field => (a[field] ?? 0) !== (b[field] ?? 0))) return false;
  return JSON.stringify(a.conditions ?? []) === JSON.stringify(b.conditions ?? []);
}
