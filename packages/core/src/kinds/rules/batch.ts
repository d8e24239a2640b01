/** Rules of Jobs and CronJobs. Source: batch/validation (v0.33). */
import { labelSelectorOf } from '../../meta/label-selector.js';
import type { ObjectMeta } from '../../meta/object.js';
import type { batchv1, corev1 } from '../generated/types/index.js';
import { cronProblem } from './cron-schedule.js';
import { checkPodTemplate } from './pod.js';
import { type Report, sameValue } from './report.js';
import { checkLabelSelector } from './selector.js';
import { checkCounts } from './workload.js';

const maxIndexedParallelism = 100_000;
/** 63 less what a job's name adds: a dash and ten digits. */
const maxCronJobName = 52;
const controllerUidLabels = ['batch.kubernetes.io/controller-uid', 'controller-uid'];

export function checkJob(report: Report, job: batchv1.Job, previous?: batchv1.Job): void {
  const { spec, status } = job;
  checkJobSpec(report, spec, 'spec');
  if (!spec.selector) {
    report.required('spec.selector');
  } else {
    const sound = checkLabelSelector(report, spec.selector, 'spec.selector');
    const labels = spec.template?.metadata?.labels ?? {};
    if (sound && !labelSelectorOf(spec.selector).matches(labels))
      report.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
    if (!previous && spec.manualSelector !== true) checkGenerated(report, job);
  }
  checkCounts(report, status ?? {}, ['active', 'succeeded', 'failed', 'terminating', 'ready']);
  if (previous) checkJobUpdate(report, spec, previous);
}

/** Whoever wants to choose the selector himself must say so: jobs that share pods delete each other's. */
function checkGenerated(report: Report, { metadata, spec }: batchv1.Job): void {
  const uid = metadata.uid;
  if (!uid) return;
  const generated = controllerUidLabels.some(label => spec.selector?.matchLabels?.[label] === uid);
  if (!generated) report.invalid('spec.selector', spec.selector, '`selector` not auto-generated');
}

function checkJobSpec(report: Report, spec: batchv1.JobSpec, field: string): void {
  for (const name of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'maxFailedIndexes',
    'backoffLimitPerIndex',
  ] as const)
    report.notNegative(`${field}.${name}`, spec[name]);
  const { completionMode, completions, parallelism = 1 } = spec;
  if (completionMode && completionMode !== 'Indexed' && completionMode !== 'NonIndexed') {
    report.unsupported(`${field}.completionMode`, completionMode, ['NonIndexed', 'Indexed']);
  } else if (completionMode === 'Indexed') {
    if (completions === undefined) report.required(`${field}.completions`, 'when completion mode is Indexed');
    if (parallelism > maxIndexedParallelism)
      report.invalid(
        `${field}.parallelism`,
        parallelism,
        `must be less than or equal to ${maxIndexedParallelism} when completion mode is Indexed`,
      );
  } else if (spec.backoffLimitPerIndex !== undefined) {
    report.invalid(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode');
  }
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    report.required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified');
  checkFailurePolicy(report, spec, field);
  if (!spec.template) {
    report.required(`${field}.template`);
    return;
  }
  checkPodTemplate(report, spec.template, `${field}.template`);
  const at = `${field}.template.spec.restartPolicy`;
  const policy = spec.template.spec?.restartPolicy;
  if (policy === 'Always' || !policy) report.required(at, 'valid values: "OnFailure", "Never"');
  else if (policy !== 'OnFailure' && policy !== 'Never') report.unsupported(at, policy, ['OnFailure', 'Never']);
  else if (policy !== 'Never' && spec.podFailurePolicy)
    report.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified');
}

function checkFailurePolicy(report: Report, spec: batchv1.JobSpec, field: string): void {
  const { podFailurePolicy, podReplacementPolicy } = spec;
  if (podReplacementPolicy) {
    const at = `${field}.podReplacementPolicy`;
    const legal = podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
    if (!legal.includes(podReplacementPolicy)) report.unsupported(at, podReplacementPolicy, legal);
  }
  const at = `${field}.podFailurePolicy.rules`;
  if ((podFailurePolicy?.rules?.length ?? 0) > 20) report.tooMany(at, podFailurePolicy!.rules.length, 20);
  for (const [index, rule] of (podFailurePolicy?.rules ?? []).entries()) {
    const here = `${at}[${index}]`;
    report.oneOf(`${here}.action`, rule.action, ['Count', 'FailIndex', 'FailJob', 'Ignore']);
    if (rule.onExitCodes && rule.onPodConditions?.length)
      report.invalid(here, 'specifying both OnExitCodes and OnPodConditions is not supported', '');
    if (!rule.onExitCodes && !rule.onPodConditions?.length)
      report.invalid(here, 'specifying one of OnExitCodes and OnPodConditions is required', '');
    if (rule.onExitCodes) {
      report.oneOf(`${here}.onExitCodes.operator`, rule.onExitCodes.operator, ['In', 'NotIn']);
      if (!rule.onExitCodes.values?.length)
        report.invalid(`${here}.onExitCodes.values`, rule.onExitCodes.values ?? [], 'at least one value is required');
    }
  }
}

/** A job is what it was created as; one that has not begun may still change where it will run. */
function checkJobUpdate(report: Report, spec: batchv1.JobSpec, previous: batchv1.Job): void {
  const before = previous.spec;
  const elastic =
    spec.completionMode === 'Indexed' &&
    spec.completions !== undefined &&
    before.completions !== undefined &&
    spec.completions === spec.parallelism &&
    before.completions === before.parallelism;
  if (!elastic) report.immutable('spec.completions', spec.completions, before.completions);
  report.immutable('spec.selector', spec.selector, before.selector);
  const notBegun = before.suspend === true && previous.status?.startTime === undefined;
  const template = notBegun ? withPlacementOf(spec.template, before.template) : spec.template;
  report.immutable('spec.template', template, before.template);
  for (const name of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const)
    report.immutable(`spec.${name}`, spec[name], before[name]);
}

function withPlacementOf(template: corev1.PodTemplateSpec, before: corev1.PodTemplateSpec): corev1.PodTemplateSpec {
  const metadata: Partial<ObjectMeta> = { ...template.metadata };
  for (const name of ['labels', 'annotations'] as const) {
    if (before.metadata?.[name]) metadata[name] = before.metadata[name];
    else delete metadata[name];
  }
  const spec: Record<string, unknown> = { ...template.spec };
  for (const name of ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates'] as const)
    spec[name] = before.spec?.[name];
  return { ...template, metadata, spec: spec as unknown as corev1.PodSpec };
}

export function checkCronJob(report: Report, { metadata, spec }: batchv1.CronJob, previous?: batchv1.CronJob): void {
  if (!previous && (metadata.name?.length ?? 0) > maxCronJobName)
    report.invalid('metadata.name', metadata.name, `must be no more than ${maxCronJobName} characters`);
  if (!spec.schedule) {
    report.required('spec.schedule');
  } else {
    const problem = cronProblem(spec.schedule);
    if (problem) report.invalid('spec.schedule', spec.schedule, problem);
    const kept = previous?.spec.schedule === spec.schedule;
    if (!kept && /TZ/.test(spec.schedule))
      report.invalid(
        'spec.schedule',
        spec.schedule,
        'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      );
  }
  if (spec.timeZone !== undefined && !(previous && sameValue(previous.spec.timeZone, spec.timeZone)))
    checkTimeZone(report, spec.timeZone);
  report.notNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds);
  report.oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']);
  report.notNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit);
  report.notNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit);
  const job = spec.jobTemplate?.spec;
  if (!job) return;
  if (job.manualSelector === true) report.unsupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false']);
  checkJobSpec(report, job, 'spec.jobTemplate.spec');
}

function checkTimeZone(report: Report, zone: string): void {
  const field = 'spec.timeZone';
  if (zone === '') {
    report.invalid(field, zone, 'timeZone must be nil or non-empty string');
  } else if (zone.toLowerCase() === 'local') {
    report.invalid(field, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones');
  } else if (!isTimeZone(zone)) {
    report.invalid(field, zone, `unknown time zone ${zone}`);
  }
}

function isTimeZone(zone: string): boolean {
  // An offset such as +02:00 is known to Intl, and is no name.
  if (!/^[A-Za-z]/.test(zone)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
