/** The report as a table for people: a measure a line, a policy a column. */
import type { PolicyReport, Report } from './report.js';

export interface Measure {
  readonly title: string;
  readonly of: (policy: PolicyReport) => string;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const count = (number: number): string => Math.round(number).toLocaleString('en-US');

/** `0.4s`, `12.0s`, `3m20s`, `2h05m`. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (number: number): string => String(number).padStart(2, '0');
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3_600)}h${two(Math.floor((whole % 3_600) / 60))}m`;
}

/** Every measure that a report has, for text and HTML alike. */
export function measuresOf(report: Report): Measure[] {
  const first = report.policies[0]!;
  const { bound } = first.slo;
  const groups = Object.keys(first.fairness.groups);
  return [
    ...Object.keys(first.utilisation).flatMap((resource): Measure[] => [
      { title: `${resource} utilisation, mean of nodes`, of: each => percent(each.utilisation[resource]!.mean) },
      { title: `${resource} utilisation, p95 of nodes`, of: each => percent(each.utilisation[resource]!.p95) },
      { title: `${resource} utilisation, deviation`, of: each => percent(each.utilisation[resource]!.deviation) },
      { title: `${resource} fragmentation`, of: each => percent(each.fragmentation[resource]!) },
    ]),
    ...(['mean', 'p50', 'p90', 'p95', 'p99', 'max'] as const).map(
      (key): Measure => ({ title: `waiting, ${key}`, of: each => durationText(each.waiting[key]) }),
    ),
    {
      title: `waited longer than ${durationText(bound)}`,
      of: ({ slo }) => `${count(slo.missed)} (${percent(slo.share)})`,
    },
    { title: 'fairness between groups (Jain)', of: each => each.fairness.index.toFixed(3) },
    ...(groups.length > 1 && groups.length <= 12
      ? groups.map(
          (group): Measure => ({ title: `served, ${group}`, of: each => percent(each.fairness.groups[group]!.served) }),
        )
      : []),
    { title: 'placements', of: each => count(each.placements) },
    { title: 'completed', of: each => count(each.completed) },
    { title: 'waiting at the end', of: each => count(each.unplaced) },
    { title: 'evicted: preempted', of: each => count(each.evictions.preempted) },
    { title: 'evicted: node failed', of: each => count(each.evictions.failed) },
    { title: 'evicted: node drained', of: each => count(each.evictions.drained) },
    { title: 'evicted: node removed', of: each => count(each.evictions.removed) },
    { title: 'moves to another node', of: each => count(each.moves) },
    { title: 'decisions', of: each => count(each.decisions) },
    { title: 'decisions that found no node', of: each => count(each.refusals) },
    ...(first.speed
      ? [{ title: 'decisions a second', of: (each: PolicyReport) => count(each.speed?.decisionsPerSecond ?? 0) }]
      : []),
  ];
}

export const summaryLine = ({ nodes, pods, seed, until, warmup }: Report): string =>
  `${count(nodes)} nodes, ${count(pods)} pods, ${durationText(until)}${warmup > 0 ? ` (the first ${durationText(warmup)} not averaged)` : ''}, seed ${seed}`;

/** Lines of text, with a line end after the last. */
export function reportText(report: Report): string {
  const rows = [
    ['', ...report.policies.map(each => each.name)],
    ...measuresOf(report).map(({ title, of }) => [title, ...report.policies.map(of)]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  const lines = rows.map(row =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  return [report.name, summaryLine(report), '', ...lines, ''].join('\n');
}
