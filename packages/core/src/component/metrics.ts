/**
 * Metrics in the Prometheus model. A registry is a value per composition, so that two clusters in one process do not
 * share counters. Asking twice for one name returns the same metric.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  /** `buckets` in the unit of the metric, ascending. Default: 1 ms to 60 s. */
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Histogram;
  /** The exposition text, format 0.0.4. */
  text(): Promise<string>;
}

/** A number that only grows. @throws Error for a label that the metric was not made with. */
export interface Counter {
  inc(labels?: Record<string, string>, by?: number): void;
  /** The series of these labels, looked up once: for what is counted with every request. */
  series(labels: Record<string, string>): { inc(by?: number): void };
}

/** A number that goes up and down. Labels as for a {@link Counter}. */
export interface Gauge {
  set(value: number, labels?: Record<string, string>): void;
  inc(labels?: Record<string, string>, by?: number): void;
  dec(labels?: Record<string, string>, by?: number): void;
  /** The series of these labels, looked up once, from 0 on: for what changes with every request. */
  series(labels: Record<string, string>): { add(by: number): void };
}

/** Observations counted in buckets. Labels as for a {@link Counter}; times are in seconds, as Prometheus wants them. */
export interface Histogram {
  observe(value: number, labels?: Record<string, string>): void;
  /** The series of these labels, looked up once: for what is observed with every request. */
  series(labels: Record<string, string>): { observe(value: number): void };
}
