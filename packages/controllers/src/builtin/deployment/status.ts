/**
 * The status of a deployment and its conditions: what `kubectl rollout status` and `wait` go by.
 *
 * - Available: at least `replicas - maxUnavailable` pods are available.
 * - Progressing: True while the rollout gets on and when it is complete; False (`ProgressDeadlineExceeded`) when nothing
 *   got better for `progressDeadlineSeconds`; Unknown while paused. Absent without a deadline.
 * - ReplicaFailure: as the replica sets report it.
 *
 * Source of the rules and texts: kube-controller-manager `progress.go`, `deployment_util.go`.
 */
import { type Deployment, findCondition, formatTime, parseTime, removeCondition } from '@orbitkit/core';
import { mutableCopy } from '@orbitkit/informer';
import type { DeploymentView, SetView } from './revision.js';
import { limitsOf, sizeOf, wantedBy } from './rollout-plan.js';

export type DeploymentStatus = Deployment['status'];
type DeploymentCondition = NonNullable<DeploymentStatus['conditions']>[number];

/** A deadline of the largest int32 means none. */
const noDeadline = 2 ** 31 - 1;
export const deadlineOf = ({ spec }: DeploymentView): number | undefined =>
  spec.progressDeadlineSeconds === undefined || spec.progressDeadlineSeconds === noDeadline
    ? undefined
    : spec.progressDeadlineSeconds;

const sum = (sets: readonly SetView[], of: (set: SetView) => number | undefined): number =>
  sets.reduce((n, set) => n + (of(set) ?? 0), 0);

export function conditionOf(
  type: DeploymentCondition['type'],
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message: string,
  now: number,
): DeploymentCondition {
  const time = formatTime(now);
  return { type, status, lastUpdateTime: time, lastTransitionTime: time, reason, message };
}

/** Says something new only when status or reason differ; the time of transition moves with the status only. */
export function withCondition(status: DeploymentStatus, next: DeploymentCondition): void {
  const before = findCondition(status.conditions, next.type);
  if (before?.status === next.status && before.reason === next.reason) return;
  replaceCondition(status, next);
}

function replaceCondition(status: DeploymentStatus, next: DeploymentCondition): void {
  const before = findCondition(status.conditions, next.type);
  if (before?.status === next.status && before.lastTransitionTime) next.lastTransitionTime = before.lastTransitionTime;
  status.conditions = [...removeCondition(status.conditions, next.type), next];
}

/** Counts and the Available condition. */
export function countedStatus(
  deployment: DeploymentView,
  newSet: SetView | undefined,
  oldSets: readonly SetView[],
  now: number,
): DeploymentStatus {
  const all = newSet ? [...oldSets, newSet] : oldSets;
  const available = sum(all, set => set.status.availableReplicas);
  const status: DeploymentStatus = {
    ...mutableCopy<DeploymentStatus>(deployment.status),
    replicas: sum(all, set => set.status.replicas),
    updatedReplicas: newSet?.status.replicas ?? 0,
    readyReplicas: sum(all, set => set.status.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, sizeOf) - available),
  };
  if (deployment.metadata.generation !== undefined) status.observedGeneration = deployment.metadata.generation;
  const enough = available >= wantedBy(deployment) - limitsOf(deployment).maxUnavailable;
  withCondition(
    status,
    enough
      ? conditionOf('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.', now)
      : conditionOf(
          'Available',
          'False',
          'MinimumReplicasUnavailable',
          'Deployment does not have minimum availability.',
          now,
        ),
  );
  return status;
}

export function isComplete(deployment: DeploymentView, status: DeploymentStatus): boolean {
  const wanted = wantedBy(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function gotOn(before: DeploymentView['status'], after: DeploymentStatus): boolean {
  const old = (status: DeploymentView['status']) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function ranOut(status: DeploymentStatus, deadlineSeconds: number, now: number): boolean {
  const progressing = findCondition(status.conditions, 'Progressing');
  if (!progressing || progressing.reason === 'NewReplicaSetAvailable') return false;
  if (progressing.reason === 'ProgressDeadlineExceeded') return true;
  const since = parseTime(progressing.lastUpdateTime);
  return since !== undefined && since + deadlineSeconds * 1000 <= now;
}

/** Counts, Available, Progressing and ReplicaFailure of a rollout that goes on. */
export function rolloutStatus(
  deployment: DeploymentView,
  newSet: SetView | undefined,
  oldSets: readonly SetView[],
  now: number,
): DeploymentStatus {
  const status = countedStatus(deployment, newSet, oldSets, now);
  const deadline = deadlineOf(deployment);
  const progressing = findCondition(status.conditions, 'Progressing');
  if (deadline === undefined) status.conditions = removeCondition(status.conditions, 'Progressing');
  const wasComplete = status.replicas === status.updatedReplicas && progressing?.reason === 'NewReplicaSetAvailable';
  if (deadline !== undefined && !wasComplete) {
    const who = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
    if (isComplete(deployment, status)) {
      const message = `${who} has successfully progressed.`;
      withCondition(status, conditionOf('Progressing', 'True', 'NewReplicaSetAvailable', message, now));
    } else if (gotOn(deployment.status, status)) {
      replaceCondition(status, conditionOf('Progressing', 'True', 'ReplicaSetUpdated', `${who} is progressing.`, now));
    } else if (ranOut(status, deadline, now)) {
      const message = `${who} has timed out progressing.`;
      withCondition(status, conditionOf('Progressing', 'False', 'ProgressDeadlineExceeded', message, now));
    }
  }
  const failure = [newSet, ...oldSets]
    .map(set => findCondition(set?.status.conditions, 'ReplicaFailure'))
    .find(condition => condition !== undefined);
  if (failure) {
    const { reason = '', message = '' } = failure;
    withCondition(status, conditionOf('ReplicaFailure', failure.status as 'True', reason, message, now));
  } else {
    status.conditions = removeCondition(status.conditions, 'ReplicaFailure');
  }
  return status;
}

/** When a rollout that does not get on has to be looked at again, in milliseconds; undefined: no need. */
export function deadlineCheckMs(deployment: DeploymentView, status: DeploymentStatus, now: number): number | undefined {
  const deadline = deadlineOf(deployment);
  const progressing = findCondition(status.conditions, 'Progressing');
  if (deadline === undefined || !progressing || progressing.reason === 'ProgressDeadlineExceeded') return undefined;
  if (isComplete(deployment, status)) return undefined;
  const since = parseTime(progressing.lastUpdateTime) ?? now;
  return Math.max(0, since + deadline * 1000 - now) + 1000;
}

/** What pausing and resuming say; undefined when there is nothing new to say. */
export function pauseCondition(deployment: DeploymentView, now: number): DeploymentCondition | undefined {
  if (deadlineOf(deployment) === undefined) return undefined;
  const current = findCondition(deployment.status.conditions, 'Progressing');
  if (current?.reason === 'ProgressDeadlineExceeded') return undefined;
  const said = current?.reason === 'DeploymentPaused';
  if (deployment.spec.paused && !said) {
    return conditionOf('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused', now);
  }
  if (!deployment.spec.paused && said) {
    return conditionOf('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed', now);
  }
  return undefined;
}

export function sameStatus(a: DeploymentView['status'] | undefined, b: DeploymentStatus): boolean {
  const counts = [
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'observedGeneration',
    'collisionCount',
  ] as const;
  if (!a || counts.some(field => (a[field] ?? 0) !== (b[field] ?? 0))) return false;
  const inOrder = (conditions: DeploymentView['status']['conditions']) =>
    [...(conditions ?? [])].sort((x, y) => (x.type < y.type ? -1 : 1));
  return JSON.stringify(inOrder(a.conditions)) === JSON.stringify(inOrder(b.conditions));
}
