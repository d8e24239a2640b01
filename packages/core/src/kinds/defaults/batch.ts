/** Defaults of Jobs and CronJobs. Source: batch/v1 defaults (v0.33). */
import type { batchv1 } from '../generated/types/index.js';
import { defaultPodTemplate } from './pod.js';

/** Go's MaxInt32: failures are counted for each index alone. */
const withoutLimit = 2_147_483_647;

export function defaultJob({ metadata, spec }: batchv1.Job): void {
  if (spec.completions === undefined && spec.parallelism === undefined) {
    spec.completions = 1;
    spec.parallelism = 1;
  }
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : withoutLimit;
  const labels = spec.template?.metadata?.labels;
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  defaultFailurePolicy(spec.podFailurePolicy);
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  defaultPodTemplate(spec.template);
}

function defaultFailurePolicy(policy: batchv1.PodFailurePolicy | undefined): void {
  for (const rule of policy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True';
}

export function defaultCronJob({ spec }: batchv1.CronJob): void {
  spec.concurrencyPolicy ??= 'Allow';
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
  const job = spec.jobTemplate?.spec;
  if (!job) return;
  defaultFailurePolicy(job.podFailurePolicy);
  defaultPodTemplate(job.template);
}
