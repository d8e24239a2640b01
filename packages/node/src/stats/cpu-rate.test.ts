import { expect, it } from 'vitest';
import { cpuRates } from './cpu-rate.js';

const at = (timestamp: number, cpuNanos: number, id = 'a') => ({ id, timestamp, cpuNanos, memoryWorkingSetBytes: 0 });

it('has no rate before a second has passed between two samples', () => {
  const rates = cpuRates();
  expect(rates.sample([at(0, 0)])).toBe(false);
  expect(rates.of('a')).toBeUndefined();
  expect(rates.sample([at(999, 5)])).toBe(false);
  expect(rates.sample([at(1_000, 500_000_000)])).toBe(true);
  expect(rates.of('a')).toEqual({ nanoCores: 500_000_000, windowMs: 1_000 });
});

it('is taken over the youngest ten seconds that there are, however often somebody asks', () => {
  const rates = cpuRates();
  // One core for 30 s, then none.
  for (let ms = 0; ms <= 60_000; ms += 500) rates.sample([at(ms, Math.min(ms, 30_000) * 1_000_000)]);
  expect(rates.of('a')!.nanoCores).toBe(0);
  expect(rates.of('a')!.windowMs).toBeLessThan(16_000);
});

it('forgets what is older than a minute, and containers that have gone', () => {
  const rates = cpuRates();
  rates.sample([at(0, 0), at(0, 0, 'b')]);
  expect(rates.sample([at(61_000, 1)])).toBe(false);
  expect(rates.of('b')).toBeUndefined();
  expect(rates.sample([at(62_000, 1), at(62_000, 7, 'b')])).toBe(false);
  expect(rates.of('a')).toEqual({ nanoCores: 0, windowMs: 1_000 });
});

it('never goes below nothing when a counter begins again', () => {
  const rates = cpuRates();
  rates.sample([at(0, 1_000_000)]);
  rates.sample([at(2_000, 5)]);
  expect(rates.of('a')!.nanoCores).toBe(0);
});
