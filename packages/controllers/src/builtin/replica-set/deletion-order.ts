/**
 * Which of too many pods go first: those whose loss is felt least.
 *
 * Rules in this order, from kube-controller-manager's `ActivePodsWithRanks`: not bound before bound; Pending before
 * unknown before running; not ready before ready; lower `pod-deletion-cost` first; on the node with more of the set's
 * pods; ready for a shorter time; more restarts; younger. Times are compared by their order of magnitude (powers of two),
 * so that among pods of about the same age chance (the uid) decides and not the age alone.
 */
import { parseTime } from '@orbitkit/core';
import { isPodReady, type PodView, readySince } from '../../pods/pod-state.js';

export const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** `related`: the pods of everything under the same owner, old and new replica sets alike. */
export function inDeletionOrder(pods: readonly PodView[], related: readonly PodView[], now: number): PodView[] {
  const perNode = new Map<string, number>();
  for (const { spec } of related) {
    if (spec.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const crowd = (pod: PodView) => perNode.get(pod.spec.nodeName ?? '') ?? 0;
  return [...pods].sort(
    (a, b) =>
      Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
      rankOfPhase(a) - rankOfPhase(b) ||
      Number(isPodReady(a)) - Number(isPodReady(b)) ||
      deletionCost(a) - deletionCost(b) ||
      crowd(b) - crowd(a) ||
      (isPodReady(a) ? youngerFirst(a, b, readySince, now) : 0) ||
      restarts(b) - restarts(a) ||
      youngerFirst(a, b, createdAt, now) ||
      (a.metadata.uid < b.metadata.uid ? -1 : 1),
  );
}

const rankOfPhase = (pod: PodView): number => phaseRank[pod.status.phase ?? 'Pending'] ?? 1;
const createdAt = (pod: PodView): number | undefined => parseTime(pod.metadata.creationTimestamp);

function deletionCost(pod: PodView): number {
  const text = pod.metadata.annotations?.[deletionCostAnnotation] ?? '0';
  return /^-?\d+$/.test(text) ? Number(text) : 0;
}

function restarts(pod: PodView): number {
  return (pod.status.containerStatuses ?? []).reduce((most, status) => Math.max(most, status.restartCount ?? 0), 0);
}

/** Order of magnitude of an age: how often one nanosecond can be doubled. Unknown times are the youngest. */
function magnitude(time: number | undefined, now: number): number {
  if (time === undefined) return -1;
  const age = (now - time) * 1e6;
  return age > 0 ? Math.floor(Math.log2(age)) : -1;
}

function youngerFirst(a: PodView, b: PodView, time: (pod: PodView) => number | undefined, now: number): number {
  const [x, y] = [time(a), time(b)];
  if (x === y) return 0;
  return magnitude(x, now) - magnitude(y, now) || (a.metadata.uid < b.metadata.uid ? -1 : 1);
}
