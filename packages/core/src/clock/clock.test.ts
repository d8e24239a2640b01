import { describe, expect, it } from 'vitest';
import { backoff, reflectorBackoff } from './backoff.js';
import { systemClock } from './clock.js';
import { manualClock } from './manual-clock.js';
import { seededRandom } from './random.js';

describe('manualClock', () => {
  it('runs timers in order of time, then of setting, each at its own time', async () => {
    const clock = manualClock(1_000);
    const seen: [string, number][] = [];
    clock.setTimer(30, () => seen.push(['c', clock.now()]));
    clock.setTimer(10, () => seen.push(['a', clock.now()]));
    clock.setTimer(10, () => seen.push(['b', clock.now()]));
    clock.setTimer(31, () => seen.push(['late', clock.now()]));
    await clock.advance(30);
    expect(seen).toEqual([
      ['a', 1_010],
      ['b', 1_010],
      ['c', 1_030],
    ]);
    expect(clock.now()).toBe(1_030);
    expect(clock.pending).toBe(1);
    expect(clock.nextAt).toBe(1_031);
  });

  it('serves a loop that sleeps again and again within one advance', async () => {
    const clock = manualClock(0);
    const at: number[] = [];
    const loop = (async () => {
      for (let i = 0; i < 5; i++) {
        await clock.sleep(100);
        at.push(clock.now());
      }
    })();
    await clock.advance(450);
    expect(at).toEqual([100, 200, 300, 400]);
    await clock.advance(50);
    await loop;
    expect(clock.pending).toBe(0);
  });

  it('rejects a sleep with the reason of its signal and keeps no timer', async () => {
    const clock = manualClock();
    const controller = new AbortController();
    const sleep = clock.sleep(1_000, controller.signal);
    const reason = new Error('stop');
    controller.abort(reason);
    await expect(sleep).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    await expect(clock.sleep(1, controller.signal)).rejects.toBe(reason);
  });

  it('forgets a cancelled timer, however often it is cancelled', async () => {
    const clock = manualClock();
    let ran = false;
    const timer = clock.setTimer(5, () => {
      ran = true;
    });
    timer.cancel();
    timer.cancel();
    await clock.advance(10);
    expect(ran).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('goes to the next timer and says when there is none', async () => {
    const clock = manualClock(0);
    clock.setTimer(77, () => undefined);
    expect(await clock.runNext()).toBe(true);
    expect(clock.now()).toBe(77);
    expect(await clock.runNext()).toBe(false);
  });

  it('keeps the order of many timers', async () => {
    const clock = manualClock(0);
    const random = seededRandom(7);
    const seen: number[] = [];
    for (let i = 0; i < 2_000; i++) clock.setTimer(Math.floor(random() * 500), () => seen.push(clock.now()));
    await clock.advance(500);
    expect(seen).toHaveLength(2_000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe('systemClock', () => {
  it('rejects an aborted sleep at once', async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);
    controller.abort(new Error('stop'));
    await expect(sleep).rejects.toThrow('stop');
  });
});

describe('backoff', () => {
  it('doubles up to the cap', () => {
    const waits = backoff({ initialMs: 100, maxMs: 1_000 });
    expect([1, 2, 3, 4, 5, 6].map(() => waits.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(waits.attempts).toBe(6);
    waits.reset();
    expect(waits.next()).toBe(100);
  });

  it('stretches a wait by at most the jitter', () => {
    const random = seededRandom(3);
    const waits = backoff({ ...reflectorBackoff, clock: manualClock(), random });
    const first = waits.next();
    expect(first).toBeGreaterThanOrEqual(800);
    expect(first).toBeLessThan(1_600);
    for (let i = 0; i < 50; i++) expect(waits.next()).toBeLessThan(60_000);
  });

  it('starts again after a quiet time', async () => {
    const clock = manualClock();
    const waits = backoff({ ...reflectorBackoff, jitter: 0, clock });
    waits.next();
    waits.next();
    expect(waits.next()).toBe(3_200);
    await clock.advance(120_001);
    expect(waits.next()).toBe(800);
  });
});

describe('seededRandom', () => {
  it('repeats itself for a seed, differs for another, stays in [0, 1)', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 1_000 }, () => random());
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const numbers = draw(9);
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    const mean = numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
  });
});
