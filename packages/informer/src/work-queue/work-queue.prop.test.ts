/** The queue against a model of its contract, under every order of calls that fast-check thinks of. */
import { type ManualClock, manualClock } from '@orbitkit/core';
import fc from 'fast-check';
import { it } from 'vitest';
import { itemExponentialRateLimiter } from './rate-limiter.js';
import { WorkQueue } from './work-queue.js';

interface Model {
  now: number;
  /** In the order in which they are to be handed out. */
  queue: string[];
  processing: Set<string>;
  again: Set<string>;
  /** Items due at the same time come in the order in which they were added. */
  due: Map<string, { at: number; order: number }>;
  failures: Map<string, number>;
  order: number;
  shut: boolean;
}
interface Real {
  clock: ManualClock;
  queue: WorkQueue<string>;
  working: Set<string>;
}
type Command = fc.AsyncCommand<Model, Real>;

function modelAdd(model: Model, key: string): void {
  if (model.shut) return;
  if (model.processing.has(key)) model.again.add(key);
  else if (!model.queue.includes(key)) model.queue.push(key);
}

function modelAddAfter(model: Model, key: string, ms: number): void {
  if (model.shut) return;
  if (ms <= 0) {
    modelAdd(model, key);
    return;
  }
  const known = model.due.get(key);
  if (!known || known.at > model.now + ms) model.due.set(key, { at: model.now + ms, order: model.order++ });
}

const command = (name: string, check: (m: Model) => boolean, run: (m: Model, r: Real) => Promise<void>): Command => ({
  check,
  run,
  toString: () => name,
});
const always = () => true;
const expectSame = (what: string, actual: unknown, expected: unknown) => {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, the contract says ${b}`);
};

const key = fc.constantFrom('a', 'b', 'c', 'd');
const commands: fc.Arbitrary<Command>[] = [
  key.map(k =>
    command(`add(${k})`, always, async (model, { queue }) => {
      queue.add(k);
      modelAdd(model, k);
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
  fc.tuple(key, fc.integer({ min: -5, max: 50 })).map(([k, ms]) =>
    command(`addAfter(${k}, ${ms})`, always, async (model, { queue }) => {
      queue.addAfter(k, ms);
      modelAddAfter(model, k, ms);
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
  key.map(k =>
    command(`addRateLimited(${k})`, always, async (model, { queue }) => {
      queue.addRateLimited(k);
      if (!model.shut) {
        const failures = model.failures.get(k) ?? 0;
        model.failures.set(k, failures + 1);
        modelAddAfter(model, k, 5 * 2 ** failures);
      }
      expectSame('numRequeues', queue.numRequeues(k), model.failures.get(k) ?? 0);
    }),
  ),
  key.map(k =>
    command(`forget(${k})`, always, async (model, { queue }) => {
      queue.forget(k);
      model.failures.delete(k);
      expectSame('numRequeues', queue.numRequeues(k), 0);
    }),
  ),
  fc.constant(
    command(
      'get()',
      model => model.queue.length > 0,
      async (model, { queue, working }) => {
        const got = await queue.get();
        const expected = model.queue.shift()!;
        expectSame('get', got, expected);
        if (working.has(got!)) throw new Error(`${got} was handed out while it is being worked on`);
        working.add(got!);
        model.processing.add(expected);
      },
    ),
  ),
  fc.nat().map(n =>
    command(
      `done(#${n})`,
      model => model.processing.size > 0,
      async (model, { queue, working }) => {
        const k = [...model.processing][n % model.processing.size]!;
        queue.done(k);
        working.delete(k);
        model.processing.delete(k);
        if (model.again.delete(k)) model.queue.push(k);
        expectSame('length', queue.length, model.queue.length);
      },
    ),
  ),
  fc.integer({ min: 1, max: 60 }).map(ms =>
    command(`advance(${ms})`, always, async (model, { clock, queue }) => {
      await clock.advance(ms);
      model.now += ms;
      const fired = [...model.due].filter(([, { at }]) => at <= model.now);
      fired.sort(([, a], [, b]) => a.at - b.at || a.order - b.order);
      for (const [k] of fired) {
        model.due.delete(k);
        modelAdd(model, k);
      }
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
];
const shutDown = fc.constant(
  command('shutDown()', always, async (model, { queue }) => {
    queue.shutDown();
    model.shut = true;
    model.due.clear();
  }),
);

it('behaves as its contract in any order of calls', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands([...commands, shutDown], { size: '+1' }), async list => {
      const clock = manualClock();
      const queue = new WorkQueue<string>({ clock, rateLimiter: itemExponentialRateLimiter() });
      const model: Model = {
        now: clock.now(),
        queue: [],
        processing: new Set(),
        again: new Set(),
        due: new Map(),
        failures: new Map(),
        order: 0,
        shut: false,
      };
      await fc.asyncModelRun(() => ({ model, real: { clock, queue, working: new Set() } }), list);
      // Whatever happened, it can be shut down, every item comes out once, and no timer is left.
      for (const k of model.processing) {
        queue.done(k);
        if (model.again.has(k)) model.queue.push(k);
      }
      queue.shutDown();
      const rest: string[] = [];
      for await (const k of queue) rest.push(k);
      expectSame('what is left', rest, model.queue);
      expectSame('timers', clock.pending, 0);
    }),
    { numRuns: 300 },
  );
}, 60_000);

it('with several workers no item is worked on twice at a time, and the last add is always worked on', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(key, fc.integer({ min: 0, max: 20 })), { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: 0, max: 10 }), { minLength: 1, maxLength: 10 }),
      async (adds, workers, durations) => {
        const clock = manualClock();
        const queue = new WorkQueue<string>({ clock });
        const active = new Set<string>();
        const lastAdd = new Map<string, number>();
        const lastStart = new Map<string, number>();
        let turn = 0;
        const work = async () => {
          for await (const k of queue) {
            if (active.has(k)) throw new Error(`${k} has two workers`);
            active.add(k);
            lastStart.set(k, turn++);
            await clock.sleep(durations[turn % durations.length]!);
            active.delete(k);
          }
        };
        const running = Promise.all(Array.from({ length: workers }, work));
        for (const [k, pause] of adds) {
          queue.add(k);
          lastAdd.set(k, turn++);
          await clock.advance(pause);
        }
        await clock.advance(10_000);
        queue.shutDown();
        await running;
        for (const [k, at] of lastAdd) {
          if ((lastStart.get(k) ?? -1) < at) throw new Error(`the last add of ${k} was not worked on`);
        }
      },
    ),
    { numRuns: 100 },
  );
}, 60_000);
