import { describe, expect, test } from 'vitest';
import { CronJob, Job } from '../generated/kinds.js';
import { cronProblem } from './cron-schedule.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x', namespace: 'default', uid: 'u1' };
const labels = { 'batch.kubernetes.io/controller-uid': 'u1' };
const template = { metadata: { labels }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } };
const base = { selector: { matchLabels: labels }, template };

describe('jobs', () => {
  const job = (more: object, previous?: object): string[] =>
    faults(
      Job,
      { metadata, spec: { ...base, ...more } },
      previous === undefined ? undefined : { metadata, spec: { ...base, ...previous } },
    );
  const withPolicy = (restartPolicy?: string) => ({
    template: { ...template, spec: { ...template.spec, restartPolicy } },
  });
  test.each<[object, string[]]>([
    [{}, []],
    [withPolicy('Always'), ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']],
    [withPolicy(), ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']],
    [
      { completions: -1, parallelism: -2, backoffLimit: -3 },
      [
        'spec.parallelism: Invalid value: -2: must be greater than or equal to 0',
        'spec.completions: Invalid value: -1: must be greater than or equal to 0',
        'spec.backoffLimit: Invalid value: -3: must be greater than or equal to 0',
      ],
    ],
    [
      { completionMode: 'Indexed', parallelism: 2 },
      ['spec.completions: Required value: when completion mode is Indexed'],
    ],
    [
      { completionMode: 'Odd' },
      ['spec.completionMode: Unsupported value: "Odd": supported values: "Indexed", "NonIndexed"'],
    ],
    [{ backoffLimitPerIndex: 1 }, ['spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode']],
    [
      {
        ...withPolicy('OnFailure'),
        podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'X' }] }] },
      },
      [
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
    ],
    [
      { selector: { matchLabels: { app: 'mine' } } },
      [
        `spec.template.metadata.labels: Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``,
        'spec.selector: Invalid value: {"matchLabels":{"app":"mine"}}: `selector` not auto-generated',
      ],
    ],
    [
      {
        manualSelector: true,
        selector: { matchLabels: { app: 'mine' } },
        template: { ...template, metadata: { labels: { app: 'mine' } } },
      },
      [],
    ],
  ])('%j', (more, expected) => expect(job(more)).toEqual(expected));

  test('what stays', () => {
    const other = {
      template: { ...template, spec: { ...template.spec, containers: [{ name: 'c', image: 'other' }] } },
    };
    expect(job({ parallelism: 7, backoffLimit: 1, suspend: true }, {})).toEqual([
      'spec.completions: Invalid value: null: field is immutable',
    ]);
    expect(job({ completions: 1, parallelism: 7, backoffLimit: 1, suspend: true }, {})).toEqual([]);
    expect(job(other, {})).toEqual([expect.stringMatching('^spec.template: Invalid value: .*: field is immutable$')]);
    expect(job({ completions: 2 }, { completions: 1 })).toEqual([
      'spec.completions: Invalid value: 2: field is immutable',
    ]);
    expect(job({ completionMode: 'Indexed', completions: 1 }, { completions: 1 })).toEqual([
      'spec.completionMode: Invalid value: "Indexed": field is immutable',
    ]);
  });
  test('a suspended job that has not begun may still be placed elsewhere', () => {
    const placed = { template: { ...template, spec: { ...template.spec, nodeSelector: { a: 'b' } } } };
    expect(job({ ...placed, suspend: true }, { suspend: true })).toEqual([]);
    expect(job({ ...placed, suspend: true }, {})).toHaveLength(1);
  });
  test('an elastic job grows', () => {
    const size = (n: number) => ({ completionMode: 'Indexed', completions: n, parallelism: n });
    expect(job(size(5), size(3))).toEqual([]);
  });
});

describe('cron jobs', () => {
  const spec = { schedule: '0 * * * *', jobTemplate: { spec: { template } } };
  const cron = (more: object, previous?: object, name = 'x'): string[] =>
    faults(
      CronJob,
      { metadata: { ...metadata, name }, spec: { ...spec, ...more } },
      previous === undefined ? undefined : { metadata: { ...metadata, name }, spec: { ...spec, ...previous } },
    );
  test.each<[object, string[]]>([
    [{}, []],
    [{ timeZone: 'Europe/Berlin' }, []],
    [{ schedule: '' }, ['spec.schedule: Required value']],
    [{ schedule: 'error' }, ['spec.schedule: Invalid value: "error": expected exactly 5 fields, found 1: [error]']],
    [
      { schedule: 'TZ=Etc/UTC 0 * * * *' },
      [
        'spec.schedule: Invalid value: "TZ=Etc/UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    ],
    [{ timeZone: '' }, ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']],
    [
      { timeZone: 'Local' },
      [
        'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ],
    ],
    [{ timeZone: 'Mars/Olympus' }, ['spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus']],
    [{ timeZone: '+02:00' }, ['spec.timeZone: Invalid value: "+02:00": unknown time zone +02:00']],
    [
      { concurrencyPolicy: 'Perhaps' },
      ['spec.concurrencyPolicy: Unsupported value: "Perhaps": supported values: "Allow", "Forbid", "Replace"'],
    ],
    [
      { successfulJobsHistoryLimit: -1 },
      ['spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      { jobTemplate: { spec: { template: { ...template, spec: { ...template.spec, restartPolicy: 'Always' } } } } },
      ['spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      { jobTemplate: { spec: { template, manualSelector: true } } },
      ['spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "false", "nil"'],
    ],
  ])('%j', (more, expected) => expect(cron(more)).toEqual(expected));
  test('names leave room for the time of each job', () => {
    expect(cron({}, undefined, 'n'.repeat(52))).toEqual([]);
    expect(cron({}, undefined, 'n'.repeat(53))).toEqual([
      `metadata.name: Invalid value: "${'n'.repeat(53)}": must be no more than 52 characters`,
    ]);
  });
  test('a schedule with its time zone in it stays legal where it stands', () => {
    const old = { schedule: 'TZ=Etc/UTC 0 * * * *' };
    expect(cron({ ...old, suspend: true }, old)).toEqual([]);
  });
});

test.each<[string, string | undefined]>([
  ['* * * * *', undefined],
  ['*/5 0-6,12 1 JAN mon-FRI', undefined],
  ['0 0 31 12 6', undefined],
  ['? ? ? ? ?', undefined],
  ['5/15 * * * *', undefined],
  ['@daily', undefined],
  ['@every 1h30m', undefined],
  ['@fortnightly', 'unrecognized descriptor: @fortnightly'],
  ['@every soon', 'failed to parse duration @every soon: time: invalid duration "soon"'],
  ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['9-5 * * * *', 'beginning of range (9) beyond end of range (5): 9-5'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['1/2/3 * * * *', 'too many slashes: 1/2/3'],
  ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
  ['x * * * *', 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
  ['mon * * * *', 'failed to parse int from mon: strconv.Atoi: parsing "mon": invalid syntax'],
  ['* * * * 7', 'end of range (7) above maximum (6): 7'],
])('the schedule %s', (schedule, problem) => expect(cronProblem(schedule)).toBe(problem));
