/** Columns of Jobs and CronJobs. Rules: data/printer-columns.json. */
import { findCondition } from '../../meta/conditions.js';
import { parseTime } from '../../meta/time.js';
import type { batchv1 } from '../generated/types/index.js';
import { ageOf, humanDuration } from '../human-duration.js';
import type { Column } from '../kind.js';
import { ageColumn, column, containersColumn, imagesColumn, nameColumn, none, selectorText } from './column.js';

function jobStatus({ metadata, status }: batchv1.Job): string {
  const holds = (type: string): boolean => findCondition(status?.conditions, type)?.status === 'True';
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (metadata.deletionTimestamp) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  if (holds('FailureTarget')) return 'FailureTarget';
  return 'Running';
}

function completions({ spec, status }: batchv1.Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationText({ status }: batchv1.Job, now: number): string {
  const started = parseTime(status?.startTime);
  if (started === undefined) return '';
  return humanDuration((parseTime(status?.completionTime) ?? now) - started);
}

export const jobColumns: readonly Column<batchv1.Job>[] = [
  nameColumn,
  column('Status', 'Whether it runs, is done or has failed.', jobStatus),
  column('Completions', 'Pods that have succeeded, of those wanted.', completions),
  column('Duration', 'How long it took, or has taken so far.', durationText),
  ageColumn,
  containersColumn,
  imagesColumn,
  column(
    'Selector',
    'Which pods belong to the job.',
    ({ spec }) => selectorText(spec.selector, { empty: none, invalid: '<error>' }),
    { wide: true },
  ),
];

/** A column of the job, seen from the cron job that holds its template. */
const ofJob = (of: Column<any>): Column<batchv1.CronJob> => ({
  ...of,
  cell: ({ spec }, now) => of.cell(spec.jobTemplate ?? {}, now),
});

export const cronJobColumns: readonly Column<batchv1.CronJob>[] = [
  nameColumn,
  column('Schedule', 'When it runs.', ({ spec }) => spec.schedule),
  column('Timezone', 'Of the schedule.', ({ spec }) => spec.timeZone ?? none),
  column(
    'Suspend',
    'Whether it pauses.',
    ({ spec }) => (spec.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False'),
    { type: 'boolean' },
  ),
  column('Active', 'Jobs that run now.', ({ status }) => status?.active?.length ?? 0, { type: 'integer' }),
  column('Last Schedule', 'When it ran last.', ({ status }, now) =>
    status?.lastScheduleTime ? ageOf(status.lastScheduleTime, now) : none,
  ),
  ageColumn,
  ofJob(containersColumn),
  ofJob(imagesColumn),
  column(
    'Selector',
    'Which pods belong to its jobs.',
    ({ spec }) => selectorText(spec.jobTemplate?.spec?.selector, { empty: none, invalid: '<error>' }),
    { wide: true },
  ),
];
