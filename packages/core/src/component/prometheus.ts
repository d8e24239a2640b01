/**
 * {@link Metrics} over prom-client, each with a registry of its own. prom-client is loaded when the first registry is
 * made, so that importing core stays cheap.
 */
import { createRequire } from 'node:module';
import type { Metric } from 'prom-client';
import { CountingHistogram } from './histogram.js';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.js';

/** Seconds: 1 ms to 60 s. */
const defaultBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function metrics(): Metrics {
  const prometheus = createRequire(import.meta.url)('prom-client') as typeof import('prom-client');
  const registry = new prometheus.Registry();
  const known = new Map<string, { kind: string; labels: string; metric: Counter | Gauge | Histogram }>();

  /** The metric of that name. @throws Error when the name stands for another kind of metric or other labels. */
  function once<M extends Counter | Gauge | Histogram>(
    kind: string,
    name: string,
    labels: readonly string[],
    make: () => M,
  ): M {
    const joined = labels.join(',');
    const existing = known.get(name);
    if (existing) {
      if (existing.kind !== kind || existing.labels !== joined) {
        throw new Error(
          `metric ${name} exists as a ${existing.kind} with labels [${existing.labels}], not as a ${kind} with [${joined}]`,
        );
      }
      return existing.metric as M;
    }
    const metric = make();
    known.set(name, { kind, labels: joined, metric });
    return metric;
  }
  const common = (name: string, help: string, labels: readonly string[]) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
  });

  return {
    counter(name, help, labels = []) {
      return once('counter', name, labels, () => {
        const pending = new Map<string, { readonly values: Record<string, string>; count: number }>();
        const metric = new prometheus.Counter({
          ...common(name, help, labels),
          collect() {
            for (const series of pending.values()) {
              if (series.count > 0) this.inc(series.values, series.count);
              series.count = 0;
            }
          },
        });
        return {
          inc: (values = {}, by = 1) => metric.inc(values, by),
          series(values) {
            const key = JSON.stringify(labels.map(label => values[label]));
            const series = pending.get(key) ?? { values, count: 0 };
            pending.set(key, series);
            return {
              inc(by = 1) {
                series.count += by;
              },
            };
          },
        };
      });
    },
    gauge(name, help, labels = []) {
      return once('gauge', name, labels, () => {
        const kept = new Map<string, { readonly values: Record<string, string>; value: number }>();
        const metric = new prometheus.Gauge({
          ...common(name, help, labels),
          collect() {
            for (const series of kept.values()) this.set(series.values, series.value);
          },
        });
        return {
          set: (value, values = {}) => metric.set(values, value),
          inc: (values = {}, by = 1) => metric.inc(values, by),
          dec: (values = {}, by = 1) => metric.dec(values, by),
          series(values) {
            const key = JSON.stringify(labels.map(label => values[label]));
            const series = kept.get(key) ?? { values, value: 0 };
            kept.set(key, series);
            return {
              add(by) {
                series.value += by;
              },
            };
          },
        };
      });
    },
    histogram(name, help, labels = [], buckets = defaultBuckets) {
      return once('histogram', name, labels, () => {
        const metric = new CountingHistogram(name, help, labels, buckets);
        registry.registerMetric(metric as unknown as Metric);
        return metric;
      });
    },
    text: () => registry.metrics(),
  };
}
