/**
 * {@link Metrics} in memory, as Prometheus reads them (exposition text format 0.0.4). Each registry stands alone, and nothing measures by itself.
 *
 * Series that exist are printed in the order in which they came; a counter or gauge without labels exists from the start, with 0.
 */
import { CountingHistogram } from './histogram.js';
import { type Sample, type SampledMetric, SeriesTable } from './metric-series.js';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.js';

/** Seconds: 1 ms to 60 s. */
const defaultBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** A registry of its own. @throws Error (when a metric is asked for) when its name is taken by another kind of metric or other labels. */
export function metrics(): Metrics {
  const known = new Map<string, { kind: string; labels: string; metric: object; sampled: SampledMetric }>();

  /** The metric of that name. @throws Error when the name stands for another kind of metric or other labels. */
  function once<M extends Counter | Gauge | Histogram>(
    kind: string,
    name: string,
    labels: readonly string[],
    make: () => { metric: M; sampled: SampledMetric },
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
    const made = make();
    known.set(name, { kind, labels: joined, ...made });
    return made.metric;
  }

  return {
    counter: (name, help, labels = []) =>
      once('counter', name, labels, () => {
        const sampled = new SeriesTable('counter', name, help, labels);
        const metric: Counter = {
          inc(values = {}, by = 1) {
            sampled.of(values).value += grown(name, by);
          },
          series(values) {
            const series = sampled.of(values);
            return {
              inc(by = 1) {
                series.value += grown(name, by);
              },
            };
          },
        };
        return { metric, sampled };
      }),
    gauge: (name, help, labels = []) =>
      once('gauge', name, labels, () => {
        const sampled = new SeriesTable('gauge', name, help, labels);
        const metric: Gauge = {
          set(value, values = {}) {
            sampled.of(values).value = value;
          },
          inc(values = {}, by = 1) {
            sampled.of(values).value += by;
          },
          dec(values = {}, by = 1) {
            sampled.of(values).value -= by;
          },
          series(values) {
            const series = sampled.of(values);
            return {
              add(by) {
                series.value += by;
              },
            };
          },
        };
        return { metric, sampled };
      }),
    histogram: (name, help, labels = [], buckets = defaultBuckets) =>
      once('histogram', name, labels, () => {
        const metric = new CountingHistogram(name, help, labels, buckets);
        return { metric, sampled: metric };
      }),
    text: async () => Array.from(known.values(), ({ sampled }) => textOf(sampled)).join('\n'),
  };
}

function grown(name: string, by: number): number {
  if (!(by >= 0)) throw new Error(`counter ${name} can only grow, not by ${by}`);
  return by;
}

function textOf({ name, help, type, samples }: SampledMetric): string {
  const lines = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
  for (const sample of samples()) lines.push(lineOf(sample));
  return `${lines.join('\n')}\n`;
}

function lineOf({ name, labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${escaped(String(text)).replaceAll('"', '\\"')}"`,
  );
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberText(value)}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
