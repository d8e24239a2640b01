/**
 * Processor rates out of cumulative counters: how fast a container has used its processor lately.
 *
 * A rate is taken over at least a second and at most a minute: between now and the youngest of the earlier samples that is ten seconds
 * old (the kubelet's own interval), else the oldest there is. When nobody asked within the last minute, there is none to compare with:
 * `sample` then says so, and its caller waits `leastMs` and samples again.
 */
import type { ContainerStats } from '../runtime/contract.js';

export interface CpuRate {
  /** Billionths of a core. */
  nanoCores: number;
  /** Over how long it was taken. */
  windowMs: number;
}

export const leastMs = 1_000;
const goodMs = 10_000;
const mostMs = 60_000;
/** Samples closer to each other than this replace each other. */
const apartMs = 5_000;

export interface CpuRates {
  /** Takes measures in; true when every one of them has a rate. */
  sample(stats: readonly ContainerStats[]): boolean;
  /** Of the last sample. */
  of(id: string): CpuRate | undefined;
}

interface Sample {
  at: number;
  nanos: number;
}

export function cpuRates(): CpuRates {
  /** Oldest first: at most `mostMs / apartMs` and the latest. */
  let histories = new Map<string, Sample[]>();

  function rate(samples: readonly Sample[]): CpuRate | undefined {
    const last = samples.at(-1)!;
    const usable = samples.filter(({ at }) => last.at - at >= leastMs);
    const base = usable.findLast(({ at }) => last.at - at >= goodMs) ?? usable[0];
    if (!base) return undefined;
    const windowMs = last.at - base.at;
    return { nanoCores: Math.max(0, Math.round(((last.nanos - base.nanos) * 1_000) / windowMs)), windowMs };
  }

  return {
    sample(stats) {
      const next = new Map<string, Sample[]>();
      for (const { id, timestamp: at, cpuNanos: nanos } of stats) {
        const known = (histories.get(id) ?? []).filter(sample => at - sample.at <= mostMs && sample.at <= at);
        const [beforeLast, last] = [known.at(-2), known.at(-1)];
        if (last && beforeLast && last.at - beforeLast.at < apartMs) known.pop();
        known.push({ at, nanos });
        next.set(id, known);
      }
      histories = next;
      return [...next.values()].every(samples => rate(samples) !== undefined);
    },
    of(id) {
      const samples = histories.get(id);
      return samples && rate(samples);
    },
  };
}
