import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DispatchPace } from './dispatch-pace.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pace with so many watchers, and how often they were told. */
function paced(watchers: number) {
  const told = vi.fn(() => watchers);
  return { pace: new DispatchPace(told), told };
}

it('tells few watchers at once, and of what follows in the same turn at its end', () => {
  const { pace, told } = paced(249);
  for (let i = 0; i < 5; i++) pace.request();
  expect(told).toHaveBeenCalledTimes(1);
  vi.advanceTimersToNextTimer();
  expect(told).toHaveBeenCalledTimes(2);
  // The turn after that one: still one a turn, while commits go on.
  pace.request();
  pace.request();
  expect(told).toHaveBeenCalledTimes(2);
  vi.advanceTimersToNextTimer();
  expect(told).toHaveBeenCalledTimes(3);
  vi.advanceTimersToNextTimer();
  expect(told).toHaveBeenCalledTimes(3);
  expect(vi.getTimerCount()).toBe(0);
  pace.request();
  expect(told).toHaveBeenCalledTimes(4);
});

it('has no turns to wait for when nobody hears', () => {
  const { pace, told } = paced(0);
  for (let i = 0; i < 5; i++) pace.request();
  expect(told).toHaveBeenCalledTimes(5);
  expect(vi.getTimerCount()).toBe(0);
});

it('tells many watchers of several commits together, after as many milliseconds as there are 250 of them, at most 5', () => {
  for (const [watchers, waitMs] of [
    [250, 1],
    [1_000, 4],
    [100_000, 5],
  ] as const) {
    const { pace, told } = paced(watchers);
    pace.request();
    expect(told).toHaveBeenCalledTimes(1);
    pace.request();
    vi.advanceTimersByTime(waitMs - 0.5);
    pace.request();
    expect(told).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(0.5);
    expect(told).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(100);
    expect(told).toHaveBeenCalledTimes(2);
  }
});

it('tells at once when flushed, and not again', () => {
  const { pace, told } = paced(1_000);
  pace.request();
  pace.request();
  pace.flush();
  expect(told).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(100);
  expect(told).toHaveBeenCalledTimes(2);
  expect(vi.getTimerCount()).toBe(0);
});
