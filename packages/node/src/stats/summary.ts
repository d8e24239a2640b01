/**
 * `/stats/summary`: what the pods of this node use, in the kubelet's `stats/v1alpha1` form.
 *
 * Every running container has a processor rate: who asks after a long silence waits a second for it (see `cpu-rate.ts`). What the node
 * uses is the sum of its pods: several nodes may share a machine. `cpu.windowMs` is ours: the time over which a rate was taken.
 */
import { type Clock, formatTime } from '@orbitkit/core';
import type { PodWorker } from '../pod-worker/pod-worker.js';
import type { Runtime } from '../runtime/contract.js';
import { type CpuRate, cpuRates, leastMs } from './cpu-rate.js';

export interface StatsSummary {
  node: Usage & { nodeName: string; startTime: string };
  pods: (Usage & {
    podRef: { name: string; namespace: string; uid: string };
    startTime: string;
    containers: (Usage & { name: string; startTime: string })[];
  })[];
}

interface Usage {
  cpu: { time: string; usageNanoCores?: number; usageCoreNanoSeconds: number; windowMs?: number };
  memory: { time: string; workingSetBytes: number };
}

/** @returns a function that measures; it remembers the measures of the last minute. */
export function statsSummary(options: {
  nodeName: string;
  runtime: Runtime;
  startedAt: number;
  clock: Clock;
  workers(): Iterable<PodWorker>;
}): (signal?: AbortSignal) => Promise<StatsSummary> {
  const { runtime, clock } = options;
  const rates = cpuRates();

  const usage = (time: number, nanos: number, rate: CpuRate | undefined, bytes: number): Usage => ({
    cpu: {
      time: formatTime(time),
      ...(rate === undefined ? {} : { usageNanoCores: rate.nanoCores, windowMs: rate.windowMs }),
      usageCoreNanoSeconds: nanos,
    },
    memory: { time: formatTime(time), workingSetBytes: bytes },
  });
  const total = (parts: readonly Usage[]): Usage => {
    const measured = parts.map(({ cpu }) => cpu).filter(cpu => cpu.usageNanoCores !== undefined);
    const rate = {
      nanoCores: measured.reduce((sum, cpu) => sum + cpu.usageNanoCores!, 0),
      windowMs: measured.reduce((most, cpu) => Math.max(most, cpu.windowMs!), 0),
    };
    return usage(
      clock.now(),
      parts.reduce((sum, { cpu }) => sum + cpu.usageCoreNanoSeconds, 0),
      measured.length === parts.length ? rate : undefined,
      parts.reduce((sum, { memory }) => sum + memory.workingSetBytes, 0),
    );
  };

  return async signal => {
    let stats = await runtime.stats();
    if (!rates.sample(stats)) {
      await clock.sleep(leastMs, signal);
      stats = await runtime.stats();
      rates.sample(stats);
    }
    const measured = new Map(stats.map(each => [each.id, each]));
    const pods: StatsSummary['pods'] = [];
    for (const { pod, state } of options.workers()) {
      const containers = state.containers.flatMap(container => {
        const own = measured.get(container.id);
        if (!own || container.state !== 'running') return [];
        return [
          {
            name: container.name,
            startTime: formatTime(container.startedAt ?? container.createdAt),
            ...usage(own.timestamp, own.cpuNanos, rates.of(own.id), own.memoryWorkingSetBytes),
          },
        ];
      });
      const { name, namespace, uid, creationTimestamp } = pod.metadata;
      const startTime = pod.status?.startTime ?? creationTimestamp;
      pods.push({ podRef: { name, namespace, uid }, startTime, containers, ...total(containers) });
    }
    return { node: { nodeName: options.nodeName, startTime: formatTime(options.startedAt), ...total(pods) }, pods };
  };
}
