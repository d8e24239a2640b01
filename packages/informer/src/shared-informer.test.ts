import { manualClock } from '@orbitkit/core';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { InformerEvent } from './event.js';
import { informerFactory } from './informer-factory.js';
import { metadataInformer, type SharedInformer, sharedInformer } from './shared-informer.js';
import { FakeCollection, type Item, Items, settle } from './testing/fake-collection.js';

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function setup(collection = new FakeCollection(), pageSize = 500) {
  const clock = manualClock();
  const stop = new AbortController();
  stops.push(stop);
  const errors: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: string, f?: any) => errors.push(f.error),
    with: () => log,
  };
  const informer = sharedInformer<Item>({ client: collection.client, kind: Items, clock, log, pageSize, freeze: true });
  const run = () => informer.run({ signal: stop.signal });
  return { collection, clock, stop, errors, informer, run };
}

function record(informer: SharedInformer<Item>) {
  const said: string[] = [];
  const registration = informer.addHandler({
    onAdd: (object, initial) =>
      said.push(`${initial ? 'initial ' : ''}add ${object.metadata.name}=${object.spec?.value}`),
    onUpdate: (before, after) => said.push(`update ${after.metadata.name} ${before.spec?.value}->${after.spec?.value}`),
    onDelete: (object, unknown) =>
      said.push(`delete ${object.metadata.name}=${object.spec?.value}${unknown ? '?' : ''}`),
  });
  return { said, registration };
}

describe('SharedInformer', () => {
  it('fills the cache, tells handlers, and says when it is synced', async () => {
    const { collection, informer, run } = setup();
    collection.put('a', 1);
    const { said, registration } = record(informer);
    expect(informer.synced).toBe(false);
    void run();
    await informer.waitForSync();
    expect(informer.store.get('default/a')?.spec?.value).toBe(1);
    expect(informer.store.get('default/a')?.metadata.managedFields).toBeUndefined();
    expect(registration.synced).toBe(true);
    collection.put('a', 2);
    collection.put('b', 1);
    collection.remove('a');
    await settle();
    expect(said).toEqual(['initial add a=1', 'update a 1->2', 'add b=1', 'delete a=2']);
    expect(informer.resourceVersion).toBe(collection.version);
  });

  it('a late handler hears of everything there is, first', async () => {
    const { collection, informer, run } = setup();
    collection.put('a', 1);
    void run();
    await informer.waitForSync();
    const { said, registration } = record(informer);
    expect(said).toEqual(['initial add a=1']);
    registration.remove();
    registration.remove();
    collection.put('a', 2);
    await settle();
    expect(said.length).toBe(1);
  });

  it('after a relist: what vanished is deleted, what changed is updated, what did not is not announced', async () => {
    const { collection, clock, informer, run } = setup();
    for (const name of ['same', 'changed', 'gone', 'reborn']) collection.put(name, 1);
    const { said } = record(informer);
    void run();
    await informer.waitForSync();
    said.length = 0;
    collection.frozen = true;
    collection.put('changed', 2);
    collection.remove('gone');
    collection.remove('reborn');
    collection.put('reborn', 5);
    collection.put('new', 1);
    collection.compact();
    collection.endStreams();
    collection.frozen = false;
    await clock.advance(5000);
    expect(said.sort()).toEqual([
      'add new=1',
      'add reborn=5',
      'delete gone=1?',
      'delete reborn=1?',
      'update changed 1->2',
    ]);
  });

  it('a relist parses only what the cache does not have in that version', async () => {
    const collection = new FakeCollection();
    for (let i = 0; i < 20; i++) collection.put(`item-${i}`, i);
    const { informer, run, clock } = setup(collection);
    void run();
    await informer.waitForSync();
    const before = informer.store.get('default/item-3');
    collection.frozen = true;
    collection.put('item-7', 70);
    collection.compact();
    collection.endStreams();
    collection.frozen = false;
    const parse = vi.spyOn(JSON, 'parse');
    await clock.advance(5_000);
    const parsed = parse.mock.calls.filter(([text]) => String(text).includes('item-')).length;
    parse.mockRestore();
    expect(collection.lists.length).toBe(2);
    expect(informer.store.get('default/item-7')?.spec?.value).toBe(70);
    expect(informer.store.get('default/item-3')).toBe(before);
    expect(parsed).toBe(1);
  });

  it('a lazy cache transforms and freezes what is read of it, and says so of what fails', async () => {
    const collection = new FakeCollection();
    collection.put('a', 1);
    const errors: unknown[] = [];
    const log = { debug() {}, info() {}, warn() {}, error: (text: string) => errors.push(text), with: () => log };
    const options = { client: collection.client, kind: Items, clock: manualClock(), log, freeze: true, lazy: true };
    const transform = (item: Item): Item => {
      if (item.spec?.value === 2) throw new Error('a bug');
      return { ...item, metadata: { ...item.metadata, labels: { seen: 'yes' } }, spec: { value: 7 } };
    };
    const informer = sharedInformer<Item>({ ...options, transform });
    const stop = new AbortController();
    stops.push(stop);
    void informer.run({ signal: stop.signal });
    await informer.waitForSync();
    const object = informer.store.get('default/a')!;
    expect(object.metadata.labels).toEqual({ seen: 'yes' });
    expect(object.spec).toEqual({ value: 7 });
    expect(Object.isFrozen(object.spec)).toBe(true);
    expect(errors).toEqual([]);
    collection.put('a', 2);
    await settle();
    expect(informer.store.get('default/a')?.spec).toEqual({ value: 2 });
    expect(errors).toEqual(['the transform of a cache threw; the object is cached as it came']);
  });

  it.each([false, true])('an informer of metadata has nothing else (lazy: %s)', async lazy => {
    const collection = new FakeCollection();
    collection.put('a', 1);
    const informer = metadataInformer({ client: collection.client, kind: Items, clock: manualClock(), lazy });
    const stop = new AbortController();
    stops.push(stop);
    void informer.run({ signal: stop.signal });
    await informer.waitForSync();
    collection.put('b', 1);
    await settle();
    for (const key of ['default/a', 'default/b']) {
      const object = informer.store.get(key)!;
      expect(Object.keys(object).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
      expect([object.kind, object.apiVersion]).toEqual(['Item', 'example.com/v1']);
    }
    expect(collection.lists[0]?.metadataOnly && collection.watches[0]?.metadataOnly).toBe(true);
  });

  it('what a list that failed half-way did not name is not deleted', async () => {
    const { collection, clock, informer, run } = setup(new FakeCollection(), 1);
    for (const name of ['a', 'b']) collection.put(name, 1);
    const { said } = record(informer);
    void run();
    await informer.waitForSync();
    collection.compact();
    collection.frozen = true;
    collection.put('c');
    collection.compact();
    collection.listFaults = [undefined, new Error('reset')];
    collection.endStreams();
    await clock.advance(10_000);
    expect(said).toEqual(['initial add a=1', 'initial add b=1', 'add c=0']);
  });

  it('a handler that throws or rejects does not keep others from hearing', async () => {
    const { collection, informer, run, errors } = setup();
    informer.addHandler({
      onAdd: () => {
        throw new Error('sync bug');
      },
      onUpdate: async () => {
        throw new Error('async bug');
      },
    });
    const { said } = record(informer);
    void run();
    await informer.waitForSync();
    collection.put('a', 1);
    collection.put('a', 2);
    await settle();
    collection.put('b', 1);
    await settle();
    expect(said).toEqual(['add a=1', 'update a 1->2', 'add b=1']);
    expect(errors.map(text => text.split('\n')[0])).toEqual(['Error: sync bug', 'Error: async bug', 'Error: sync bug']);
  });

  it('a handler that never settles blocks nobody, and what it misses is merged', async () => {
    const { collection, informer, run } = setup();
    let calls = 0;
    const slow: string[] = [];
    let release = () => {};
    informer.addHandler({
      onAdd: object => {
        slow.push(`add ${object.metadata.name}=${object.spec?.value}`);
        if (++calls === 1) return new Promise<void>(resolve => (release = resolve));
        return undefined;
      },
      onUpdate: (before, after) =>
        slow.push(`update ${after.metadata.name} ${before.spec?.value}->${after.spec?.value}`),
      onDelete: object => slow.push(`delete ${object.metadata.name}`),
    });
    const { said } = record(informer);
    void run();
    await informer.waitForSync();
    for (let i = 1; i <= 5; i++) collection.put('a', i);
    collection.put('seldom', 1);
    collection.put('brief', 1);
    collection.remove('brief');
    await settle();
    expect(said.length).toBe(8);
    expect(slow).toEqual(['add a=1']);
    release();
    await settle();
    expect(slow).toEqual(['add a=1', 'update a 1->5', 'add seldom=1']);
  });

  it('asynchronous work on one object never overlaps and keeps its order', async () => {
    const { collection, informer, run, clock } = setup();
    const trace: string[] = [];
    let active = 0;
    const work = (what: string, ms: number) => async () => {
      if (++active > 1) throw new Error('overlap');
      await clock.sleep(ms);
      trace.push(what);
      active--;
    };
    informer.addHandler({
      onAdd: object => work(`add ${object.spec?.value}`, 30)(),
      onUpdate: (_, after) => work(`update ${after.spec?.value}`, 1)(),
      onDelete: () => work('delete', 1)(),
    });
    void run();
    await informer.waitForSync();
    collection.put('a', 1);
    await settle();
    collection.put('a', 2);
    await settle();
    collection.remove('a');
    await clock.advance(100);
    expect(trace).toEqual(['add 1', 'delete']);
    expect(active).toBe(0);
  });

  it('cached objects are frozen when asked for', async () => {
    const { collection, informer, run } = setup();
    collection.put('a', 1);
    void run();
    await informer.waitForSync();
    expect(() => {
      (informer.store.get('default/a') as Item).spec!.value = 2;
    }).toThrow(TypeError);
  });

  it('waitForSync is bounded, cancellable, and ends when the informer stops', async () => {
    const { collection, clock, informer, run, stop } = setup();
    collection.listFaults = Array.from({ length: 50 }, () => new Error('connection refused'));
    const cancelled = new AbortController();
    const aborted = informer.waitForSync({ signal: cancelled.signal });
    cancelled.abort(new Error('no longer wanted'));
    await expect(aborted).rejects.toThrow('no longer wanted');
    const early = informer.waitForSync({ timeoutMs: 10 });
    const rejected = expect(early).rejects.toThrow(/items was not filled within 0.01 s: it was not started/);
    await clock.advance(10);
    await rejected;
    const running = run();
    const bounded = informer.waitForSync({ timeoutMs: 5000 });
    const timedOut = expect(bounded).rejects.toMatchObject({
      reason: 'Timeout',
      message: expect.stringMatching(/the last attempt failed: connection refused/),
    });
    await clock.advance(5000);
    await timedOut;
    const stopped = expect(informer.waitForSync()).rejects.toThrow(/stopped before its cache was filled/);
    stop.abort();
    await running;
    await stopped;
    await expect(informer.waitForSync()).rejects.toThrow(/stopped/);
    expect(clock.pending).toBe(0);
    await expect(run()).rejects.toThrow(/started before/);
  });

  it('as a stream: init, what there is, initDone, then changes; ends with its signal', async () => {
    const { collection, informer, run } = setup();
    for (const name of ['a', 'b']) collection.put(name, 1);
    const stop = new AbortController();
    const seen: InformerEvent<Item>[] = [];
    const read = (async () => {
      for await (const event of informer.events({ signal: stop.signal })) seen.push(event);
    })();
    void run();
    await informer.waitForSync();
    await settle();
    collection.put('a', 2);
    await settle();
    collection.remove('b');
    await settle();
    stop.abort();
    await read;
    expect(seen.map(event => event.type)).toEqual(['init', 'initApply', 'initApply', 'initDone', 'apply', 'delete']);
    expect(seen[4]).toMatchObject({ previous: { spec: { value: 1 } }, object: { spec: { value: 2 } } });
    expect(seen[5]).toMatchObject({ finalStateUnknown: false });
  });

  it('the stream ends when the informer stops, also while its reader waits', async () => {
    const { informer, run, stop } = setup();
    const running = run();
    const types: string[] = [];
    const read = (async () => {
      for await (const event of informer.events()) types.push(event.type);
    })();
    await informer.waitForSync();
    await settle();
    stop.abort();
    await running;
    await read;
    expect(types).toEqual(['init', 'initDone']);
  });

  it('whatever happens to the connection, cache and handlers end up with what the server has', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), name, value: fc.nat(9) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
      fc.record({
        do: fc.constantFrom('end', 'break', 'compact', 'bookmark', 'lose', 'fail') as fc.Arbitrary<
          'end' | 'break' | 'compact' | 'bookmark' | 'lose' | 'fail'
        >,
      }),
      { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3000) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), async (steps, pageSize) => {
        const { collection, clock, informer, run, stop, errors } = setup(new FakeCollection(), pageSize);
        const mirror = new Map<string, string>();
        informer.addHandler({
          onAdd: object => {
            if (mirror.has(object.metadata.name)) throw new Error(`second add of ${object.metadata.name}`);
            mirror.set(object.metadata.name, object.metadata.resourceVersion);
          },
          onUpdate: (before, after) => {
            if (mirror.get(before.metadata.name) !== before.metadata.resourceVersion)
              throw new Error('wrong old object');
            mirror.set(after.metadata.name, after.metadata.resourceVersion);
          },
          onDelete: object => {
            if (!mirror.delete(object.metadata.name)) throw new Error(`delete of unknown ${object.metadata.name}`);
          },
        });
        const running = run();
        for (const each of steps) {
          if (each.do === 'put') collection.put(each.name, each.value);
          else if (each.do === 'remove') collection.remove(each.name);
          else if (each.do === 'end') collection.endStreams();
          else if (each.do === 'break') collection.endStreams(new Error('reset'));
          else if (each.do === 'compact') collection.compact();
          else if (each.do === 'bookmark') collection.bookmark();
          else if (each.do === 'lose') {
            collection.frozen = true;
            collection.put('lost', 1);
            collection.endStreams();
            collection.frozen = false;
          } else if (each.do === 'fail') collection.listFaults.push(new Error('refused'));
          else if (each.do === 'wait') await clock.advance(each.ms);
        }
        await clock.advance(200_000);
        const expected = new Map(
          [...collection.objects.values()].map(o => [o.metadata.name, o.metadata.resourceVersion]),
        );
        expect(new Map([...mirror].sort())).toEqual(new Map([...expected].sort()));
        expect(informer.store.size).toBe(expected.size);
        expect(errors).toEqual([]);
        stop.abort();
        await running;
        expect(clock.pending).toBe(0);
        expect(collection.openStreams).toBe(0);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe('informerFactory', () => {
  it('makes one informer per kind and scope, and starts late ones', async () => {
    const collection = new FakeCollection();
    collection.put('a', 1);
    const factory = informerFactory({ client: collection.client, clock: manualClock() });
    const stop = new AbortController();
    const all = factory.informer(Items);
    expect(factory.informer(Items, { indexers: { value: object => [String(object.spec?.value)] } })).toBe(all);
    expect(factory.informer(Items, { namespace: 'x' })).not.toBe(all);
    const running = factory.run({ signal: stop.signal });
    await factory.waitForSync();
    expect(all.store.byIndex('value', '1').length).toBe(1);
    const late = factory.informer(Items, { labelSelector: 'app=web' });
    await late.waitForSync();
    expect(collection.lists.at(-1)?.labelSelector).toBe('app=web');
    expect(collection.openStreams).toBe(3);
    stop.abort();
    await running;
    expect(collection.openStreams).toBe(0);
    await expect(factory.run({ signal: stop.signal })).rejects.toThrow(/make another/);
  });
});
