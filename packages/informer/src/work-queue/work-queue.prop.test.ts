/** The queue against a model of its contract, under every order of calls that fast-check thinks of. */
import { type ManualClock, manualClock } from '@orbitkit/core';
import fc from 'fast-check';
import { it } from 'vitest';
import { itemExponentialRateLimiter } from './rate-limiter.js';
import { WorkQueue } from './work-queue.js';

interface Waiting {
  key: string;
  priority: number;
  since: number;
}
interface Model {
  now: number;
  /** In the order of adding to their priority. */
  queue: Waiting[];
  /** Handed out in a row while aged ones waited behind. */
  sinceAged: number;
  /** With the priority that it was handed out with. */
  processing: Map<string, number>;
  again: Map<string, number>;
  /** Items due at the same time come in the order in which they were added. */
  due: Map<string, { at: number; order: number }>;
  duePriority: Map<string, number>;
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

function modelAdd(model: Model, key: string, priority = 0): void {
  if (model.shut) return;
  if (model.processing.has(key)) {
    model.again.set(key, Math.max(priority, model.again.get(key) ?? Number.NEGATIVE_INFINITY));
    return;
  }
  const waiting = model.queue.find(each => each.key === key);
  if (waiting && waiting.priority >= priority) return;
  model.queue = model.queue.filter(each => each !== waiting);
  model.queue.push({ key, priority, since: waiting?.since ?? model.now });
}

/** What was added while it was worked on comes again, also when the queue was shut meanwhile. */
function modelRequeue(model: Model, key: string, priority: number): void {
  model.queue.push({ key, priority, since: model.now });
}

/** The contract, in the slowest way: highest priority, then order; every fourth time the oldest of the heads that have aged behind others. */
function modelTake(model: Model): Waiting {
  const priorities = [...new Set(model.queue.map(each => each.priority))].sort((a, b) => b - a);
  const heads = priorities.map(priority => model.queue.find(each => each.priority === priority)!);
  const behind = heads.slice(1).sort((a, b) => a.since - b.since)[0];
  let next = heads[0]!;
  if (behind) {
    if (model.now - behind.since < 10_000) model.sinceAged = 0;
    else if (++model.sinceAged === 4) {
      model.sinceAged = 0;
      next = behind;
    }
  }
  model.queue = model.queue.filter(each => each !== next);
  return next;
}

/** Without a priority of its own it keeps the one that it is worked on with. */
function modelAddAfter(model: Model, key: string, ms: number, given: number | undefined): void {
  if (model.shut) return;
  const priority = given ?? model.processing.get(key) ?? 0;
  if (ms <= 0) {
    modelAdd(model, key, priority);
    return;
  }
  model.duePriority.set(key, Math.max(priority, model.duePriority.get(key) ?? Number.NEGATIVE_INFINITY));
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

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const priority = fc.constantFrom(0, 0, 0, -100, 7);
const commands: fc.Arbitrary<Command>[] = [
  fc.tuple(key, priority).map(([k, p]) =>
    command(`add(${k}, ${p})`, always, async (model, { queue }) => {
      queue.add(k, { priority: p });
      modelAdd(model, k, p);
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
  fc.tuple(key, fc.integer({ min: -5, max: 50 }), fc.option(priority, { nil: undefined })).map(([k, ms, p]) =>
    command(`addAfter(${k}, ${ms}, ${p})`, always, async (model, { queue }) => {
      queue.addAfter(k, ms, p === undefined ? {} : { priority: p });
      modelAddAfter(model, k, ms, p);
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
  fc.tuple(key, fc.option(priority, { nil: undefined })).map(([k, p]) =>
    command(`addRateLimited(${k}, ${p})`, always, async (model, { queue }) => {
      queue.addRateLimited(k, p === undefined ? {} : { priority: p });
      if (!model.shut) {
        const failures = model.failures.get(k) ?? 0;
        model.failures.set(k, failures + 1);
        modelAddAfter(model, k, 5 * 2 ** failures, p);
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
        const expected = modelTake(model);
        expectSame('get', got, expected.key);
        if (working.has(got!)) throw new Error(`${got} was handed out while it is being worked on`);
        working.add(got!);
        model.processing.set(expected.key, expected.priority);
      },
    ),
  ),
  fc.nat().map(n =>
    command(
      `done(#${n})`,
      model => model.processing.size > 0,
      async (model, { queue, working }) => {
        const k = [...model.processing.keys()][n % model.processing.size]!;
        queue.done(k);
        working.delete(k);
        model.processing.delete(k);
        const again = model.again.get(k);
        model.again.delete(k);
        if (again !== undefined) modelRequeue(model, k, again);
        expectSame('length', queue.length, model.queue.length);
      },
    ),
  ),
  fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 4_000, max: 11_000 })).map(ms =>
    command(`advance(${ms})`, always, async (model, { clock, queue }) => {
      await clock.advance(ms);
      const end = model.now + ms;
      const fired = [...model.due].filter(([, { at }]) => at <= end);
      fired.sort(([, a], [, b]) => a.at - b.at || a.order - b.order);
      for (const [k, { at }] of fired) {
        model.now = at;
        model.due.delete(k);
        const p = model.duePriority.get(k) ?? 0;
        model.duePriority.delete(k);
        modelAdd(model, k, p);
      }
      model.now = end;
      expectSame('length', queue.length, model.queue.length);
    }),
  ),
];
const shutDown = fc.constant(
  command('shutDown()', always, async (model, { queue }) => {
    queue.shutDown();
    model.shut = true;
    model.due.clear();
    model.duePriority.clear();
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
        processing: new Map(),
        again: new Map(),
        sinceAged: 0,
        due: new Map(),
        duePriority: new Map(),
        failures: new Map(),
        order: 0,
        shut: false,
      };
      await fc.asyncModelRun(() => ({ model, real: { clock, queue, working: new Set() } }), list);
      // Whatever happened, it can be shut down, every item comes out once, and no timer is left.
      for (const k of model.processing.keys()) {
        queue.done(k);
        const again = model.again.get(k);
        if (again !== undefined) modelRequeue(model, k, again);
      }
      queue.shutDown();
      const rest: string[] = [];
      for await (const k of queue) rest.push(k);
      const expected: string[] = [];
      while (model.queue.length > 0) expected.push(modelTake(model).key);
      expectSame('what is left', rest, expected);
      expectSame('timers', clock.pending, 0);
    }),
    { numRuns: 2_000 },
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
    { numRuns: 500 },
  );
}, 60_000);
