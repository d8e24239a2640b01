/** What the benchmarks share: order statistics, and the line that says where and under which load a number was measured. */
import { cpus, loadavg } from 'node:os';

/** @returns NaN for no samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** With fewer than a hundred samples the 99th percentile is the slowest one; the count beside it says so. */
export const milliseconds = (samples: readonly number[]): string =>
  `median ${median(samples).toFixed(1)} ms, p99 ${percentile(samples, 0.99).toFixed(1)} ms (${samples.length} samples)`;

/** `goal < 100 ms: met`, on the value that the goal is about. */
export const beside = (value: number, goal: number, unit: string): string =>
  `goal < ${goal} ${unit}: ${value < goal ? 'met' : 'NOT met'}`;

/** The load average is that of the last minute before the benchmark: on a machine that others use, numbers are worth less. */
export const machine = (): string =>
  `${new Date().toISOString().slice(0, 16)}Z, ${cpus().length} processors (${cpus()[0]?.model.trim()}), Node ${process.version}, load average ${loadavg()[0]!.toFixed(2)}`;
