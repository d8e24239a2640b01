/**
 * The informer against a model of its contract, under every order of changes, faults and handlers that fast-check thinks of. The model is the server's
 * own state: after the connection has been well for a while, cache, indexes and every handler must amount to it; at any time, what a handler is told must
 * fit what it was told before.
 */
import { type ManualClock, manualClock } from '@orbitkit/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SharedInformer, sharedInformer } from './shared-informer.js';
import { FakeCollection, type Item, Items, settle } from './testing/fake-collection.js';

interface World {
  collection: FakeCollection;
  clock: ManualClock;
  informer: SharedInformer<Item>;
  listeners: Listener[];
}

/** Keeps what it is told, and complains of what does not follow. */
class Listener {
  readonly view = new Map<string, { uid: string; version: number }>();
  readonly complaints: string[] = [];
  #active = false;
  readonly remove: () => void;

  constructor(informer: SharedInformer<Item>, clock: ManualClock, pauseMs: number) {
    const told = (tell: () => void): unknown => {
      if (this.#active) this.complaints.push('two calls at one time');
      tell();
      if (pauseMs === 0) return undefined;
      this.#active = true;
      return clock.sleep(pauseMs).then(() => {
        this.#active = false;
      });
    };
    const stateOf = (object: { metadata: { uid: string; resourceVersion: string } }) => ({
      uid: object.metadata.uid,
      version: Number(object.metadata.resourceVersion),
    });
    const registration = informer.addHandler({
      onAdd: object =>
        told(() => {
          if (this.view.has(object.metadata.name)) this.complaints.push(`second add of ${object.metadata.name}`);
          this.view.set(object.metadata.name, stateOf(object));
        }),
      onUpdate: (before, after) =>
        told(() => {
          const known = this.view.get(after.metadata.name);
          if (known?.version !== stateOf(before).version)
            this.complaints.push('the old object is not the one last told of');
          if (before.metadata.uid !== after.metadata.uid) this.complaints.push('an update from one object to another');
          if (before.metadata.resourceVersion === after.metadata.resourceVersion)
            this.complaints.push('an update of nothing');
          this.view.set(after.metadata.name, stateOf(after));
        }),
      onDelete: object =>
        told(() => {
          const known = this.view.get(object.metadata.name);
          if (known?.uid !== object.metadata.uid)
            this.complaints.push(`delete of what was not told of: ${object.metadata.name}`);
          this.view.delete(object.metadata.name);
        }),
    });
    this.remove = () => registration.remove();
  }
}

const name = fc.constantFrom('a', 'b', 'c', 'd');
type Step = { toString(): string; run(world: World): unknown };
const step = (text: string, run: Step['run']): Step => ({ toString: () => text, run });
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(name, fc.nat(9)).map(([n, v]) => step(`put ${n}=${v}`, w => w.collection.put(n, v))),
  },
  { weight: 3, arbitrary: name.map(n => step(`remove ${n}`, w => w.collection.remove(n))) },
  {
    weight: 2,
    arbitrary: fc.tuple(name, fc.boolean()).map(([n, gone]) =>
      step(`unheard: ${gone ? 'remove' : 'put'} ${n}`, ({ collection }) => {
        collection.frozen = true;
        if (gone) collection.remove(n);
        else collection.put(n, 99);
        collection.endStreams();
        collection.frozen = false;
      }),
    ),
  },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 5_000 }).map(ms => step(`wait ${ms}`, w => w.clock.advance(ms))) },
  fc.constant(step('settle', settle)),
  fc.constant(step('end', w => w.collection.endStreams())),
  fc.constant(step('break', w => w.collection.endStreams(new Error('reset')))),
  fc.constant(step('compact', w => w.collection.compact())),
  fc.constant(step('bookmark', w => w.collection.bookmark())),
  fc.constant(step('list fails', w => w.collection.listFaults.push(new Error('refused')))),
  fc.constant(step('watch fails', w => w.collection.watchFaults.push(new Error('refused')))),
  fc.constant(step('watch ends at once', w => w.collection.watchFaults.push('clean'))),
  fc.constantFrom('yes', 'refuses', 'ignores', 'stalls', undefined).map(how =>
    step(`streams: ${how}`, w => {
      w.collection.streams = how;
    }),
  ),
  fc
    .constantFrom(0, 0, 700)
    .map(ms => step(`handler of ${ms} ms`, w => w.listeners.push(new Listener(w.informer, w.clock, ms)))),
  fc.constant(step('handler leaves', w => w.listeners.pop()?.remove())),
);

interface Manner {
  lazy: boolean;
  streams: FakeCollection['streams'];
  pageSize: number;
}
const manner: fc.Arbitrary<Manner> = fc.record({
  lazy: fc.boolean(),
  streams: fc.constantFrom('yes', 'refuses', 'ignores', 'stalls', undefined),
  pageSize: fc.integer({ min: 1, max: 3 }),
});

async function live({ lazy, streams, pageSize }: Manner, history: readonly Step[]): Promise<void> {
  const collection = new FakeCollection();
  collection.streams = streams;
  const clock = manualClock();
  const stop = new AbortController();
  const indexers = { value: (object: { spec?: { value?: number } }) => [String(object.spec?.value)] };
  const informer = sharedInformer<Item>({
    client: collection.client,
    kind: Items,
    clock,
    lazy,
    pageSize,
    indexers,
    freeze: !lazy,
  });
  const world: World = { collection, clock, informer, listeners: [] };
  world.listeners.push(new Listener(informer, clock, 0));
  const running = informer.run({ signal: stop.signal });
  for (const each of history) await each.run(world);
  // From now on all is well; slow faults need their time (a list that stands still is given up twice, 70 s each).
  collection.listFaults = [];
  collection.watchFaults = [];
  if (collection.streams === 'stalls') collection.streams = 'refuses';
  collection.endStreams();
  await clock.advance(400_000);
  // On a busy machine the pump of handlers gives the event loop a turn in between, by the real clock.
  for (let turn = 0; turn < 20; turn++) await settle();
  const has = [...collection.objects.values()];
  const expected = new Map(
    has.map(({ metadata }) => [metadata.name, { uid: metadata.uid, version: Number(metadata.resourceVersion) }]),
  );
  const sorted = (map: Map<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const { view, complaints } of world.listeners) {
    expect(complaints).toEqual([]);
    expect(sorted(view)).toEqual(sorted(expected));
  }
  expect(informer.store.keys().sort()).toEqual(has.map(({ metadata }) => `default/${metadata.name}`).sort());
  for (const { metadata, spec } of has) {
    expect(informer.store.get(`default/${metadata.name}`)).toMatchObject({ metadata: { uid: metadata.uid }, spec });
  }
  for (const value of informer.store.indexValues('value')) {
    expect(informer.store.byIndex('value', value).length).toBe(
      has.filter(({ spec }) => String(spec?.value) === value).length,
    );
  }
  stop.abort();
  await running;
  expect(clock.pending - world.listeners.length).toBeLessThanOrEqual(0);
  expect(collection.openStreams).toBe(0);
}

describe('SharedInformer, whatever happens', () => {
  it('ends up with what the server has, and tells nothing that does not follow from what it told', async () => {
    await fc.assert(fc.asyncProperty(manner, fc.array(steps, { maxLength: 50 }), live), { numRuns: 3_000 });
  }, 120_000);
});
