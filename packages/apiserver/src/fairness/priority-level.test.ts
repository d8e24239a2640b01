import { describe, expect, it } from 'vitest';
import { type Held, type LevelSettings, PriorityLevel, Seats } from './priority-level.js';
import { flowHash } from './shuffle-sharding.js';

const settings = (name: string, over: Partial<LevelSettings> = {}): LevelSettings => ({
  name,
  uid: '',
  exempt: false,
  shares: 50,
  lendablePercent: 0,
  borrowingLimitPercent: undefined,
  queuing: { queues: 16, handSize: 4, queueLengthLimit: 50 },
  ...over,
});
function levels(total: number, ...all: LevelSettings[]): PriorityLevel[] {
  const seats = new Seats(total);
  const made = all.map(each => new PriorityLevel(each, seats));
  seats.divide(made);
  return made;
}

/** Requests of one flow that run as long as they are told, in a world where time is counted by hand. */
function flow(level: PriorityLevel, name: string) {
  const running: Held[] = [];
  const taken = { count: 0, refused: 0 };
  return {
    taken,
    running,
    ask(seats = 1) {
      const held = level.take(seats);
      const go = (got: Held) => {
        running.push(got);
        taken.count++;
      };
      if (held) return go(held);
      if (typeof level.enqueue(flowHash(name), seats, go) === 'string') taken.refused++;
    },
    finish(seconds: number) {
      for (const held of running.splice(0)) level.end(held, seconds);
    },
  };
}

describe('a priority level', () => {
  it('lets in what there are seats for, and the others when seats come back', () => {
    const [level] = levels(2, settings('a'));
    const one = flow(level!, 'one');
    for (let i = 0; i < 5; i++) one.ask();
    expect([one.taken.count, level!.waiting]).toEqual([2, 3]);
    one.finish(0.01);
    level!.dispatch();
    expect([one.taken.count, level!.waiting]).toEqual([4, 1]);
  });

  it('gives a flow with a thousand requests no more than one with few', () => {
    const [level] = levels(4, settings('a', { queuing: { queues: 64, handSize: 6, queueLengthLimit: 500 } }));
    const greedy = flow(level!, 'greedy');
    const polite = flow(level!, 'polite');
    for (let i = 0; i < 1_000; i++) greedy.ask();
    for (let i = 0; i < 20; i++) polite.ask();
    const rounds: number[] = [];
    while (polite.taken.count < 20) {
      greedy.finish(0.005);
      polite.finish(0.005);
      level!.dispatch();
      rounds.push(polite.taken.count);
    }
    // Its hand of six queues against six of the other: about half of four seats a round.
    expect(rounds.length).toBeLessThanOrEqual(20);
    expect(greedy.taken.count).toBeLessThan(100);
  });

  it('keeps seats for light requests, which need not wait until a heavy one has ended', () => {
    const [level] = levels(20, settings('a'));
    const heavy = flow(level!, 'heavy');
    const light = flow(level!, 'light');
    for (let i = 0; i < 10; i++) heavy.ask(4);
    expect([heavy.taken.count, level!.inUse, level!.light]).toEqual([4, 16, 4]);
    for (let i = 0; i < 10; i++) {
      light.ask();
      level!.dispatch();
    }
    expect(light.taken.count).toBe(4);
    // They come and go, and the heavy ones still get theirs.
    for (let i = 0; i < 20; i++) {
      light.finish(0.001);
      level!.dispatch();
      light.ask();
      level!.dispatch();
      if (i % 5 === 4) heavy.finish(0.05);
      level!.dispatch();
    }
    expect(heavy.taken.count).toBe(10);
  });

  it('charges for the time that was really taken', () => {
    const [level] = levels(1, settings('a', { queuing: { queues: 64, handSize: 1, queueLengthLimit: 500 } }));
    const slow = flow(level!, 'slow');
    const quick = flow(level!, 'quick');
    for (let i = 0; i < 100; i++) {
      slow.ask();
      quick.ask();
    }
    for (let i = 0; i < 60; i++) {
      slow.finish(0.5);
      quick.finish(0.005);
      level!.dispatch();
    }
    expect(quick.taken.count).toBeGreaterThan(slow.taken.count * 5);
  });

  it('refuses beyond the length of a queue, and without queues at once', () => {
    const [level, rejecting] = levels(
      2,
      settings('a', { queuing: { queues: 1, handSize: 1, queueLengthLimit: 3 } }),
      settings('b', { queuing: undefined }),
    );
    const one = flow(level!, 'one');
    for (let i = 0; i < 6; i++) one.ask();
    expect([one.taken.count, one.taken.refused]).toEqual([1, 2]);
    const two = flow(rejecting!, 'two');
    for (let i = 0; i < 3; i++) two.ask();
    expect([two.taken.count, two.taken.refused]).toEqual([1, 2]);
  });

  it('borrows what others may lend, and the owner gets its share at once', () => {
    const [busy, idle] = levels(20, settings('a'), settings('b', { lendablePercent: 60 }));
    expect([busy!.nominal, idle!.nominal, idle!.kept]).toEqual([10, 10, 4]);
    const one = flow(busy!, 'one');
    for (let i = 0; i < 30; i++) one.ask();
    expect(busy!.inUse).toBe(16);
    const two = flow(idle!, 'two');
    for (let i = 0; i < 10; i++) two.ask();
    expect(idle!.inUse).toBe(10);
    one.finish(0.01);
    busy!.dispatch();
    expect(busy!.inUse).toBe(10);
  });

  it('counts every seat back', () => {
    const [a, b] = levels(12, settings('a', { lendablePercent: 50 }), settings('b', { lendablePercent: 50 }));
    const all = ['x', 'y', 'z'].flatMap(name => [flow(a!, name), flow(b!, name)]);
    for (let i = 0; i < 200; i++) {
      all[i % all.length]!.ask(1 + (i % 3));
      if (i % 5 === 0) for (const each of all) each.finish(0.001 * (i % 7));
      a!.dispatch();
      b!.dispatch();
    }
    for (let i = 0; a!.waiting + b!.waiting > 0 && i < 500; i++) {
      for (const each of all) each.finish(0.001);
      a!.dispatch();
      b!.dispatch();
    }
    for (const each of all) each.finish(0.001);
    expect([a!.inUse, b!.inUse, a!.waiting, b!.waiting]).toEqual([0, 0, 0, 0]);
  });
});
