/**
 * Takes the mark DisruptionTarget from pods that were to be disrupted and were not: who announced it (an eviction, a preemption, a taint) has two
 * minutes to delete the pod. Marks of node agents stay, since an agent may take any time, and so do those of pods that are over or on their way out.
 *
 * Source of the rules and constants: kube-controller-manager `disruption.go` (1.33, `stalePodDisruptionTimeout`).
 */
import { findCondition, formatTime, isDeleting, isNotFound, Pod, parseTime, setCondition } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controller } from '../../controller-builder.js';
import { isTerminal, type PodView } from '../../pods/pod-state.js';

const staleMs = 120_000;
const byNodeAgent = 'TerminationByKubelet';

export function staleDisruptions(): Controller {
  return controller(Pod)
    .named('stale-pod-disruption')
    .predicate(({ object }) => markedAt(object) !== undefined)
    .reconcile(async ({ object, client, clock }) => {
      const since = markedAt(object);
      if (since === undefined) return undefined;
      const now = clock.now();
      const left = since + staleMs - now;
      if (left > 0) return { requeueAfter: left };
      const { uid, resourceVersion } = object.metadata;
      const condition = { type: 'DisruptionTarget', status: 'False', lastTransitionTime: formatTime(now) };
      const conditions = setCondition(object.status.conditions, condition, now);
      try {
        const patch = { metadata: { uid, resourceVersion }, status: { conditions } };
        await client.patch(Pod, object.metadata, { type: 'merge', patch }, { subresource: 'status' });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    });
}

/** Since when it is to be disrupted, in milliseconds, if somebody is late with that. */
function markedAt(pod: PodView): number | undefined {
  const mark = findCondition(pod.status.conditions, 'DisruptionTarget');
  if (mark?.status !== 'True' || mark.reason === byNodeAgent || isDeleting(pod) || isTerminal(pod)) return undefined;
  return parseTime(mark.lastTransitionTime) ?? 0;
}
