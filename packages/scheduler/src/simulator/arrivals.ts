/**
 * When pods come and how long they live: the processes and distributions of queueing models, in seconds.
 *
 * - `fixed`: one (or `size`) every so many seconds. `poisson`: independent of each other, so many a second. `bursts`: `size` at once, bursts a
 *   Poisson process with this mean distance. `diurnal`: Poisson with a rate that swings between `low` and `high` over a `period`, lowest at its start
 *   (by thinning: Lewis and Shedler).
 * - Lifetimes: `fixed`; `exponential` by mean; `lognormal` by median and sigma of the logarithm; `pareto` by the least and the shape
 *   (without a mean at shape 1 or less).
 */
import type { Random } from './random.js';

/** When pods come. Seconds. */
export type ArrivalProcess =
  | { readonly process: 'fixed'; readonly every: number; readonly size?: number }
  | { readonly process: 'poisson'; readonly rate: number }
  | { readonly process: 'bursts'; readonly every: number; readonly size: number }
  | { readonly process: 'diurnal'; readonly low: number; readonly high: number; readonly period: number };

/** How long pods live. Seconds. */
export type Lifetime =
  | { readonly distribution: 'forever' }
  | { readonly distribution: 'fixed'; readonly seconds: number }
  | { readonly distribution: 'exponential'; readonly mean: number }
  | { readonly distribution: 'lognormal'; readonly median: number; readonly sigma: number }
  | { readonly distribution: 'pareto'; readonly least: number; readonly shape: number };

/** Times of arrival from `from`, rising, without end: who draws them stops. Several at one time are several pods. */
export function* arrivalTimes(process: ArrivalProcess, random: Random, from = 0): Generator<number> {
  let at = from;
  switch (process.process) {
    case 'fixed':
      for (let tick = 0; ; tick++) for (let i = 0; i < (process.size ?? 1); i++) yield from + tick * process.every;
    case 'poisson':
      for (;;) {
        at += random.exponential(1 / process.rate);
        yield at;
      }
    case 'bursts':
      for (;;) {
        at += random.exponential(process.every);
        for (let i = 0; i < process.size; i++) yield at;
      }
    case 'diurnal': {
      const { low, high, period } = process;
      for (;;) {
        at += random.exponential(1 / high);
        const rate = low + ((high - low) * (1 - Math.cos((2 * Math.PI * (at - from)) / period))) / 2;
        if (random.next() * high < rate) yield at;
      }
    }
  }
}

/** Seconds; Infinity is for ever. */
export function drawLifetime(lifetime: Lifetime, random: Random): number {
  switch (lifetime.distribution) {
    case 'forever':
      return Number.POSITIVE_INFINITY;
    case 'fixed':
      return lifetime.seconds;
    case 'exponential':
      return random.exponential(lifetime.mean);
    case 'lognormal':
      return lifetime.median * Math.exp(lifetime.sigma * random.normal());
    case 'pareto':
      return lifetime.least / (1 - random.next()) ** (1 / lifetime.shape);
  }
}
