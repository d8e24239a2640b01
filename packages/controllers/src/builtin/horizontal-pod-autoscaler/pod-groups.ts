/**
 * Which pods' measures may be believed. A pod that has just started burns processor time of its own, and one that is not ready gets no load:
 * neither says how much load there is.
 *
 * Source of the rules and constants: kube-controller-manager `replica_calculator.go` `groupPods` (1.33).
 */
import { findCondition, isDeleting, parseTime } from '@orbitkit/core';
import type { PodView } from '../../pods/pod-state.js';
import type { PodMeasures } from './autoscaler-metrics.js';

export interface PodGroupOptions {
  /** After its start a pod's processor use counts only when it is ready and was so for a whole measuring window. */
  readonly cpuInitializationMs: number;
  /** A pod that stopped being ready so soon after its start has never been ready. */
  readonly initialReadinessMs: number;
}

export interface PodGroups {
  readonly readyCount: number;
  /** Pending, or not yet up: they use nothing while there is too much to do. */
  readonly unready: ReadonlySet<string>;
  /** They run, and nobody measured them. */
  readonly missing: ReadonlySet<string>;
  /** On their way out, or failed: they are not counted at all. */
  readonly ignored: ReadonlySet<string>;
}

/** @param resource `cpu` has rules of its own; a metric that is no resource has none. */
export function groupPods(
  pods: readonly PodView[],
  measures: PodMeasures,
  resource: string | undefined,
  now: number,
  options: PodGroupOptions,
): PodGroups {
  let readyCount = 0;
  const [unready, missing, ignored] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (isDeleting(pod) || pod.status.phase === 'Failed') ignored.add(name);
    else if (pod.status.phase === 'Pending') unready.add(name);
    else if (!measures.has(name)) missing.add(name);
    else if (resource === 'cpu' && isStarting(pod, measures, now, options)) unready.add(name);
    else readyCount += 1;
  }
  return { readyCount, unready, missing, ignored };
}

function isStarting(pod: PodView, measures: PodMeasures, now: number, options: PodGroupOptions): boolean {
  const ready = findCondition(pod.status.conditions, 'Ready');
  const startedAt = parseTime(pod.status.startTime);
  if (!ready || startedAt === undefined) return true;
  const changedAt = parseTime(ready.lastTransitionTime) ?? Number.NEGATIVE_INFINITY;
  if (startedAt + options.cpuInitializationMs > now) {
    const { at, windowMs } = measures.get(pod.metadata.name)!;
    return ready.status === 'False' || at < changedAt + windowMs;
  }
  return ready.status === 'False' && startedAt + options.initialReadinessMs > changedAt;
}
