/**
 * How many pods each replica set of a deployment should have next: pure functions from what is seen to what to do.
 *
 * Invariants of a rolling update, whatever is seen in whatever order:
 * - there are never more than `replicas + maxSurge` pods, not counting those on their way out (unless there already were
 *   when the deployment shrank). Upstream bounds what the sets ask for; we also count pods that a set still has to give up;
 * - old sets are only scaled down by what leaves at least `replicas - maxUnavailable` pods available.
 *
 * Source of the rules: kube-controller-manager `rolling.go`, `sync.go`, `deployment_util.go`.
 */
import { resolvePercent } from '@orbitkit/core';
import {
  byCreation,
  type DeploymentView,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  type SetView,
} from './revision.js';

/** A replica set and the number of pods that it should have. */
export interface Scaling {
  set: SetView;
  replicas: number;
}

export const wantedBy = (deployment: DeploymentView): number => deployment.spec.replicas ?? 1;
export const sizeOf = (set: SetView): number => set.spec.replicas ?? 1;
/** Its status may still count pods that it was told to give up. */
const availableOf = (set: SetView): number => Math.min(set.status.availableReplicas ?? 0, sizeOf(set));
const sum = (sets: readonly SetView[], of: (set: SetView) => number): number => sets.reduce((n, set) => n + of(set), 0);

export const isRecreate = (deployment: DeploymentView): boolean => deployment.spec.strategy?.type === 'Recreate';

/** maxSurge rounds up, maxUnavailable down; both zero would never move, so then one may be unavailable. */
export function limitsOf(deployment: DeploymentView): { maxSurge: number; maxUnavailable: number } {
  const replicas = wantedBy(deployment);
  if (isRecreate(deployment) || replicas === 0) return { maxSurge: 0, maxUnavailable: 0 };
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const maxSurge = resolvePercent(rolling?.maxSurge ?? '25%', replicas, 'up');
  const maxUnavailable = resolvePercent(rolling?.maxUnavailable ?? '25%', replicas, 'down');
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge, maxUnavailable: 1 };
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

/** The most pods that there may be: what a scaled set is annotated with. */
export const mostReplicas = (deployment: DeploymentView): number =>
  wantedBy(deployment) + limitsOf(deployment).maxSurge;

/** The pods that a set may have: those that it asks for, or those that it still has. */
export const heldBy = (set: SetView): number => Math.max(sizeOf(set), set.status.replicas ?? 0);

/** The size of the new set, given what all sets together hold; `current` is its size now, 0 before it exists. */
export function newSetSize(deployment: DeploymentView, current: number, total: number): number {
  const wanted = wantedBy(deployment);
  if (isRecreate(deployment) || current > wanted) return wanted;
  const room = mostReplicas(deployment) - total;
  return room <= 0 ? current : current + Math.min(room, wanted - current);
}

/** The next step of a rolling update: grow the new set, or shrink old ones; empty when there is nothing to do now. */
export function rollingStep(deployment: DeploymentView, newSet: SetView, oldSets: readonly SetView[]): Scaling[] {
  const replicas = newSetSize(deployment, sizeOf(newSet), sum(oldSets, heldBy) + sizeOf(newSet));
  if (replicas !== sizeOf(newSet)) return [{ set: newSet, replicas }];
  return shrinkOldSets(deployment, newSet, oldSets);
}

function shrinkOldSets(deployment: DeploymentView, newSet: SetView, oldSets: readonly SetView[]): Scaling[] {
  const all = [...oldSets, newSet];
  const least = wantedBy(deployment) - limitsOf(deployment).maxUnavailable;
  // Pods of the new set that are not available yet must not be counted on.
  const newUnavailable = sizeOf(newSet) - availableOf(newSet);
  const removable = sum(all, sizeOf) - least - newUnavailable;
  if (sum(oldSets, sizeOf) === 0 || removable <= 0) return [];

  const sizes = new Map(oldSets.map(set => [set, sizeOf(set)]));
  const shrink = (set: SetView, by: number) => sizes.set(set, sizes.get(set)! - by);
  const oldest = [...oldSets].sort(byCreation);

  // First those that serve nobody anyway.
  let left = removable;
  for (const set of oldest) {
    const unhealthy = Math.min(left, Math.max(0, sizeOf(set) - availableOf(set)));
    shrink(set, unhealthy);
    left -= unhealthy;
  }
  // Then as many as are available beyond the least.
  let spare = sum(all, availableOf) - least;
  for (const set of oldest) {
    const by = Math.max(0, Math.min(spare, sizes.get(set)!));
    shrink(set, by);
    spare -= by;
  }
  return oldest.filter(set => sizes.get(set) !== sizeOf(set)).map(set => ({ set, replicas: sizes.get(set)! }));
}

/** Whether the deployment's own size was changed since a set was last scaled. */
export function wasResized(deployment: DeploymentView, sets: readonly SetView[]): boolean {
  return sets.some(set => {
    const desired = annotatedNumber(set, desiredReplicasAnnotation);
    return sizeOf(set) > 0 && desired !== undefined && desired !== wantedBy(deployment);
  });
}

/**
 * After a change of size. One set with pods, or none: that one gets them all. In the middle of a rollout a change is
 * shared in proportion to the sets' sizes, largest first, so that the risk that a new version may be bad stays what it
 * was; a rollout that is through lets old sets go.
 */
export function resizeStep(
  deployment: DeploymentView,
  newSet: SetView | undefined,
  oldSets: readonly SetView[],
): Scaling[] {
  const wanted = wantedBy(deployment);
  const active = [...oldSets, ...(newSet ? [newSet] : [])].filter(set => sizeOf(set) > 0);
  if (active.length <= 1) {
    const only = active[0] ?? newSet ?? [...oldSets].sort(byCreation).at(-1);
    return only ? [{ set: only, replicas: wanted }] : [];
  }
  if (newSet && isSaturated(deployment, newSet)) {
    return oldSets.filter(set => sizeOf(set) > 0).map(set => ({ set, replicas: 0 }));
  }
  if (isRecreate(deployment)) return [];

  const change = (wanted > 0 ? mostReplicas(deployment) : 0) - sum(active, sizeOf);
  // Growing favours younger sets among equals, shrinking older ones.
  active.sort((a, b) => sizeOf(b) - sizeOf(a) || (change > 0 ? byCreation(b, a) : byCreation(a, b)));
  let done = 0;
  const scalings = active.map(set => {
    const rest = change - done;
    const part = change === 0 ? 0 : shareOf(deployment, set);
    const by = change > 0 ? Math.min(part, rest) : Math.max(part, rest);
    done += by;
    return { set, replicas: sizeOf(set) + by };
  });
  // What rounding left over goes to the largest.
  scalings[0]!.replicas = Math.max(0, scalings[0]!.replicas + change - done);
  return scalings;
}

/** How much a set's size changes when its share of the whole stays the same. */
function shareOf(deployment: DeploymentView, set: SetView): number {
  if (wantedBy(deployment) === 0) return -sizeOf(set);
  const before = annotatedNumber(set, maxReplicasAnnotation) ?? deployment.status.replicas ?? 0;
  if (before === 0) return 0;
  return Math.round((sizeOf(set) * mostReplicas(deployment)) / before) - sizeOf(set);
}

function isSaturated(deployment: DeploymentView, set: SetView): boolean {
  const wanted = wantedBy(deployment);
  return (
    annotatedNumber(set, desiredReplicasAnnotation) === wanted && sizeOf(set) === wanted && availableOf(set) === wanted
  );
}

function annotatedNumber(set: SetView, name: string): number | undefined {
  const text = set.metadata.annotations?.[name];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
