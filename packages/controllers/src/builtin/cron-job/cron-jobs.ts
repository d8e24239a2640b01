/**
 * Makes a Job at each time of a CronJob's schedule.
 *
 * - A time is served once: the Job's name holds its minute, so that two managers, or one that was killed half-way, cannot make two.
 * - Of several times that were missed only the newest is served, and none that is older than `startingDeadlineSeconds`.
 * - `concurrencyPolicy`: Forbid skips while a Job runs, Replace deletes it first. Suspended: nothing is made; what runs, runs on.
 * - Finished Jobs beyond the history limits are deleted, oldest first.
 *
 * Source of the rules: kube-controller-manager `cronjob_controllerv2.go` (1.33). Schedules: see schedule.ts.
 */
import {
  type batchv1,
  type Client,
  CronJob,
  controllerOf,
  controllerReference,
  findCondition,
  formatTime,
  isDeleting,
  isNotFound,
  isStatusError,
  Job,
  parseTime,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller, type ReconcileRequest } from '../../controller-builder.js';
import type { ReconcileResult } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import { isFinished } from '../job/job-plan.js';
import { type Due, dueAt, manyMissed, parseSchedule, type Schedule } from './schedule.js';
import { isTimeZone, timestampIn } from './time-zone.js';

/** Everything has upstream's default. */
export interface CronJobsOptions {
  /** CronJobs reconciled at the same time. Default 5 (`--concurrent-cron-job-syncs`). */
  concurrency?: number;
}

type JobView = DeepReadonly<Job>;
type Request = ReconcileRequest<CronJob>;

const scheduledTimestamp = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

/** The controller `cronjob-controller`. */
export function cronJobs({ concurrency = 5 }: CronJobsOptions = {}): Controller {
  return controller(CronJob).named('cronjob-controller').owns(Job).concurrency(concurrency).reconcile(reconcile);
}

async function reconcile(request: Request): Promise<ReconcileResult> {
  const { object: cronJob, read, client } = request;
  const before = JSON.stringify(cronJob.status);
  const owned = read(Job)
    .list(cronJob.metadata.namespace)
    .filter(job => controllerOf(job)?.uid === cronJob.metadata.uid);
  await noteEnds(request, owned);
  await deleteHistory(request, owned);
  try {
    if (isDeleting(cronJob) || cronJob.spec.suspend) return undefined;
    return await serve(request, owned);
  } finally {
    if (JSON.stringify(cronJob.status) !== before) await client.updateStatus(CronJob, cronJob);
  }
}

/** Takes what has ended out of `active`. */
async function noteEnds({ object: cronJob, events, client }: Request, owned: readonly JobView[]): Promise<void> {
  const byUid = new Map(owned.map(job => [job.metadata.uid, job]));
  const status = cronJob.status;
  const active: typeof status.active = [];
  for (const reference of status.active ?? []) {
    const { uid, name = '' } = reference;
    // The cache may not have it yet.
    const job = byUid.get(uid ?? '') ?? (await liveJob(client, { name, namespace: cronJob.metadata.namespace }));
    if (job?.metadata.uid !== uid) events.event(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${name}`);
    else if (isFinished(job!))
      events.event(cronJob, 'Normal', 'SawCompletedJob', `Saw completed job: ${name}, condition: ${outcomeOf(job!)}`);
    else active.push(reference);
  }
  if (active.length !== (status.active?.length ?? 0)) {
    if (active.length > 0) status.active = active;
    else delete status.active;
  }
  const known = new Set(active.map(({ uid }) => uid));
  for (const job of owned) {
    if (!isFinished(job) && !known.has(job.metadata.uid)) {
      const text = `Saw a job that the controller did not create or forgot: ${job.metadata.name}`;
      events.event(cronJob, 'Warning', 'UnexpectedJob', text);
    }
    const ended = job.status.completionTime;
    if (outcomeOf(job) !== 'Complete' || ended === undefined) continue;
    if (status.lastSuccessfulTime === undefined || ended > status.lastSuccessfulTime) status.lastSuccessfulTime = ended;
  }
}

async function liveJob(client: Client, key: { name: string; namespace: string }): Promise<Job | undefined> {
  try {
    return await client.get(Job, key);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function serve(request: Request, owned: readonly JobView[]): Promise<ReconcileResult> {
  const { object: cronJob, events, clock } = request;
  const { spec, status } = cronJob;
  let schedule: Schedule;
  if (!isTimeZone(spec.timeZone ?? 'UTC')) {
    const text = `invalid timeZone: ${JSON.stringify(spec.timeZone)}: there is no such zone`;
    events.event(cronJob, 'Warning', 'UnknownTimeZone', text);
    return undefined;
  }
  try {
    schedule = parseSchedule(spec.schedule, spec.timeZone ?? 'UTC');
  } catch (error) {
    // Only a change of the CronJob can help.
    events.event(
      cronJob,
      'Warning',
      'UnparseableSchedule',
      `unparseable schedule ${JSON.stringify(spec.schedule)}: ${messageOf(error)}`,
    );
    return undefined;
  }
  const now = clock.now();
  const deadlineMs = spec.startingDeadlineSeconds === undefined ? undefined : spec.startingDeadlineSeconds * 1000;
  const last = parseTime(status.lastScheduleTime) ?? parseTime(cronJob.metadata.creationTimestamp) ?? now;
  const since = deadlineMs === undefined ? last : Math.max(last, now - deadlineMs);
  const due = dueAt(schedule, since, now);
  if (due) await start(request, due, owned);
  const next = schedule.next(now);
  return next === undefined ? undefined : { requeueAfter: next - now + 100 };
}

async function start(request: Request, { at, missed }: Due, owned: readonly JobView[]): Promise<void> {
  const { object: cronJob, client, events, log } = request;
  const { spec, status, metadata } = cronJob;
  if (missed > manyMissed) {
    const text = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew';
    events.event(cronJob, 'Warning', 'TooManyMissedTimes', text);
  }
  const name = `${metadata.name}-${Math.floor(at / 60_000)}`;
  if (status.active?.some(active => active.name === name)) return;
  const running = status.active ?? [];
  if (spec.concurrencyPolicy === 'Forbid' && running.length > 0) {
    const text = 'Not starting job because prior execution is running and concurrency policy is Forbid';
    events.event(cronJob, 'Normal', 'JobAlreadyActive', text);
    return;
  }
  if (spec.concurrencyPolicy === 'Replace') {
    for (const job of owned.filter(each => running.some(({ uid }) => uid === each.metadata.uid)))
      await deleteJob(request, job);
    delete status.active;
  }
  const job = await createJob(request, name, at);
  if (!job) return;
  log.info('a job was started', { job: name });
  events.event(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${name}`);
  const reference = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    name,
    namespace: metadata.namespace,
    uid: job.metadata.uid,
    resourceVersion: job.metadata.resourceVersion,
  };
  status.active = [...(status.active ?? []), reference];
  status.lastScheduleTime = formatTime(at);
  // At once: what was started must not be forgotten, whatever comes next.
  const { metadata: written, status: stored } = await client.updateStatus(CronJob, cronJob);
  cronJob.metadata = written;
  cronJob.status = stored;
}

/** Undefined when the name belongs to something else. */
async function createJob(
  { object: cronJob, client, events }: Request,
  name: string,
  at: number,
): Promise<Job | undefined> {
  const { metadata: wanted = {}, spec = {} } = cronJob.spec.jobTemplate;
  const { namespace } = cronJob.metadata;
  const annotations = { ...wanted.annotations, [scheduledTimestamp]: timestampIn(cronJob.spec.timeZone ?? 'UTC', at) };
  const metadata = {
    name,
    namespace,
    annotations,
    labels: { ...wanted.labels },
    ownerReferences: [controllerReference(cronJob)],
  };
  try {
    return await client.create(Job, { metadata, spec: spec as batchv1.JobSpec });
  } catch (error) {
    if (isStatusError(error) && error.reason === 'AlreadyExists') {
      const there = await client.get(Job, { name, namespace });
      if (controllerOf(there)?.uid === cronJob.metadata.uid) return there;
    }
    events.event(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
    throw error;
  }
}

async function deleteHistory(request: Request, owned: readonly JobView[]): Promise<void> {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = request.object.spec;
  const started = (job: JobView) => job.status.startTime ?? job.metadata.creationTimestamp;
  const oldestFirst = (a: JobView, b: JobView) =>
    started(a) < started(b) ? -1 : started(a) > started(b) ? 1 : a.metadata.name < b.metadata.name ? -1 : 1;
  const finished = owned.filter(job => isFinished(job) && !isDeleting(job)).sort(oldestFirst);
  const complete = finished.filter(job => outcomeOf(job) === 'Complete');
  const failed = finished.filter(job => outcomeOf(job) === 'Failed');
  for (const job of complete.slice(0, Math.max(0, complete.length - successfulJobsHistoryLimit)))
    await deleteJob(request, job);
  for (const job of failed.slice(0, Math.max(0, failed.length - failedJobsHistoryLimit))) await deleteJob(request, job);
}

async function deleteJob({ object: cronJob, client, events }: Request, job: JobView): Promise<void> {
  const { name, namespace, uid } = mutableCopy<Job>(job).metadata;
  try {
    await client.delete(Job, { name, namespace }, { propagationPolicy: 'Background', preconditions: { uid } });
    events.event(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${name}`);
  } catch (error) {
    if (isNotFound(error)) return;
    events.event(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${messageOf(error)}`);
    throw error;
  }
}

const outcomeOf = ({ status }: JobView): 'Complete' | 'Failed' | undefined =>
  (['Complete', 'Failed'] as const).find(type => findCondition(status.conditions, type)?.status === 'True');
