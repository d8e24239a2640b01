/** The pods of a Job: what marks them, what they are made of, when they ended. Source: kube-controller-manager `job_controller.go`, `indexed_job_utils.go`. */
import { controllerReference, type Draft, type Job, type KubeObject, type Pod, parseTime } from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { PodView } from '../../pods/pod-state.js';

export type JobView = DeepReadonly<Job>;

/** While a pod has it, its end is not yet in the Job's counters. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
const indexKey = 'batch.kubernetes.io/job-completion-index';
const failuresKey = 'batch.kubernetes.io/job-index-failure-count';

export const isTracked = (pod: PodView): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;
export const isIndexed = (job: JobView): boolean => job.spec.completionMode === 'Indexed';

/** Undefined when the pod has none, or none that the Job knows. */
export function completionIndexOf(pod: PodView, completions: number): number | undefined {
  const text = pod.metadata.annotations?.[indexKey];
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const index = Number(text);
  return index < completions ? index : undefined;
}

/** How often the pods before this one failed at its index. */
export const earlierFailures = (pod: PodView): number => Number(pod.metadata.annotations?.[failuresKey] ?? 0) || 0;

/** When its last container ended, or the best that is known. */
export function endOf(pod: PodView): number | undefined {
  const ends = (pod.status.containerStatuses ?? []).map(({ state }) => parseTime(state?.terminated?.finishedAt));
  const known = ends.filter(end => end !== undefined);
  if (known.length > 0) return Math.max(...known);
  const ready = pod.status.conditions?.find(({ type }) => type === 'Ready');
  return (
    parseTime(ready?.lastTransitionTime) ??
    parseTime(pod.metadata.deletionTimestamp) ??
    parseTime(pod.metadata.creationTimestamp)
  );
}

/** A pod for the Job; of an Indexed one for this index, after so many failures at it. */
export function podFor(job: JobView, index: number | undefined, failures: number): Draft<Pod> {
  const { metadata, spec } = mutableCopy<Job>(job).spec.template;
  const labels = { ...metadata?.labels };
  const annotations = { ...metadata?.annotations };
  const podSpec = (spec ?? {}) as Pod['spec'];
  let prefix = `${job.metadata.name}-`;
  if (index !== undefined) {
    prefix += `${index}-`;
    labels[indexKey] = annotations[indexKey] = `${index}`;
    if (job.spec.backoffLimitPerIndex !== undefined) annotations[failuresKey] = `${failures}`;
    podSpec.hostname ??= `${job.metadata.name}-${index}`;
    const fieldRef = { fieldPath: `metadata.labels['${indexKey}']` };
    for (const container of [...(podSpec.initContainers ?? []), ...podSpec.containers]) {
      if (container.env?.some(({ name }) => name === 'JOB_COMPLETION_INDEX')) continue;
      container.env = [...(container.env ?? []), { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef } }];
    }
  }
  return {
    metadata: {
      generateName: prefix,
      namespace: job.metadata.namespace,
      labels,
      annotations,
      finalizers: [...(metadata?.finalizers ?? []), trackingFinalizer],
      ownerReferences: [controllerReference(job as unknown as KubeObject)],
    },
    spec: podSpec,
  };
}
