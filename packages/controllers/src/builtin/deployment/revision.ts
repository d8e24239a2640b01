/**
 * Revisions: each template that a deployment rolled out has a number, kept as an annotation of its replica set and shown
 * on the deployment. `kubectl rollout history` and `undo` read them. Going back to an older template gives it the next number.
 *
 * Names and rules: kube-controller-manager `deployment_util.go`.
 */
import type { Deployment, ReplicaSet } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export type DeploymentView = DeepReadonly<Deployment>;
export type SetView = DeepReadonly<ReplicaSet>;

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
/** The size for which a replica set was scaled, and that with surge: what proportional scaling goes by. */
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';

/** Annotations of a deployment that are its own and not handed to its replica sets. */
const ownAnnotations = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
]);

/** 0 when there is none, or it is not a number. */
export function revisionOf(object: { metadata: { annotations?: Readonly<Record<string, string>> } }): number {
  const revision = Number(object.metadata.annotations?.[revisionAnnotation] ?? 0);
  return Number.isSafeInteger(revision) ? revision : 0;
}

export const nextRevision = (old: readonly SetView[]): number => Math.max(0, ...old.map(revisionOf)) + 1;

/** The annotations of the replica set that stands for the deployment's template now; the same object when nothing changes. */
export function newSetAnnotations(
  deployment: DeploymentView,
  current: Readonly<Record<string, string>>,
  revision: number,
): Readonly<Record<string, string>> {
  const next: Record<string, string> = { ...current };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!ownAnnotations.has(name)) next[name] = value;
  }
  const before = Number(current[revisionAnnotation] ?? 0);
  if (!(before >= revision)) {
    next[revisionAnnotation] = String(revision);
    if (before > 0) {
      const history = current[revisionHistoryAnnotation];
      next[revisionHistoryAnnotation] = history ? `${history},${before}` : String(before);
    }
  }
  const changed = Object.keys(next).some(name => next[name] !== current[name]);
  return changed ? next : current;
}

export const byCreation = (a: SetView, b: SetView): number =>
  compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) || compare(a.metadata.name, b.metadata.name);

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
