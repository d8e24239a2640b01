/** Which taints a node's conditions call for, and how long a pod bears them. Source: kube-controller-manager, component-helpers. */
import { type corev1, findCondition, formatTime, type Node as NodeObject, tolerates } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

type Node = DeepReadonly<NodeObject>;
export type Taint = DeepReadonly<corev1.Taint>;
export type Toleration = DeepReadonly<corev1.Toleration>;

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';

const pressures: readonly (readonly [condition: string, taint: string])[] = [
  ['MemoryPressure', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'node.kubernetes.io/disk-pressure'],
  ['PIDPressure', 'node.kubernetes.io/pid-pressure'],
  ['NetworkUnavailable', 'node.kubernetes.io/network-unavailable'],
];
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const ours = new Set([notReadyTaint, unreachableTaint, unschedulableTaint, ...pressures.map(([, taint]) => taint)]);

/** `True`, `False` or `Unknown`; a node that never said anything is Unknown. */
export const readiness = (node: Node): string => findCondition(node.status.conditions, 'Ready')?.status ?? 'Unknown';

/** The taint of a node that is not ready; undefined while it is, and before it said anything. */
export function outageTaint(node: Node): string | undefined {
  const ready = findCondition(node.status.conditions, 'Ready')?.status ?? 'True';
  return ready === 'True' ? undefined : ready === 'False' ? notReadyTaint : unreachableTaint;
}

/**
 * The taints that the node should have. `noExecute` says whether an outage may drive pods away; without it a NoExecute
 * taint that is there stays, unless the outage is over or of the other kind.
 * The same array comes back when nothing changes.
 */
export function desiredTaints(node: Node, noExecute: 'add' | 'keep' | 'remove', now: number): readonly Taint[] {
  const current = node.spec.taints ?? [];
  const outage = outageTaint(node);
  const wanted: Taint[] = [];
  if (outage) wanted.push({ key: outage, effect: 'NoSchedule' });
  for (const [condition, key] of pressures) {
    if (findCondition(node.status.conditions, condition)?.status === 'True') wanted.push({ key, effect: 'NoSchedule' });
  }
  if (node.spec.unschedulable) wanted.push({ key: unschedulableTaint, effect: 'NoSchedule' });
  const driven = current.some(taint => isOutage(taint) && taint.effect === 'NoExecute');
  if (outage && (noExecute === 'add' || (noExecute === 'keep' && driven))) {
    wanted.push({ key: outage, effect: 'NoExecute' });
  }
  const kept = current.filter(
    taint => !isOurs(taint) || wanted.some(each => each.key === taint.key && each.effect === taint.effect),
  );
  const added = wanted.filter(taint => !current.some(each => each.key === taint.key && each.effect === taint.effect));
  if (added.length === 0 && kept.length === current.length) return current;
  return [...kept, ...added.map(taint => ({ ...taint, timeAdded: formatTime(now) }))];
}

const isOutage = (taint: Taint): boolean => taint.key === notReadyTaint || taint.key === unreachableTaint;
const isOurs = (taint: Taint): boolean =>
  ours.has(taint.key) && (taint.effect === 'NoSchedule' || (taint.effect === 'NoExecute' && isOutage(taint)));

/**
 * How many seconds a pod with these tolerations stays under these NoExecute taints: 0 when one is not tolerated,
 * undefined for ever. The first toleration that fits a taint speaks for it; the shortest time counts.
 */
export function stayingSeconds(taints: readonly Taint[], tolerations: readonly Toleration[]): number | undefined {
  let shortest: number | undefined;
  for (const taint of taints) {
    const fitting = tolerations.find(toleration => tolerates(toleration, taint));
    if (!fitting) return 0;
    if (fitting.tolerationSeconds === undefined) continue;
    shortest = Math.min(shortest ?? Number.POSITIVE_INFINITY, Math.max(0, fitting.tolerationSeconds));
  }
  return shortest;
}
