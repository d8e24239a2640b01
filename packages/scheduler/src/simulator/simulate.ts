/**
 * `simulate()`: several policies over the same nodes, pods and failures, in virtual time, and what came of each.
 *
 * Deterministic: the same options with the same seed give the same report, number by number; only `speed`, which a stopwatch adds, differs. Policies
 * run one after the other. Long simulations let other work have its turn, and end early when the signal aborts.
 */
import type { KubeObject, Node } from '@orbitkit/core';
import { drawNodeChanges, type Failures, type NodeChange, type Rolling } from './nodes.js';
import type { Policy } from './policies.js';
import { runPolicy } from './policy-run.js';
import type { Report } from './report.js';
import { drawWorkload, type Workload } from './workload.js';

/** What is simulated. Seconds of virtual time. */
export interface SimulateOptions {
  /** Title of the report. */
  readonly name?: string;
  readonly nodes: readonly Node[];
  readonly workload: readonly Workload[];
  readonly policies: readonly Policy[];
  /** Default 1. */
  readonly seed?: number;
  /** Seconds of virtual time. */
  readonly until: number;
  /** Seconds at the start that the averages leave out. Default 0. */
  readonly warmup?: number;
  readonly failures?: Failures;
  readonly rolling?: Rolling;
  /** Told one by one, beside those by chance. */
  readonly changes?: readonly NodeChange[];
  /** Claims, budgets, services and what else plugins look at. */
  readonly objects?: readonly KubeObject[];
  /** Waiting longer than this many seconds misses the objective. Default 60. */
  readonly sloWaiting?: number;
  /** Seconds between samples. Default: 200 of them. */
  readonly sampleEvery?: number;
  /** Seconds that a pod may wait in Permit. Default 60, as in the live scheduler. */
  readonly permitTimeout?: number;
  /** Milliseconds, of real time: measures decisions a second. Default: they are not measured. */
  readonly stopwatch?: () => number;
  readonly signal?: AbortSignal;
}

/** @throws Error when options make no sense, or a plugin throws. */
export async function simulate(options: SimulateOptions): Promise<Report> {
  const { nodes, policies, seed = 1, until, warmup = 0, stopwatch, signal } = options;
  const demand = (holds: boolean, message: string): void => {
    if (!holds) throw new Error(message);
  };
  demand(Number.isFinite(until) && until > 0, `until is ${until}; give seconds, more than 0`);
  demand(warmup >= 0 && warmup < until, `warmup is ${warmup}; give seconds, less than until (${until})`);
  demand(policies.length > 0, 'policies: give at least one');
  const sampleEvery = options.sampleEvery ?? until / 200;
  demand(sampleEvery > 0, `sampleEvery is ${sampleEvery}; give seconds, more than 0`);
  const names = policies.map(each => each.name);
  demand(new Set(names).size === names.length, `policies: two have one name (${names.join(', ')})`);

  const drawn = drawNodeChanges(
    nodes.map(node => node.metadata.name),
    options,
    seed,
    until,
  );
  const changes = [...(options.changes ?? []), ...drawn].sort((a, b) => a.at - b.at);
  const arrivals = drawWorkload(options.workload, seed, until);
  const world = {
    nodes,
    changes,
    arrivals,
    objects: options.objects ?? [],
    seed,
    until,
    warmup,
    sampleEvery,
    sloWaiting: options.sloWaiting ?? 60,
    permitTimeout: options.permitTimeout ?? 60,
    stopwatch,
    signal,
  };
  const reports = [];
  for (const policy of policies) reports.push(await runPolicy(policy, world));
  return {
    name: options.name ?? 'Simulation',
    seed,
    until,
    warmup,
    nodes: nodes.length,
    pods: arrivals.length,
    policies: reports,
  };
}
