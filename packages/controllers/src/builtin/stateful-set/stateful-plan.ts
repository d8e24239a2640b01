/**
 * What a stateful set needs next, as a pure function of the set, its pods and its two revisions.
 *
 * - OrderedReady: pods come from the lowest ordinal up, each when those before it are available, and go from the highest down, one at a time, when the
 *   set's own are available; of those that go, one that is unwell waits for lower ones that are. Parallel: all at once.
 * - A failed or ended pod is deleted and made again under its name. A name is used again only when its pod is gone.
 * - RollingUpdate: from the highest ordinal down to the partition, the next when the last is available (Parallel: too); pods below the partition stay on,
 *   and come back as, the current revision. OnDelete: an old pod stays until somebody deletes it.
 * - With `maxUnavailable` as many go at once, less those that are not available anyway, wherever they are. In upstream it is behind an alpha gate; a
 *   percentage is rounded down and at least one, as the code there does (its documentation says up).
 * - A pod of an update that never gets ready is replaced by a newer template at once only when it is the highest to be updated; as upstream, a
 *   broken rollout may need its pod to be deleted by hand.
 *
 * Source of the rules: kube-controller-manager `stateful_set_control.go` (1.33).
 */
import { isDeleting, resolvePercent } from '@orbitkit/core';
import { isAvailable, isPodReady, type PodView } from '../../pods/pod-state.js';
import { revisionLabel } from '../revision-history/revision-history.js';
import { firstOrdinal, ordinalOf, type StatefulSetView } from './stateful-pods.js';

export interface StatefulState {
  set: StatefulSetView;
  pods: readonly PodView[];
  /** Names of revisions. */
  current: string;
  update: string;
  now: number;
}

export interface StatefulPlan {
  create: { ordinal: number; revision: string }[];
  delete: PodView[];
  /** Beyond the replicas: on their way out, or to be. */
  condemned: PodView[];
  counts: {
    replicas: number;
    readyReplicas: number;
    availableReplicas: number;
    currentReplicas: number;
    updatedReplicas: number;
  };
  /** Look again then, even if nothing happens. */
  recheckMs?: number;
}

export function planStateful({ set, pods, current, update, now }: StatefulState): StatefulPlan {
  const { spec } = set;
  const start = firstOrdinal(set);
  const end = start + (spec.replicas ?? 1);
  const minReady = spec.minReadySeconds ?? 0;
  const ordered = spec.podManagementPolicy !== 'Parallel';
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const revisionOf = (pod: PodView) => pod.metadata.labels?.[revisionLabel] ?? '';
  const available = (pod: PodView | undefined) =>
    pod !== undefined && !isDeleting(pod) && isAvailable(pod, minReady, now);

  const byOrdinal = new Map<number, PodView>();
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod.metadata.name);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal < start || ordinal >= end)
    .sort(([a], [b]) => b - a)
    .map(([, pod]) => pod);
  const plan: StatefulPlan = { create: [], delete: [], condemned, counts: count(pods, current, update, minReady, now) };
  if (minReady > 0 && pods.some(pod => isPodReady(pod) && !isAvailable(pod, minReady, now)))
    plan.recheckMs = minReady * 1000;
  if (isDeleting(set)) return plan;

  /** Below the partition, and wherever nothing is rolled out, pods are of the current revision. */
  const wantedRevision = (ordinal: number) =>
    spec.updateStrategy?.type !== 'OnDelete' && current !== update && ordinal < start + partition ? current : update;

  // From the lowest: what is missing or has ended.
  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod)
      plan.create.push({
        ordinal,
        revision: revisionForNew(wantedRevision(ordinal), { set, current, update, ordinal, byOrdinal }),
      });
    else if (!isDeleting(pod) && (pod.status.phase === 'Failed' || pod.status.phase === 'Succeeded'))
      plan.delete.push(pod);
    if (ordered && !(pod && available(pod))) return plan;
  }

  // From the highest: what is too much.
  for (const pod of condemned) {
    if (ordered && condemned.some(other => other !== pod && isDeleting(other))) return plan;
    if (ordered && !available(pod) && condemned.slice(condemned.indexOf(pod) + 1).some(lower => !available(lower)))
      return plan;
    if (!isDeleting(pod)) plan.delete.push(pod);
    if (ordered) return plan;
  }
  if (spec.updateStrategy?.type === 'OnDelete') return plan;

  // From the highest: what is old.
  const isOld = (pod: PodView | undefined): pod is PodView =>
    pod !== undefined && revisionOf(pod) !== update && !isDeleting(pod);
  const maxUnavailable = spec.updateStrategy?.rollingUpdate?.maxUnavailable;
  if (maxUnavailable !== undefined) {
    let lacking = 0;
    for (let ordinal = start; ordinal < end; ordinal++) if (!available(byOrdinal.get(ordinal))) lacking += 1;
    let left = Math.max(1, resolvePercent(maxUnavailable, end - start, 'down')) - lacking;
    for (let ordinal = end - 1; ordinal >= start + partition && left > 0; ordinal--) {
      const pod = byOrdinal.get(ordinal);
      if (!isOld(pod) || plan.delete.includes(pod)) continue;
      plan.delete.push(pod);
      left -= 1;
    }
    return plan;
  }
  for (let ordinal = end - 1; ordinal >= start + partition; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (isOld(pod)) {
      if (!plan.delete.includes(pod)) plan.delete.push(pod);
      return plan;
    }
    if (!available(pod)) return plan;
  }
  return plan;
}

/** During a rollout a pod that vanished comes back as what it was: those that the update has not reached, as the current revision. */
function revisionForNew(
  wanted: string,
  {
    set,
    current,
    update,
    ordinal,
    byOrdinal,
  }: {
    set: StatefulSetView;
    current: string;
    update: string;
    ordinal: number;
    byOrdinal: ReadonlyMap<number, PodView>;
  },
): string {
  if (wanted === current || current === update || set.spec.updateStrategy?.type === 'OnDelete') return wanted;
  // The rollout goes downwards: it has reached this ordinal when all above are updated.
  for (const [other, pod] of byOrdinal)
    if (other > ordinal && pod.metadata.labels?.[revisionLabel] === current) return current;
  return update;
}

function count(
  pods: readonly PodView[],
  current: string,
  update: string,
  minReady: number,
  now: number,
): StatefulPlan['counts'] {
  const living = pods.filter(pod => !isDeleting(pod) || isPodReady(pod));
  const of = (revision: string) =>
    living.filter(pod => !isDeleting(pod) && pod.metadata.labels?.[revisionLabel] === revision).length;
  return {
    replicas: pods.length,
    readyReplicas: living.filter(isPodReady).length,
    availableReplicas: living.filter(pod => !isDeleting(pod) && isAvailable(pod, minReady, now)).length,
    currentReplicas: of(current),
    updatedReplicas: of(update),
  };
}
