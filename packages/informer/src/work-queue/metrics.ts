/**
 * What a work queue measures, under the names that client-go gives them (`workqueue_depth`, …), with the queue's name
 * as label. Durations are seconds.
 */
import type { Clock, Metrics } from '@orbitkit/core';

export interface WorkQueueMetrics<K> {
  added(item: K, depth: number): void;
  started(item: K, depth: number): void;
  finished(item: K): void;
  retried(): void;
  /** No timer is left afterwards. */
  close(): void;
}

/** client-go's buckets: 10 ns to 10 s by tens, and a few above. */
const buckets = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];
/** How often the gauges of running work are refreshed while there is some. */
const refreshMs = 500;

export function workQueueMetrics<K>(metrics: Metrics, name: string, clock: Clock): WorkQueueMetrics<K> {
  const label = ['name'];
  const of = { name };
  const depth = metrics.gauge('workqueue_depth', 'Current depth of workqueue', label);
  const adds = metrics.counter('workqueue_adds_total', 'Total number of adds handled by workqueue', label);
  const retries = metrics.counter('workqueue_retries_total', 'Total number of retries handled by workqueue', label);
  const latency = metrics.histogram(
    'workqueue_queue_duration_seconds',
    'How long in seconds an item stays in workqueue before being requested.',
    label,
    buckets,
  );
  const work = metrics.histogram(
    'workqueue_work_duration_seconds',
    'How long in seconds processing an item from workqueue takes.',
    label,
    buckets,
  );
  const unfinished = metrics.gauge(
    'workqueue_unfinished_work_seconds',
    'How many seconds of work are in progress and not yet seen by work_duration.',
    label,
  );
  const longest = metrics.gauge(
    'workqueue_longest_running_processor_seconds',
    'How many seconds the longest running processor has been running.',
    label,
  );

  const queuedAt = new Map<K, number>();
  const startedAt = new Map<K, number>();
  let timer: { cancel(): void } | undefined;
  let closed = false;

  function refresh(): void {
    const now = clock.now();
    let sum = 0;
    let most = 0;
    for (const at of startedAt.values()) {
      sum += now - at;
      most = Math.max(most, now - at);
    }
    unfinished.set(sum / 1000, of);
    longest.set(most / 1000, of);
    if (startedAt.size > 0 && !closed) timer ??= clock.setTimer(refreshMs, onTimer);
  }
  function onTimer(): void {
    timer = undefined;
    refresh();
  }

  return {
    added(item, size) {
      adds.inc(of);
      depth.set(size, of);
      if (!queuedAt.has(item)) queuedAt.set(item, clock.now());
    },
    started(item, size) {
      const now = clock.now();
      depth.set(size, of);
      latency.observe((now - (queuedAt.get(item) ?? now)) / 1000, of);
      queuedAt.delete(item);
      startedAt.set(item, now);
      if (!closed) timer ??= clock.setTimer(refreshMs, onTimer);
    },
    finished(item) {
      const at = startedAt.get(item);
      if (at === undefined) return;
      startedAt.delete(item);
      work.observe((clock.now() - at) / 1000, of);
      if (startedAt.size === 0) {
        timer?.cancel();
        timer = undefined;
        refresh();
      }
    },
    retried: () => retries.inc(of),
    close() {
      closed = true;
      timer?.cancel();
      timer = undefined;
    },
  };
}
