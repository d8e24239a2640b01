/**
 * Scenario files: a whole simulation as YAML. Unknown and wrong fields are refused with file and field path.
 *
 * Times are seconds or texts such as `90s`, `15m`, `2h`, `1d`; resources are quantities as in pods.
 */
import { type corev1, type Node, Quantity } from '@orbitkit/core';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { nodePool } from './nodes.js';
import { type NamedPolicyOptions, namedPolicy, policyNames } from './policies.js';
import { readRecording, recordedPolicy } from './recording.js';
import type { SimulateOptions } from './simulate.js';
import { readTrace, type TraceOptions, traceColumns, traceFormats } from './trace.js';
import type { GeneratedWorkload, Workload } from './workload.js';

const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400 };

const seconds = z.union([z.number(), z.string()]).transform((given, context) => {
  if (typeof given === 'number') {
    if (given >= 0) return given;
  } else {
    const parts = [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
    if (parts.length > 0 && parts.map(part => part[0]).join('') === given)
      return parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit!]!, 0);
  }
  context.addIssue({ code: 'custom', message: `"${given}" is no duration; give seconds, or 90s, 15m, 2h30m, 1d` });
  return z.NEVER;
});
const duration = seconds.refine(value => value > 0, 'a duration is more than 0');

const quantity = z.union([z.string(), z.number()]).refine(value => {
  try {
    return Number(Quantity.parse(value).value()) >= 0;
  } catch {
    return false;
  }
}, 'no quantity; give 2, 500m or 1Gi');

const resources = { cpu: quantity.optional(), memory: quantity.optional(), gpu: quantity.optional() };
/** `gpu` is short for the extended resource; `resources` names any other. */
const resourceFields = { ...resources, resources: z.record(z.string(), quantity).optional() };

interface ResourceFields {
  cpu?: string | number | undefined;
  memory?: string | number | undefined;
  gpu?: string | number | undefined;
  resources?: Record<string, string | number> | undefined;
}

function resourcesOf({ cpu, memory, gpu, resources: others }: ResourceFields): Record<string, string | number> {
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpu === undefined ? {} : { 'nvidia.com/gpu': gpu }),
    ...others,
  };
}

const count = z.int().positive();
const positive = z.number().positive();
const labels = z.record(z.string(), z.string());

const pool = z.strictObject({
  name: z.string().min(1).default('node'),
  count,
  ...resourceFields,
  pods: count.optional(),
  zones: z.array(z.string()).optional(),
  labels: labels.optional(),
  taints: z
    .array(
      z.strictObject({
        key: z.string().min(1),
        value: z.string().optional(),
        effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
      }),
    )
    .optional(),
});

const arrivals = z.discriminatedUnion('process', [
  z.strictObject({ process: z.literal('fixed'), every: duration, size: count.optional() }),
  z.strictObject({ process: z.literal('poisson'), rate: positive }),
  z.strictObject({ process: z.literal('bursts'), every: duration, size: count }),
  z
    .strictObject({ process: z.literal('diurnal'), low: z.number().nonnegative(), high: positive, period: duration })
    .refine(({ low, high }) => low <= high, { path: ['low'], message: 'low is more than high' }),
]);

const lifetime = z.discriminatedUnion('distribution', [
  z.strictObject({ distribution: z.literal('forever') }),
  z.strictObject({ distribution: z.literal('fixed'), seconds: duration }),
  z.strictObject({ distribution: z.literal('exponential'), mean: duration }),
  z.strictObject({ distribution: z.literal('lognormal'), median: duration, sigma: z.number().nonnegative() }),
  z.strictObject({ distribution: z.literal('pareto'), least: duration, shape: positive }),
]);

const generated = z.strictObject({
  group: z.string().min(1),
  arrivals,
  lifetime,
  shapes: z.array(z.strictObject({ weight: positive.optional(), ...resourceFields })).min(1),
  count: count.optional(),
  start: seconds.optional(),
  priority: z.int().optional(),
  namespace: z.string().optional(),
  labels: labels.optional(),
  usage: z.strictObject({ mean: z.number().nonnegative(), deviation: z.number().nonnegative().optional() }).optional(),
  gang: count.optional(),
  /** Parts of a pod spec: the scheduler reads them as it reads those of the API. */
  spec: z
    .record(z.string(), z.unknown())
    .refine(spec => !('containers' in spec), 'containers are made of the shapes')
    .optional(),
});

const trace = z.strictObject({
  trace: z.string().min(1),
  format: z.enum(traceFormats).optional(),
  columns: z.partialRecord(z.enum(traceColumns), z.union([z.string(), z.int().nonnegative()])).optional(),
  machine: z.strictObject({ cpu: positive, memory: quantity }).optional(),
  limit: count.optional(),
  speedup: positive.optional(),
});

/** Beside the named policies: each pod where it was. */
const recorded = 'recorded';
const policyName = z.enum([...policyNames, recorded]);
const policyFields = z.strictObject({
  policy: z.enum(policyNames),
  name: z.string().min(1).optional(),
  gang: z.boolean().optional(),
  without: z.array(z.string()).optional(),
  weights: z.record(z.string(), z.number().nonnegative()).optional(),
  percentageOfNodesToScore: z.number().min(1).max(100).optional(),
});

/** One of two schemas, chosen by a look at the value, so that errors are those of the one that was meant. */
const either = <T extends z.ZodType>(choose: (value: unknown) => T) =>
  z.unknown().transform((value, context): z.output<T> => {
    const result = choose(value).safeParse(value);
    if (result.success) return result.data;
    for (const { message, path } of result.error.issues) context.addIssue({ code: 'custom', message, path: [...path] });
    return z.NEVER;
  });
const workload = either(value => (isObject(value) && 'trace' in value ? trace : generated));
const policy = either(value => (isObject(value) ? policyFields : policyName));
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const fields = z.strictObject({
  name: z.string().optional(),
  seed: z.int().optional(),
  until: duration.optional(),
  warmup: seconds.optional(),
  sampleEvery: duration.optional(),
  permitTimeout: duration.optional(),
  slo: z.strictObject({ waiting: seconds }).optional(),
  /** A file of `orbit scheduler record`: its nodes and pods, before those below. */
  recording: z.string().min(1).optional(),
  nodes: z.array(pool).default([]),
  workload: z.array(workload).default([]),
  failures: z.strictObject({ meanTimeBetween: duration, repair: duration, evictAfter: seconds.optional() }).optional(),
  rolling: z.strictObject({ at: seconds, seconds: duration, parallel: count.optional() }).optional(),
  policies: z.array(policy).min(1),
});
const scenario = fields.superRefine(({ nodes, policies, recording, until, workload: sources }, context) => {
  const demand = (holds: boolean, field: string, message: string): void => {
    if (!holds) context.addIssue({ code: 'custom', path: [field], message });
  };
  const replay = recording !== undefined;
  demand(replay || until !== undefined, 'until', 'say how long to simulate: 2h');
  demand(replay || nodes.length > 0, 'nodes', 'give at least one pool of nodes, or a recording');
  demand(replay || sources.length > 0, 'workload', 'give at least one, or a recording');
  demand(replay || !policies.includes(recorded), 'policies', `"${recorded}" needs a recording`);
});

/** How the scenario is named, and how files in it are read. */
export interface ScenarioOptions {
  /** Name of the file, for errors. */
  readonly file?: string;
  /** Reads a trace or recording that the scenario names. Without it they are refused. */
  readFile?(path: string): string;
}

/** What `simulate()` wants, of a scenario file. @throws Error with file and field path of everything that is wrong. */
export function parseScenario(text: string, options: ScenarioOptions = {}): SimulateOptions {
  const file = options.file ?? 'scenario';
  const document = parseDocument(text);
  const [broken] = document.errors;
  if (broken) throw new Error(`${file}: ${broken.message}`);
  const result = scenario.safeParse(document.toJS());
  if (!result.success)
    throw new Error(
      result.error.issues.map(({ path, message }) => `${file}: ${pathText(path)}: ${message}`).join('\n'),
    );
  const { nodes, workload: sources, policies, slo, recording, until, ...rest } = result.data;
  const read = (field: string, path: string): string => {
    if (!options.readFile) throw new Error(`${file}: ${field}: there is no way to read files here`);
    return options.readFile(path);
  };
  const replay = recording === undefined ? undefined : readRecording(read('recording', recording), recording);
  return {
    // What is absent is absent, not undefined: zod leaves it out.
    ...(rest as Omit<SimulateOptions, 'nodes' | 'workload' | 'policies' | 'until'>),
    until: until ?? replay!.until,
    nodes: [...(replay?.nodes ?? []), ...nodes.flatMap(nodesOf)],
    ...(replay ? { changes: replay.changes } : {}),
    workload: [
      ...(replay ? [{ pods: replay.pods }] : []),
      ...sources.map((each, i): Workload => {
        if (!('trace' in each)) return generatedOf(each);
        const { trace: path, ...how } = each;
        return { pods: readTrace(read(`workload[${i}].trace`, path), { ...how, file: path } as TraceOptions) };
      }),
    ],
    policies: policies.map(each => {
      if (typeof each !== 'string') return namedPolicy(each.policy, each as NamedPolicyOptions);
      return each === recorded ? recordedPolicy() : namedPolicy(each);
    }),
    ...(slo ? { sloWaiting: slo.waiting } : {}),
  };
}

function nodesOf({ name, count: size, pods, zones, labels: own, taints, ...wanted }: z.output<typeof pool>): Node[] {
  return nodePool({
    name,
    count: size,
    resources: { ...resourcesOf(wanted), ...(pods === undefined ? {} : { pods }) },
    ...(zones ? { zones } : {}),
    ...(own ? { labels: own } : {}),
    ...(taints ? { taints: taints as corev1.Taint[] } : {}),
  });
}

const generatedOf = (given: z.output<typeof generated>): GeneratedWorkload =>
  ({
    ...given,
    shapes: given.shapes.map(({ weight, ...wanted }) => ({
      ...(weight === undefined ? {} : { weight }),
      requests: resourcesOf(wanted),
    })),
  }) as GeneratedWorkload;

/** `workload[0].shapes[1].cpu` */
const pathText = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? 'the document'
    : path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`)).join('');
