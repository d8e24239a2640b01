import { manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { bucketRateLimiter, controllerRateLimiter, itemExponentialRateLimiter } from './rate-limiter.js';
import { lowPriority, WorkQueue } from './work-queue.js';

const queueOn = (clock = manualClock()) => ({ clock, queue: new WorkQueue<string>({ clock }) });
const state = async (promise: Promise<unknown>) => {
  let result = 'pending';
  promise.then(
    value => {
      result = `resolved ${value}`;
    },
    error => {
      result = `rejected ${error}`;
    },
  );
  await new Promise(resolve => setImmediate(resolve));
  return result;
};

describe('WorkQueue', () => {
  it('is fair: hands out in the order of adding', async () => {
    const { queue } = queueOn();
    for (const key of ['c', 'a', 'b']) queue.add(key);
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual(['c', 'a', 'b']);
  });

  it('is stingy: what was added several times is handed out once', async () => {
    const { queue } = queueOn();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.length).toBe(2);
    expect([await queue.get(), await queue.get()]).toEqual(['a', 'b']);
    expect(await state(queue.get())).toBe('pending');
  });

  it('does not hand out an item that is being worked on; added meanwhile, it comes again after done', async () => {
    const { queue } = queueOn();
    queue.add('a');
    await queue.get();
    queue.add('a');
    const second = queue.get();
    expect(queue.length).toBe(0);
    expect(await state(second)).toBe('pending');
    queue.done('a');
    expect(await second).toBe('a');
    queue.done('a');
    expect(await state(queue.get())).toBe('pending');
  });

  it('serves waiting consumers in their order', async () => {
    const { queue } = queueOn();
    const first = queue.get();
    const second = queue.get();
    queue.add('a');
    queue.add('b');
    expect([await first, await second]).toEqual(['a', 'b']);
  });

  it('hands out higher priorities first; the highest of several adds counts', async () => {
    const { queue } = queueOn();
    for (const key of ['l1', 'l2', 'l3']) queue.add(key, { priority: lowPriority });
    queue.add('n1');
    queue.add('h', { priority: 5 });
    queue.add('l2');
    queue.add('n1', { priority: lowPriority });
    expect(queue.length).toBe(5);
    const got: unknown[] = [];
    while (queue.length > 0) got.push(await queue.get());
    expect(got).toEqual(['h', 'n1', 'l2', 'l1', 'l3']);
  });

  it('what waits behind higher priorities gets a quarter of the work after ten seconds, however many come', async () => {
    const { queue, clock } = queueOn();
    for (let i = 0; i < 5; i++) queue.add(`old-${i}`, { priority: lowPriority });
    const got: string[] = [];
    let n = 0;
    const work = async () => {
      queue.add(`new-${n++}`);
      queue.add(`new-${n++}`);
      const key = (await queue.get())!;
      got.push(key);
      queue.done(key);
    };
    for (let i = 0; i < 20; i++) await work();
    expect(got.every(key => key.startsWith('new'))).toBe(true);
    await clock.advance(10_000);
    got.length = 0;
    for (let i = 0; i < 20; i++) await work();
    expect(got.filter(key => key.startsWith('old'))).toEqual(['old-0', 'old-1', 'old-2', 'old-3', 'old-4']);
    expect(got.filter(key => key.startsWith('new')).length).toBe(15);
  });

  it('keeps the priority of what is delayed, and of what is added while it is worked on', async () => {
    const { queue, clock } = queueOn();
    queue.addAfter('late', 10, { priority: 3 });
    queue.addRateLimited('slow', { priority: lowPriority });
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a', { priority: 9 });
    queue.add('b');
    queue.done('a');
    await clock.advance(10);
    const got: unknown[] = [];
    while (queue.length > 0) got.push(await queue.get());
    expect(got).toEqual(['a', 'late', 'b', 'slow']);
  });

  it('an item that failed, or is asked for later, comes again with the priority it was handed out with', async () => {
    const { queue, clock } = queueOn();
    for (const [key, priority] of [
      ['high', 5],
      ['listed', lowPriority],
      ['looked', lowPriority],
    ] as const)
      queue.add(key, { priority });
    const got: string[] = [];
    while (queue.length > 0) got.push((await queue.get())!);
    expect(got).toEqual(['high', 'listed', 'looked']);
    queue.addRateLimited('listed');
    queue.addAfter('looked', 5);
    queue.addRateLimited('high');
    for (const key of got) queue.done(key);
    queue.add('changed');
    await clock.advance(5);
    const again: unknown[] = [];
    while (queue.length > 0) again.push(await queue.get());
    expect(again).toEqual(['high', 'changed', 'listed', 'looked']);
  });

  it('a get that is aborted rejects and takes nothing', async () => {
    const { queue } = queueOn();
    const stop = new AbortController();
    const got = queue.get({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(got).rejects.toThrow('enough');
    queue.add('a');
    expect(queue.length).toBe(1);
    await expect(queue.get({ signal: stop.signal })).rejects.toThrow('enough');
  });

  it('shut down, it takes nothing, hands out what is queued, then undefined', async () => {
    const { queue } = queueOn();
    queue.add('a');
    queue.shutDown();
    queue.shutDown();
    queue.add('b');
    queue.addAfter('c', 10);
    expect(await queue.get()).toBe('a');
    expect(await queue.get()).toBeUndefined();
  });

  it('shutdown releases waiting consumers', async () => {
    const { queue } = queueOn();
    const got = queue.get();
    queue.shutDown();
    expect(await got).toBeUndefined();
  });

  it('draining waits for queued and running work, also for what is queued again', async () => {
    const { queue } = queueOn();
    queue.add('a');
    queue.add('b');
    await queue.get();
    queue.add('a');
    const drained = queue.shutDownWithDrain();
    queue.done('a');
    expect(await queue.get()).toBe('b');
    queue.done('b');
    expect(await state(drained)).toBe('pending');
    const again = queue.get();
    const end = queue.get();
    expect(await again).toBe('a');
    expect(await state(drained)).toBe('pending');
    queue.done('a');
    await drained;
    expect(await end).toBeUndefined();
  });

  it('shutDown ends a drain that waits; so does its signal', async () => {
    const { queue } = queueOn();
    queue.add('a');
    await queue.get();
    const drained = queue.shutDownWithDrain();
    const stop = new AbortController();
    const bounded = queue.shutDownWithDrain({ signal: stop.signal });
    stop.abort(new Error('too long'));
    await expect(bounded).rejects.toThrow('too long');
    queue.shutDown();
    await drained;
  });

  it('addAfter waits; the earlier of two times counts; nothing or less is at once', async () => {
    const { queue, clock } = queueOn();
    queue.addAfter('late', 100);
    queue.addAfter('late', 50);
    queue.addAfter('late', 500);
    queue.addAfter('now', 0);
    expect(await queue.get()).toBe('now');
    await clock.advance(49);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(await queue.get()).toBe('late');
    queue.done('late');
    await clock.advance(1000);
    expect(queue.length).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('waits longer than one timer can', async () => {
    const timers: number[] = [];
    const clock = manualClock();
    const setTimer: typeof clock.setTimer = (ms, run) => {
      timers.push(ms);
      return clock.setTimer(ms, run);
    };
    const queue = new WorkQueue<string>({ clock: { ...clock, setTimer } });
    const month = 40 * 86_400_000;
    queue.addAfter('a', month);
    await clock.advance(month - 1);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(queue.length).toBe(1);
    expect(Math.max(...timers)).toBeLessThan(2 ** 31);
  });

  it('addRateLimited doubles the wait of an item until it is forgotten', async () => {
    const { queue, clock } = queueOn();
    for (const wait of [5, 10, 20]) {
      queue.addRateLimited('a');
      await clock.advance(wait - 1);
      expect(queue.length).toBe(0);
      await clock.advance(1);
      expect(await queue.get()).toBe('a');
      queue.done('a');
    }
    expect(queue.numRequeues('a')).toBe(3);
    queue.forget('a');
    expect(queue.numRequeues('a')).toBe(0);
    queue.addRateLimited('a');
    await clock.advance(5);
    expect(queue.length).toBe(1);
  });

  it('as an AsyncIterable it is a worker: an item is done when the next is asked for, or the loop ends', async () => {
    const { queue } = queueOn();
    queue.add('a');
    queue.add('b');
    const seen: string[] = [];
    for await (const key of queue) {
      seen.push(key);
      if (key === 'a' && seen.length === 1) queue.add('a');
      if (seen.length === 3) queue.shutDown();
    }
    expect(seen).toEqual(['a', 'b', 'a']);
    await queue.shutDownWithDrain();

    const left = new WorkQueue<string>();
    left.add('x');
    for await (const _ of left) break;
    left.add('x');
    expect(await left.get()).toBe('x');
  });

  it('hands out a hundred thousand items without slowing down', async () => {
    const { queue } = queueOn();
    const started = performance.now();
    for (let i = 0; i < 100_000; i++) queue.add(String(i));
    for (let i = 0; i < 100_000; i++) {
      const key = await queue.get();
      if (key !== String(i)) throw new Error(`expected ${i}, got ${key}`);
      queue.done(key);
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('measures under the names of client-go and leaves no timer', async () => {
    const { metrics, values } = recordingMetrics();
    const clock = manualClock();
    const queue = new WorkQueue<string>({ name: 'pods', metrics, clock });
    queue.add('a');
    queue.add('a');
    queue.add('b');
    expect(values('workqueue_depth')).toEqual([1, 2]);
    await clock.advance(2000);
    await queue.get();
    await clock.advance(3000);
    expect(values('workqueue_unfinished_work_seconds').at(-1)).toBe(3);
    expect(values('workqueue_longest_running_processor_seconds').at(-1)).toBe(3);
    queue.done('a');
    queue.addRateLimited('a');
    expect(values('workqueue_adds_total').length).toBe(2);
    expect(values('workqueue_retries_total').length).toBe(1);
    expect(values('workqueue_queue_duration_seconds')).toEqual([2]);
    expect(values('workqueue_work_duration_seconds')).toEqual([3]);
    expect(values('workqueue_unfinished_work_seconds').at(-1)).toBe(0);
    await queue.get();
    queue.shutDown();
    expect(clock.pending).toBe(0);
  });
});

describe('rate limiters', () => {
  it('an item waits 5 ms, doubled, at most 1000 s', () => {
    const limiter = itemExponentialRateLimiter<string>();
    const waits = Array.from({ length: 20 }, () => limiter.when('a'));
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(waits.at(-1)).toBe(1_000_000);
    expect(limiter.when('b')).toBe(5);
  });

  it('the bucket lets a burst through, then one every 100 ms, and refills', async () => {
    const clock = manualClock();
    const limiter = bucketRateLimiter<string>({ clock });
    const waits = Array.from({ length: 102 }, () => Math.round(limiter.when('a')));
    expect(waits.slice(0, 100).every(ms => ms === 0)).toBe(true);
    expect(waits.slice(100)).toEqual([100, 200]);
    await clock.advance(20_000);
    expect(limiter.when('a')).toBe(0);
  });

  it('the default is the longer of both', () => {
    const limiter = controllerRateLimiter<string>(manualClock());
    for (let i = 0; i < 100; i++) limiter.when(`item-${i}`);
    expect(Math.round(limiter.when('new'))).toBe(100);
    expect(limiter.numRequeues('new')).toBe(1);
    limiter.forget('new');
    expect(limiter.numRequeues('new')).toBe(0);
  });
});

function recordingMetrics() {
  const recorded = new Map<string, number[]>();
  const record = (name: string, value: number) => recorded.set(name, [...(recorded.get(name) ?? []), value]);
  return {
    values: (name: string) => recorded.get(name) ?? [],
    metrics: {
      counter: (name: string) => ({
        inc: (_labels?: unknown, by = 1) => void record(name, by),
        series: () => ({ inc: (by = 1) => void record(name, by) }),
      }),
      gauge: (name: string) => ({
        set: (value: number) => void record(name, value),
        inc() {},
        dec() {},
        series: () => ({ add() {} }),
      }),
      histogram: (name: string) => ({
        observe: (value: number) => void record(name, value),
        series: () => ({ observe: (value: number) => void record(name, value) }),
      }),
      text: async () => '',
    },
  };
}
