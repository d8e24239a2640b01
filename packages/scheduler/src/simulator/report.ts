/** What a simulation says: for each policy the same measures over the same pods. Plain data; times in seconds, shares 0…1. */

export interface Spread {
  /** Over nodes that can take pods. */
  readonly mean: number;
  readonly p95: number;
  readonly deviation: number;
}

export interface Sample {
  readonly at: number;
  /** Requested of allocatable, by resource. */
  readonly utilisation: Readonly<Record<string, Spread>>;
  /** By resource: share of what is free that lies on nodes where a pod of this workload, drawn by frequency, does not fit. */
  readonly fragmentation: Readonly<Record<string, number>>;
  readonly waiting: number;
  readonly running: number;
}

export interface WaitingTimes {
  /** Pods and replacements that were placed, or still wait at the end with what they waited until then. */
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface GroupReport {
  readonly pods: number;
  readonly meanWaiting: number;
  /** Of the CPU seconds it asked for from the moment its pods came, those in which they ran. */
  readonly served: number;
}

/** The measures of one policy. */
export interface PolicyReport {
  readonly name: string;
  /** Averages of the samples after the warm-up. */
  readonly utilisation: Readonly<Record<string, Spread>>;
  readonly fragmentation: Readonly<Record<string, number>>;
  readonly waiting: WaitingTimes;
  /** Jain's index of what the groups were served: 1 is equal, 1/groups is one that has all. */
  readonly fairness: { readonly index: number; readonly groups: Readonly<Record<string, GroupReport>> };
  readonly placements: number;
  readonly completed: number;
  /** Waiting at the end. */
  readonly unplaced: number;
  /** Pods that lost their node: each comes again with its whole life before it. */
  readonly evictions: Readonly<Record<EvictionCause, number>>;
  /** Evicted pods that went on elsewhere. */
  readonly moves: number;
  readonly slo: { readonly bound: number; readonly missed: number; readonly share: number };
  readonly decisions: number;
  /** Decisions that found no node. */
  readonly refusals: number;
  /** Only with a stopwatch: it is not the same twice. */
  readonly speed?: { readonly seconds: number; readonly decisionsPerSecond: number };
  readonly series: readonly Sample[];
  /** Waiting times at 0, 1, … 100 percent of the pods. */
  readonly waitingCurve: readonly number[];
  /** Highest first: CPU requested of each node at the end. */
  readonly finalLoads: readonly number[];
}

export type EvictionCause = 'preempted' | 'failed' | 'drained' | 'removed';

/** A whole comparison. */
export interface Report {
  readonly name: string;
  readonly seed: number;
  readonly until: number;
  readonly warmup: number;
  readonly nodes: number;
  readonly pods: number;
  readonly policies: readonly PolicyReport[];
}

/** Jain, Chiu and Hawe: (Σx)² / (n · Σx²). */
export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, each) => total + each, 0);
  const squares = values.reduce((total, each) => total + each * each, 0);
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}

/** Of sorted numbers, by the nearest rank. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}

export function waitingTimesOf(sorted: readonly number[]): WaitingTimes {
  const at = (share: number): number => percentile(sorted, share);
  return {
    count: sorted.length,
    mean: sorted.length === 0 ? 0 : sorted.reduce((sum, each) => sum + each, 0) / sorted.length,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
  };
}
