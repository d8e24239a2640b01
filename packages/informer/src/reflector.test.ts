import { manualClock, StatusError } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { compareVersions, Reflector } from './reflector.js';
import { FakeCollection, type Item, Items, settle } from './testing/fake-collection.js';

const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function start(collection = new FakeCollection(), pageSize = 500) {
  const clock = manualClock();
  const stop = new AbortController();
  stops.push(stop);
  const reflector = new Reflector<Item>({ client: collection.client, kind: Items, clock, pageSize, random: () => 0 });
  const said: string[] = [];
  const done = (async () => {
    for await (const batch of reflector.batches(stop.signal)) {
      for (const event of batch) {
        said.push(
          'object' in event ? `${event.type} ${event.object.metadata.name}=${event.object.spec?.value}` : event.type,
        );
      }
    }
  })();
  return { collection, clock, reflector, said, done, stop };
}

describe('Reflector', () => {
  it('lists at a version in pages, then watches from that version', async () => {
    const collection = new FakeCollection();
    for (const name of ['a', 'b', 'c']) collection.put(name);
    const { said } = start(collection, 2);
    await settle();
    expect(said).toEqual(['init', 'initApply a=0', 'initApply b=0', 'initApply c=0', 'initDone']);
    expect(collection.lists.map(list => list.limit)).toEqual([2, 2]);
    expect(collection.watches[0]).toMatchObject({
      resourceVersion: collection.version,
      allowWatchBookmarks: true,
      timeoutSeconds: 300,
    });
    collection.put('a', 1);
    collection.remove('b');
    await settle();
    expect(said.slice(5)).toEqual(['apply a=1', 'delete b=0']);
  });

  describe('with lists that stream', () => {
    const streaming = (streams: FakeCollection['streams']) => {
      const collection = new FakeCollection();
      collection.streams = streams;
      for (const name of ['a', 'b']) collection.put(name);
      return start(collection, 1);
    };
    const all = ['init', 'initApply a=0', 'initApply b=0', 'initDone'];

    it('gets what there is as the beginning of its watch', async () => {
      const { collection, said, reflector } = streaming('yes');
      await settle();
      expect(said).toEqual(all);
      expect(reflector.resourceVersion).toBe(collection.version);
      expect(reflector.state.phase).toBe('watching');
      collection.put('a', 1);
      await settle();
      expect(said.at(-1)).toBe('apply a=1');
      expect([collection.lists.length, collection.watches.length]).toEqual([0, 1]);
      expect(collection.watches[0]).toMatchObject({ sendInitialEvents: true, allowWatchBookmarks: true });
      expect(collection.watches[0]).not.toHaveProperty('resourceVersion');
    });

    it('resumes without a list, and lists as a stream again when its version expired', async () => {
      const { collection, said, clock } = streaming('yes');
      await settle();
      collection.endStreams();
      await clock.advance(2_000);
      expect(collection.watches[1]).toMatchObject({ resourceVersion: collection.version });
      expect(said).toEqual(all);
      collection.frozen = true;
      collection.remove('a');
      collection.compact();
      collection.endStreams();
      collection.frozen = false;
      await clock.advance(2_000);
      expect(said.slice(4)).toEqual(['init', 'initApply b=0', 'initDone']);
      expect(collection.lists.length).toBe(0);
    });

    it.each(['refuses', 'ignores'] as const)(
      'a server that %s them is asked for pages, at once and from then on',
      async how => {
        const { collection, said, clock } = streaming(how);
        await settle();
        expect(said.slice(-4)).toEqual(all);
        expect([collection.lists.length, collection.watches.length]).toEqual([2, 2]);
        collection.compact();
        collection.frozen = true;
        collection.put('c');
        collection.compact();
        collection.endStreams();
        await clock.advance(2_000);
        expect(collection.lists.length).toBe(5);
        expect(collection.watches.filter(watch => watch.sendInitialEvents).length).toBe(1);
      },
    );

    it('one that stands still is replaced, and after two of them pages are asked for', async () => {
      const { collection, said, clock, reflector } = streaming('stalls');
      await clock.advance(69_000);
      expect(reflector.state.phase).toBe('listing');
      expect(said).toEqual(all.slice(0, 3));
      await clock.advance(2_500);
      expect(collection.watches.length).toBe(2);
      await clock.advance(75_000);
      expect(said.slice(-4)).toEqual(all);
      expect(collection.lists.length).toBe(2);
    });

    it.each([
      ['broken', new Error('reset')],
      ['ended', 'clean' as const],
    ])('one that is %s half-way is begun again, and what was named before counts for nothing', async (_name, how) => {
      const { collection, said, clock } = streaming('stalls');
      await settle();
      collection.streams = 'yes';
      collection.objects.delete('default/a');
      collection.endStreams(how);
      await clock.advance(2_000);
      expect(said.slice(3)).toEqual(['init', 'initApply b=0', 'initDone']);
      expect(collection.lists.length).toBe(0);
    });

    it('what is deleted while the list is on its way is not named in the end', async () => {
      const { collection, said } = streaming('stalls');
      await settle();
      collection.remove('a');
      await settle();
      expect(said.at(-1)).toBe('delete a=0');
    });

    it('a server that is down is waited for, and streams when it is back', async () => {
      const collection = new FakeCollection();
      collection.streams = 'yes';
      collection.watchFaults = Array.from({ length: 4 }, () => new StatusError('ServiceUnavailable', 'down'));
      const { said, clock } = start(collection);
      await clock.advance(60_000);
      expect(said.at(-1)).toBe('initDone');
      expect(collection.lists.length).toBe(0);
    });
  });

  it('asks for metadata alone, and keeps nothing else of what an old server sends', async () => {
    const collection = new FakeCollection();
    collection.put('a', 7);
    const stop = new AbortController();
    stops.push(stop);
    const reflector = new Reflector<Item>({ client: collection.client, kind: Items, metadataOnly: true });
    for await (const [event] of reflector.batches(stop.signal)) {
      if (event?.type !== 'initApply') continue;
      expect(Object.keys(event.object)).toEqual(['apiVersion', 'kind', 'metadata']);
      break;
    }
    expect(collection.lists[0]).toMatchObject({ metadataOnly: true });
  });

  it('misses nothing that happens between the pages or between list and watch', async () => {
    const collection = new FakeCollection();
    for (const name of ['a', 'b', 'c']) collection.put(name);
    collection.beforePage = options => {
      if (options.continue) collection.put('a', 7);
    };
    const { said } = start(collection, 2);
    await settle();
    expect(said.at(-1)).toBe('apply a=7');
  });

  it('ends at once when it is stopped between list and watch', async () => {
    const stop = new AbortController();
    const collection = new FakeCollection();
    const reflector = new Reflector<Item>({ client: collection.client, kind: Items, clock: manualClock() });
    let ended = false;
    const done = (async () => {
      for await (const batch of reflector.batches(stop.signal)) {
        if (batch.some(event => event.type === 'initDone')) stop.abort(new Error('stop'));
      }
      ended = true;
    })();
    await settle();
    expect(ended).toBe(true);
    await done;
  });

  it('lists again without pages when the continue token expires', async () => {
    const collection = new FakeCollection();
    for (const name of ['a', 'b', 'c']) collection.put(name);
    collection.beforePage = options => {
      if (!options.continue) return;
      collection.put('d');
      collection.compact();
    };
    const { said } = start(collection, 2);
    await settle();
    expect(said).toEqual([
      ...['init', 'initApply a=0', 'initApply b=0'],
      ...['init', 'initApply a=0', 'initApply b=0', 'initApply c=0', 'initApply d=0', 'initDone'],
    ]);
  });

  it.each([
    ['a clean end', 'clean' as const],
    ['a broken stream', new Error('socket hang up')],
    ['a 503', new StatusError('ServiceUnavailable', 'not now')],
  ])('after %s it resumes from the last version it saw', async (_name, how) => {
    const { collection, clock, said } = start();
    await settle();
    collection.put('a', 1);
    await settle();
    collection.frozen = true;
    collection.put('a', 2);
    collection.endStreams(how);
    collection.frozen = false;
    await clock.advance(1000);
    expect(said.slice(-2)).toEqual(['apply a=1', 'apply a=2']);
    expect(collection.lists.length).toBe(1);
    expect(collection.watches.length).toBe(2);
  });

  it('bookmarks advance the version, so that a quiet collection does not expire', async () => {
    const { collection, clock, said, reflector } = start();
    await settle();
    collection.frozen = true;
    for (let i = 0; i < 5; i++) collection.put('other', i);
    collection.objects.clear();
    collection.bookmark();
    await settle();
    collection.compact();
    collection.endStreams();
    await clock.advance(1000);
    expect(reflector.resourceVersion).toBe(collection.version);
    expect(said).toEqual(['init', 'initDone']);
    expect(collection.lists.length).toBe(1);
  });

  it('lists again when its version has expired', async () => {
    const collection = new FakeCollection();
    collection.put('gone');
    const { said, clock } = start(collection);
    await settle();
    collection.frozen = true;
    collection.remove('gone');
    collection.put('new');
    collection.compact();
    collection.endStreams();
    collection.frozen = false;
    await clock.advance(2000);
    expect(said).toEqual(['init', 'initApply gone=0', 'initDone', 'init', 'initApply new=0', 'initDone']);
  });

  it('lists again when the versions of the server went backwards', async () => {
    const { collection, said, clock } = start();
    await settle();
    collection.put('a');
    await settle();
    collection.restore(3);
    collection.put('b');
    await clock.advance(1000);
    expect(said.slice(-3)).toEqual(['init', 'initApply b=0', 'initDone']);
  });

  it('waits 800 ms, doubled up to 30 s, between failures', async () => {
    const collection = new FakeCollection();
    collection.listFaults = Array.from({ length: 8 }, () => new StatusError('ServiceUnavailable', 'down'));
    const { clock, reflector } = start(collection);
    await settle();
    const waits: number[] = [];
    while (reflector.state.phase === 'waiting') {
      waits.push(reflector.state.ms);
      await clock.runNext();
      await settle();
    }
    expect(waits).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    expect(reflector.state.phase).toBe('watching');
  });

  it('waits as long as Retry-After asks', async () => {
    const collection = new FakeCollection();
    collection.watchFaults = [new StatusError('TooManyRequests', 'slow down', { details: { retryAfterSeconds: 7 } })];
    const { reflector } = start(collection);
    await settle();
    expect(reflector.state).toMatchObject({ phase: 'waiting', ms: 7000 });
  });

  it('a server that ends every watch at once cannot make it spin', async () => {
    const collection = new FakeCollection();
    collection.watchFaults = Array.from({ length: 100 }, () => 'clean' as const);
    const { clock } = start(collection);
    await clock.advance(60_000);
    expect(collection.watches.length).toBeLessThan(10);
  });

  it('replaces a watch that is open long after its end was due', async () => {
    const { collection, clock } = start();
    await settle();
    collection.frozen = true;
    collection.put('a');
    expect(collection.openStreams).toBe(1);
    await clock.advance(312_000);
    expect(collection.watches.length).toBe(2);
    expect(collection.openStreams).toBe(1);
  });

  it('replaces a watch that has gone silent, once it knows that the server sends bookmarks', async () => {
    const { collection, clock } = start();
    await settle();
    await clock.advance(200_000);
    expect(collection.watches.length).toBe(1);
    collection.bookmark();
    await clock.advance(140_000);
    expect(collection.watches.length).toBe(2);
    collection.bookmark();
    await settle();
    for (let i = 0; i < 3; i++) {
      await clock.advance(60_000);
      collection.bookmark();
    }
    expect(collection.watches.length).toBe(2);
    await clock.advance(149_000);
    expect(collection.watches.length).toBe(3);
    expect(collection.openStreams).toBe(1);
  });

  it('ends when aborted: while listing, watching or waiting, and leaves nothing', async () => {
    const watching = start();
    await settle();
    watching.stop.abort();
    await watching.done;
    expect(watching.clock.pending).toBe(0);
    expect(watching.collection.openStreams).toBe(0);

    const collection = new FakeCollection();
    collection.listFaults = [new Error('down')];
    const waiting = start(collection);
    await settle();
    expect(waiting.reflector.state.phase).toBe('waiting');
    waiting.stop.abort();
    await waiting.done;
    expect(waiting.clock.pending).toBe(0);

    const listing = start();
    listing.stop.abort();
    await listing.done;
    expect(listing.reflector.state.phase).toBe('stopped');
  });
});

it('compares versions as numbers of any length, and nothing that is not a number', () => {
  expect(compareVersions('9', '10')).toBeLessThan(0);
  expect(compareVersions('18446744073709551616', '18446744073709551615')).toBeGreaterThan(0);
  expect(compareVersions('7', '7')).toBe(0);
  expect(compareVersions('abc', 'abd')).toBeGreaterThan(0);
  expect(compareVersions('1', undefined)).toBeGreaterThan(0);
});
