import { describe, expect, it } from 'vitest';
import { type ArrivalProcess, arrivalTimes, drawLifetime, type Lifetime } from './arrivals.js';
import { seededRandom } from './random.js';

const first = (process: ArrivalProcess, count: number): number[] => {
  const times: number[] = [];
  for (const at of arrivalTimes(process, seededRandom(1, 'times'))) {
    if (times.push(at) === count) break;
  }
  return times;
};
const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
const lives = (lifetime: Lifetime) => {
  const random = seededRandom(2, 'lives');
  return Array.from({ length: 20_000 }, () => drawLifetime(lifetime, random)).sort((a, b) => a - b);
};

describe('random numbers', () => {
  it('come again for a seed and a name', () => {
    const draw = (seed: number, name: string) => Array.from({ length: 5 }, seededRandom(seed, name).next);
    expect(draw(1, 'a')).toEqual(draw(1, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(2, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(1, 'b'));
  });
  it('are spread evenly, and picked by weight', () => {
    const random = seededRandom(3, 'even');
    const buckets = new Array(10).fill(0);
    for (let i = 0; i < 20_000; i++) buckets[Math.floor(random.next() * 10)] += 1;
    for (const each of buckets) expect(Math.abs(each - 2_000)).toBeLessThan(200);
    const picks = [0, 0, 0];
    for (let i = 0; i < 20_000; i++) picks[random.pick([3, 0, 1])]! += 1;
    expect(picks[1]).toBe(0);
    expect(picks[0]! / picks[2]!).toBeCloseTo(3, 0);
  });
});

describe('arrivals', () => {
  it('fixed: so many every so often', () => {
    expect(first({ process: 'fixed', every: 10, size: 2 }, 5)).toEqual([0, 0, 10, 10, 20]);
  });
  it('poisson: the rate, and gaps that vary as much as they are long', () => {
    const times = first({ process: 'poisson', rate: 4 }, 20_000);
    const gaps = times.map((at, i) => at - (times[i - 1] ?? 0));
    expect(mean(gaps)).toBeCloseTo(0.25, 2);
    expect(Math.sqrt(mean(gaps.map(gap => (gap - 0.25) ** 2)))).toBeCloseTo(0.25, 2);
  });
  it('bursts: all of one at once', () => {
    const times = first({ process: 'bursts', every: 60, size: 5 }, 5_000);
    expect(new Set(times).size).toBe(1_000);
    expect(times.at(-1)! / 1_000).toBeGreaterThan(50);
  });
  it('diurnal: few at the beginning of a period, many in its middle', () => {
    const inDay = first({ process: 'diurnal', low: 0.1, high: 1, period: 1_000 }, 20_000).map(at => at % 1_000);
    const between = (from: number, to: number) => inDay.filter(at => at >= from && at < to).length;
    expect(between(450, 550) / (between(0, 50) + between(950, 1_000))).toBeGreaterThan(5);
  });
});

describe('lifetimes', () => {
  it('have the moments they are named by', () => {
    expect(drawLifetime({ distribution: 'forever' }, seededRandom(1, 'x'))).toBe(Infinity);
    expect(drawLifetime({ distribution: 'fixed', seconds: 7 }, seededRandom(1, 'x'))).toBe(7);
    expect(mean(lives({ distribution: 'exponential', mean: 100 })) / 100).toBeCloseTo(1, 1);
    const lognormal = lives({ distribution: 'lognormal', median: 50, sigma: 1 });
    expect(lognormal[10_000]! / 50).toBeCloseTo(1, 1);
    expect(mean(lognormal) / (50 * Math.exp(0.5))).toBeCloseTo(1, 1);
    const pareto = lives({ distribution: 'pareto', least: 10, shape: 2 });
    expect(pareto[0]).toBeGreaterThanOrEqual(10);
    expect(pareto[10_000]! / (10 * Math.SQRT2)).toBeCloseTo(1, 1);
  });
});
