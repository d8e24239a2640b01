/** A histogram that counts in plain arrays: for what is observed with every request. */
import { type Sample, type SampledMetric, seriesKey } from './metric-series.js';
import type { Histogram } from './metrics.js';

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** How many observations fell into each bucket alone; the last one is beyond all bounds. */
  readonly counts: number[];
  sum: number;
}

export class CountingHistogram implements Histogram, SampledMetric {
  readonly type = 'histogram';
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
    const key = seriesKey(this.name, this.labelNames, labels);
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

  readonly samples = (): Sample[] => {
    const { name } = this;
    const samples: Sample[] = [];
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0;
      for (const [index, count] of counts.entries()) {
        total += count;
        samples.push({
          name: `${name}_bucket`,
          labels: { ...labels, le: this.bounds[index] ?? '+Inf' },
          value: total,
        });
      }
      samples.push({ name: `${name}_sum`, labels, value: sum });
      samples.push({ name: `${name}_count`, labels, value: total });
    }
    return samples;
  };
}
