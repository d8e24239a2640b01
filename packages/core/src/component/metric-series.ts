/** The series of one metric: one value for each combination of label values. */

/** One line of the exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** What a registry prints of a metric. */
export interface SampledMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: () => Iterable<Sample>;
}

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

/** The key of a series. @throws Error for a label that the metric was not made with. */
export function seriesKey(metric: string, names: readonly string[], labels: Readonly<Record<string, string>>): string {
  for (const name in labels) {
    if (!names.includes(name))
      throw new Error(`metric ${metric} has no label "${name}"; its labels are ${names.join(', ') || 'none'}`);
  }
  return names.length === 1 ? String(labels[names[0]!]) : JSON.stringify(names.map(name => labels[name]));
}

export class SeriesTable implements SampledMetric {
  readonly #series = new Map<string, Series>();

  constructor(
    readonly type: 'counter' | 'gauge',
    readonly name: string,
    readonly help: string,
    private readonly labelNames: readonly string[],
  ) {
    if (labelNames.length === 0) this.of({});
  }

  /** The series of these labels; it is printed from now on. */
  of(labels: Readonly<Record<string, string>>): Series {
    const key = seriesKey(this.name, this.labelNames, labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: { ...labels }, value: 0 };
      this.#series.set(key, series);
    }
    return series;
  }

  readonly samples = (): Sample[] => {
    return Array.from(this.#series.values(), ({ labels, value }) => ({ name: this.name, labels, value }));
  };
}
