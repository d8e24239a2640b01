/**
 * A histogram that counts in plain arrays, for what is observed with every request: finding a series of prom-client's by its labels costs more
 * than a small request's routing. It is registered with a prom-client registry, which asks for its values when it is read.
 */
import type { Histogram } from './metrics.js';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** How many observations fell into each bucket alone; the last one is beyond all bounds. */
  readonly counts: number[];
  sum: number;
}

/** A value as prom-client's registries print it. */
export interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

export class CountingHistogram implements Histogram {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #series = new Map<string, Series>();

  /** @param bounds Upper bounds of the buckets, ascending. */
  constructor(
    readonly name: string,
    readonly help: string,
    readonly labelNames: readonly string[],
    private readonly bounds: readonly number[],
  ) {}

  observe(value: number, labels: Readonly<Record<string, string>> = {}): void {
    this.#add(this.#of(labels), value);
  }

  series(labels: Readonly<Record<string, string>>): { observe(value: number): void } {
    const series = this.#of(labels);
    return { observe: value => this.#add(series, value) };
  }

  /** @throws Error for a label that the histogram was not made with. */
  #of(labels: Readonly<Record<string, string>>): Series {
    for (const name in labels) {
      if (!this.labelNames.includes(name))
        throw new Error(
          `metric ${this.name} has no label "${name}"; its labels are ${this.labelNames.join(', ') || 'none'}`,
        );
    }
    const key = JSON.stringify(this.labelNames.map(name => labels[name]));
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: { ...labels }, counts: new Array<number>(this.bounds.length + 1).fill(0), sum: 0 };
      this.#series.set(key, series);
    }
    return series;
  }

  #add(series: Series, value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++;
    series.counts[bucket]! += 1;
    series.sum += value;
  }

  async get(): Promise<{ name: string; help: string; type: string; aggregator: string; values: HistogramValue[] }> {
    const { name, help, type, aggregator } = this;
    const values: HistogramValue[] = [];
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0;
      for (const [index, count] of counts.entries()) {
        total += count;
        values.push({
          metricName: `${name}_bucket`,
          labels: { ...labels, le: this.bounds[index] ?? '+Inf' },
          value: total,
        });
      }
      values.push({ metricName: `${name}_sum`, labels, value: sum });
      values.push({ metricName: `${name}_count`, labels, value: total });
    }
    return { name, help, type, aggregator, values };
  }
}
