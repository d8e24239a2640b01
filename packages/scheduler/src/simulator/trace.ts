/**
 * Traces: a workload from a CSV file, a pod a row.
 *
 * Our own columns, named in a first line, in any order: `time` (seconds since the start), `name`, `cpu` (cores or `500m`), `memory` (bytes or `1Gi`),
 * `duration` (seconds; empty: for ever), and, if wanted, `gpu` (whole devices), `group`, `priority`, `count` (equal pods, default 1).
 *
 * Shapes of published traces, by the columns that their documents name (none has a first line but `alibaba-gpu-2023`):
 * - `azure-vm`: vmtable of AzurePublicDataset V1 and V2. The group is the subscription; `>24` cores count as 24.
 * - `google-2011`: task_events of ClusterData2011_2. A pod a task, from its submission; it lives from its first schedule to its first end. Its CPU and memory
 *   are shares of the largest machine, which `machine` tells. Tasks never scheduled live for ever; the group is the user.
 * - `alibaba-2018`: batch_task of cluster-trace-v2018. A pod an instance; CPU in hundredths of a core, memory in hundredths of `machine`'s. The group is the job's.
 * - `alibaba-gpu-2023`: openb_pod_list of cluster-trace-gpu-v2023. The group is the quality class. A share of a device becomes `orbitkit.dev/gpu-share`.
 * `columns` renames: our name → a name of the first line, or a number from 0 in a file without one.
 */
import { Quantity } from '@orbitkit/core';
import { type CsvRow, csvRows } from './csv.js';
import { type Arrival, type PodTemplate, podTemplate, type ResourceList } from './workload.js';

export const traceFormats = ['orbit', 'azure-vm', 'google-2011', 'alibaba-2018', 'alibaba-gpu-2023'] as const;
/** A shape that is known. */
export type TraceFormat = (typeof traceFormats)[number];

/** Which shape the file has. */
export interface TraceOptions {
  /** Default `orbit`. */
  readonly format?: TraceFormat;
  /** For `orbit`: where our columns are found. */
  readonly columns?: Readonly<Partial<Record<Column, string | number>>>;
  /** What 1.0 of a normalised trace is. Default 64 cores and 256Gi. */
  readonly machine?: { readonly cpu: number; readonly memory: string | number };
  /** Name of the file, for errors. */
  readonly file?: string;
  /** Rows after this many are not read. */
  readonly limit?: number;
  /** Times are divided by this: 60 plays an hour in a minute. Lives too. Default 1. */
  readonly speedup?: number;
}

const required = ['time', 'name', 'cpu', 'memory', 'duration'] as const;
const optional = ['gpu', 'group', 'priority', 'count'] as const;
export const traceColumns = [...required, ...optional] as const;
type Column = (typeof traceColumns)[number];

interface Task {
  time: number;
  readonly name: string;
  readonly group: string;
  readonly requests: ResourceList;
  /** Undefined: for ever. */
  duration: number | undefined;
  readonly priority?: number;
  readonly count?: number;
}

/** @throws Error that names file, line and column. */
export function readTrace(text: string, options: TraceOptions = {}): Arrival[] {
  const reader = new Reader(options);
  const tasks = readers[options.format ?? 'orbit'](csvRows(text), reader);
  const { speedup = 1 } = options;
  const templates = new Map<string, PodTemplate>();
  // Published traces begin at any time; ours at nought unless they say otherwise.
  const first =
    options.format && options.format !== 'orbit' ? tasks.reduce((min, each) => Math.min(min, each.time), Infinity) : 0;
  const arrivals: Arrival[] = [];
  for (const { time, name, group, requests, duration, priority, count = 1 } of tasks) {
    const key = JSON.stringify([requests, priority, group]);
    let template = templates.get(key);
    if (!template) {
      template = podTemplate({ requests, labels: { group }, ...(priority === undefined ? {} : { priority }) });
      templates.set(key, template);
    }
    for (let i = 0; i < count; i++)
      arrivals.push({
        at: Math.max(0, time - first) / speedup,
        name: count === 1 ? name : `${name}-${i}`,
        group,
        seconds: duration === undefined ? Number.POSITIVE_INFINITY : Math.max(0, duration) / speedup,
        template,
      });
  }
  return arrivals;
}

/** Fields of one row, with errors that say where. */
class Reader {
  readonly machine: { readonly cpu: number; readonly memory: number };
  readonly limit: number;
  constructor(readonly options: TraceOptions) {
    const { cpu, memory } = options.machine ?? { cpu: 64, memory: '256Gi' };
    this.machine = { cpu, memory: Number(Quantity.parse(memory).value()) };
    this.limit = options.limit ?? Number.POSITIVE_INFINITY;
  }
  fail(row: CsvRow, message: string): never {
    throw new Error(`${this.options.file ?? 'trace'}:${row.line}: ${message}`);
  }
  text(row: CsvRow, index: number, column: string): string {
    return row.fields[index] || this.fail(row, `column ${column} is empty`);
  }
  /** @returns undefined for an empty field */
  maybe(row: CsvRow, index: number, column: string): number | undefined {
    const field = row.fields[index];
    if (!field) return undefined;
    const number = Number(field);
    return Number.isFinite(number) ? number : this.fail(row, `column ${column}: "${field}" is no number`);
  }
  number(row: CsvRow, index: number, column: string): number {
    return this.maybe(row, index, column) ?? this.fail(row, `column ${column} is empty`);
  }
  quantity(row: CsvRow, index: number, column: string): string {
    const field = this.text(row, index, column);
    try {
      Quantity.parse(field);
    } catch {
      this.fail(row, `column ${column}: "${field}" is no quantity (0.5, 500m, 1Gi)`);
    }
    return field;
  }
}

const millis = (cores: number): string => `${Math.round(cores * 1_000)}m`;
const bytes = (amount: number): string => `${Math.round(amount)}`;

type RowsToTasks = (rows: Iterable<CsvRow>, reader: Reader) => Task[];

function* limited(rows: Iterable<CsvRow>, limit: number): Generator<CsvRow> {
  let count = 0;
  for (const row of rows) {
    if (count++ >= limit) return;
    yield row;
  }
}

const eachRow =
  (read: (row: CsvRow, reader: Reader) => Task | undefined): RowsToTasks =>
  (rows, reader) => {
    const tasks: Task[] = [];
    for (const row of limited(rows, reader.limit)) {
      const task = read(row, reader);
      if (task) tasks.push(task);
    }
    return tasks;
  };

const readers: Record<TraceFormat, RowsToTasks> = {
  orbit(rows, reader) {
    const { columns = {} } = reader.options;
    const numbered = Object.values(columns).some(each => typeof each === 'number');
    const iterator = rows[Symbol.iterator]();
    const places = new Map<Column, number>();
    const header = numbered ? undefined : iterator.next().value;
    for (const column of traceColumns) {
      const wanted = columns[column] ?? (numbered ? undefined : column);
      const place = typeof wanted === 'string' ? (header?.fields.indexOf(wanted) ?? -1) : (wanted ?? -1);
      if (place >= 0) places.set(column, place);
      else if ((required as readonly string[]).includes(column))
        throw new Error(
          `${reader.options.file ?? 'trace'}:1: no column "${wanted ?? column}" for ${column}; ${header ? `there are ${header.fields.join(', ')}` : 'give its number'}`,
        );
    }
    const at = (column: Column): number => places.get(column) ?? -1;
    return eachRow(row => {
      const gpu = reader.maybe(row, at('gpu'), 'gpu');
      const priority = reader.maybe(row, at('priority'), 'priority');
      return {
        time: reader.number(row, at('time'), 'time'),
        name: reader.text(row, at('name'), 'name'),
        group: row.fields[at('group')] || 'default',
        requests: {
          cpu: reader.quantity(row, at('cpu'), 'cpu'),
          memory: reader.quantity(row, at('memory'), 'memory'),
          ...(gpu ? { 'nvidia.com/gpu': gpu } : {}),
        },
        duration: reader.maybe(row, at('duration'), 'duration'),
        count: reader.maybe(row, at('count'), 'count') ?? 1,
        ...(priority === undefined ? {} : { priority }),
      };
    })({ [Symbol.iterator]: () => iterator }, reader);
  },

  // vm, subscription, deployment, created, deleted, max cpu, average cpu, p95 of max cpu, category, cores (bucket), memory in GB (bucket)
  'azure-vm': eachRow((row, reader) => {
    const bucket = (index: number, column: string): number => {
      const text = reader.text(row, index, column);
      const number = Number(text.replace('>', ''));
      return Number.isFinite(number) ? number : reader.fail(row, `column ${column}: "${text}" is no number or bucket`);
    };
    const created = reader.number(row, 3, 'created');
    return {
      time: created,
      name: `vm-${row.line}`,
      group: reader.text(row, 1, 'subscription'),
      requests: { cpu: millis(bucket(9, 'cores')), memory: bytes(bucket(10, 'memory') * 2 ** 30) },
      duration: reader.number(row, 4, 'deleted') - created,
    };
  }),

  // timestamp in µs, missing info, job, task index, machine, event type, user, scheduling class, priority, cpu, memory, disk, other machines
  'google-2011'(rows, reader) {
    const tasks = new Map<string, { task: Task; scheduled: number | undefined }>();
    for (const row of limited(rows, reader.limit)) {
      const time = reader.number(row, 0, 'timestamp') / 1e6;
      const key = `${reader.text(row, 2, 'job')}-${reader.text(row, 3, 'task index')}`;
      const event = reader.number(row, 5, 'event type');
      const known = tasks.get(key);
      if (event === 0 && !known) {
        const task: Task = {
          time,
          name: key,
          group: row.fields[6] || 'default',
          requests: {
            cpu: millis((reader.maybe(row, 9, 'cpu') ?? 0) * reader.machine.cpu),
            memory: bytes((reader.maybe(row, 10, 'memory') ?? 0) * reader.machine.memory),
          },
          duration: undefined,
          priority: reader.maybe(row, 8, 'priority') ?? 0,
        };
        tasks.set(key, { task, scheduled: undefined });
      } else if (event === 1 && known) known.scheduled ??= time;
      // Evicted, failed, finished, killed, lost: it ran until here.
      else if (event >= 2 && event <= 6 && known?.scheduled !== undefined)
        known.task.duration ??= time - known.scheduled;
    }
    return [...tasks.values()].map(({ task }) => task);
  },

  // task, instances, job, type, status, start, end, cpu (100 is a core), memory (0 to 100)
  'alibaba-2018': eachRow((row, reader) => {
    const start = reader.number(row, 5, 'start_time');
    const end = reader.maybe(row, 6, 'end_time');
    return {
      time: start,
      name: `${reader.text(row, 2, 'job_name')}-${reader.text(row, 0, 'task_name')}`.toLowerCase().replaceAll('_', '-'),
      group: reader.text(row, 2, 'job_name'),
      count: reader.maybe(row, 1, 'instance_num') ?? 1,
      requests: {
        cpu: millis((reader.maybe(row, 7, 'plan_cpu') ?? 0) / 100),
        memory: bytes(((reader.maybe(row, 8, 'plan_mem') ?? 0) / 100) * reader.machine.memory),
      },
      duration: end ? end - start : undefined,
    };
  }),

  'alibaba-gpu-2023'(rows, reader) {
    const iterator = rows[Symbol.iterator]();
    const header: readonly string[] = iterator.next().value?.fields ?? [];
    const at = (name: string): number => {
      const index = header.indexOf(name);
      if (index < 0)
        throw new Error(`${reader.options.file ?? 'trace'}:1: no column "${name}"; there are ${header.join(', ')}`);
      return index;
    };
    const [name, cpu, memory, gpus, share, qos] = [
      'name',
      'cpu_milli',
      'memory_mib',
      'num_gpu',
      'gpu_milli',
      'qos',
    ].map(at) as [number, number, number, number, number, number];
    const [created, deleted] = [at('creation_time'), at('deletion_time')];
    return eachRow(row => {
      const time = reader.number(row, created, 'creation_time');
      const end = reader.maybe(row, deleted, 'deletion_time');
      const devices = reader.maybe(row, gpus, 'num_gpu') ?? 0;
      const thousandths = reader.maybe(row, share, 'gpu_milli') ?? 0;
      const partly = devices === 1 && thousandths > 0 && thousandths < 1_000;
      return {
        time,
        name: reader.text(row, name, 'name'),
        group: row.fields[qos] || 'default',
        requests: {
          cpu: `${reader.number(row, cpu, 'cpu_milli')}m`,
          memory: `${reader.number(row, memory, 'memory_mib')}Mi`,
          ...(partly
            ? { 'orbitkit.dev/gpu-share': Math.ceil(thousandths / 10) }
            : devices > 0
              ? { 'nvidia.com/gpu': devices }
              : {}),
        },
        duration: end === undefined ? undefined : end - time,
      };
    })({ [Symbol.iterator]: () => iterator }, reader);
  },
};
