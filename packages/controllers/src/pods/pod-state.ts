/** What several controllers ask of a pod. Sources: kubernetes `pkg/api/v1/pod`, `pkg/controller/controller_utils.go`. */
import { findCondition, isDeleting, type Pod, parseTime } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export type PodView = DeepReadonly<Pod>;

export const isPodReady = (pod: PodView): boolean => findCondition(pod.status.conditions, 'Ready')?.status === 'True';

/** It has run to its end, whatever the end was. */
export const isTerminal = (pod: PodView): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

/** It counts as a replica: neither over nor on its way out. */
export const isActive = (pod: PodView): boolean => !isTerminal(pod) && !isDeleting(pod);

/** Since when it is ready, in milliseconds. */
export function readySince(pod: PodView): number | undefined {
  const ready = findCondition(pod.status.conditions, 'Ready');
  return ready?.status === 'True' ? parseTime(ready.lastTransitionTime) : undefined;
}

/** Ready for at least `minReadySeconds`. */
export function isAvailable(pod: PodView, minReadySeconds: number, now: number): boolean {
  if (!isPodReady(pod)) return false;
  if (minReadySeconds === 0) return true;
  const since = readySince(pod);
  return since !== undefined && since + minReadySeconds * 1000 <= now;
}

/** Index: pods by the uid of their controller; those without one under `orphan:<namespace>`. */
export const byController = (object: {
  metadata: { namespace?: string; ownerReferences?: readonly { controller?: boolean; uid: string }[] };
}): string[] => {
  const owner = object.metadata.ownerReferences?.find(reference => reference.controller === true);
  return [owner ? owner.uid : orphansOf(object.metadata.namespace ?? '')];
};
export const orphansOf = (namespace: string): string => `orphan:${namespace}`;

/** Index: pods by the node to which they are bound. */
export const byNode = (pod: PodView): string[] => (pod.spec.nodeName ? [pod.spec.nodeName] : []);
