/**
 * `/stats/summary`: what the pods of this node use, in the kubelet's `stats/v1alpha1` form.
 *
 * Processor rates are taken between two calls; the first call has the totals alone.
 */
import { formatTime } from '@orbitkit/core';
import type { PodWorker } from '../pod-worker/pod-worker.js';
import type { ContainerStats, Runtime } from '../runtime/contract.js';

export interface StatsSummary {
  node: Usage & { nodeName: string; startTime: string };
  pods: (Usage & {
    podRef: { name: string; namespace: string; uid: string };
    startTime: string;
    containers: (Usage & { name: string; startTime: string })[];
  })[];
}

interface Usage {
  cpu: { time: string; usageNanoCores?: number; usageCoreNanoSeconds: number };
  memory: { time: string; workingSetBytes: number };
}

/** @returns a function that measures; it remembers the last measure of each container. */
export function statsSummary(options: {
  nodeName: string;
  runtime: Runtime;
  startedAt: number;
  now(): number;
  workers(): Iterable<PodWorker>;
}): () => Promise<StatsSummary> {
  let before = new Map<string, ContainerStats>();

  const rateOf = (stats: ContainerStats): number | undefined => {
    const last = before.get(stats.id);
    const elapsed = last ? stats.timestamp - last.timestamp : 0;
    return last && elapsed > 0
      ? Math.max(0, Math.round(((stats.cpuNanos - last.cpuNanos) * 1000) / elapsed))
      : undefined;
  };
  const usage = (time: number, nanos: number, rate: number | undefined, bytes: number): Usage => ({
    cpu: {
      time: formatTime(time),
      ...(rate === undefined ? {} : { usageNanoCores: rate }),
      usageCoreNanoSeconds: nanos,
    },
    memory: { time: formatTime(time), workingSetBytes: bytes },
  });
  const total = (parts: readonly Usage[]): Usage => {
    const rates = parts.map(({ cpu }) => cpu.usageNanoCores);
    return usage(
      options.now(),
      parts.reduce((sum, { cpu }) => sum + cpu.usageCoreNanoSeconds, 0),
      rates.every(rate => rate !== undefined) ? rates.reduce((sum, rate) => sum + rate, 0) : undefined,
      parts.reduce((sum, { memory }) => sum + memory.workingSetBytes, 0),
    );
  };

  return async () => {
    const measured = new Map((await options.runtime.stats()).map(stats => [stats.id, stats]));
    const pods: StatsSummary['pods'] = [];
    for (const { pod, state } of options.workers()) {
      const containers = state.containers.flatMap(container => {
        const stats = measured.get(container.id);
        if (!stats || container.state !== 'running') return [];
        return [
          {
            name: container.name,
            startTime: formatTime(container.startedAt ?? container.createdAt),
            ...usage(stats.timestamp, stats.cpuNanos, rateOf(stats), stats.memoryWorkingSetBytes),
          },
        ];
      });
      const { name, namespace, uid, creationTimestamp } = pod.metadata;
      const startTime = pod.status?.startTime ?? creationTimestamp;
      pods.push({ podRef: { name, namespace, uid }, startTime, containers, ...total(containers) });
    }
    before = measured;
    return { node: { nodeName: options.nodeName, startTime: formatTime(options.startedAt), ...total(pods) }, pods };
  };
}
