import { getEventListeners } from 'node:events';
import { manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { StoreBatch, StoreEvent } from '../contract.js';
import { WatchHub } from './watch-hub.js';

const event = (key: string, revision: bigint, bytes = 1): StoreEvent => ({
  type: 'put',
  key,
  value: Buffer.alloc(bytes),
  revision,
  createRevision: revision,
  previous: undefined,
});
const source = { revision: 1n, eventsAfter: () => [] };

function laboratory(queueBytes = 10_000) {
  const clock = manualClock();
  const hub = new WatchHub({ clock, queueBytes, progressMs: 1_000 });
  const stop = new AbortController();
  const watch = async (prefix: string) => {
    const iterator = hub.watch(prefix, 1n, stop.signal, source)[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual({ events: [], revision: 1n });
    return iterator;
  };
  return { clock, hub, stop, watch };
}
const now = async (promise: Promise<IteratorResult<StoreBatch>>): Promise<StoreBatch | 'waiting'> => {
  const waiting = new Promise<'waiting'>(resolve => setImmediate(resolve, 'waiting'));
  const result = await Promise.race([promise, waiting]);
  return result === 'waiting' ? result : result.value;
};

describe('the watch hub', () => {
  it('tells an idle watcher how far the store is, at most once in a while', async () => {
    const { clock, hub, stop, watch } = laboratory();
    const idle = await watch('idle/');
    const next = idle.next();
    for (let revision = 2n; revision < 100n; revision++) hub.publish([event('busy/a', revision)], revision);
    expect(await now(next)).toBe('waiting');
    await clock.advance(1_000);
    expect(await now(next)).toEqual({ events: [], revision: 99n });
    const after = idle.next();
    await clock.advance(10_000);
    expect(await now(after)).toBe('waiting');
    expect(clock.pending).toBe(0);
    stop.abort();
  });

  it('gathers what a reader has not taken into one batch', async () => {
    const { hub, stop, watch } = laboratory();
    const slow = await watch('p/');
    for (let revision = 2n; revision < 5n; revision++)
      hub.publish([event('p/a', revision), event('q', revision)], revision);
    const batch = await now(slow.next());
    expect(batch).toMatchObject({ revision: 4n });
    expect((batch as StoreBatch).events.map(each => each.revision)).toEqual([2n, 3n, 4n]);
    stop.abort();
  });

  it('gives all watchers of a prefix the same batch object', async () => {
    const { hub, stop, watch } = laboratory();
    const watchers = await Promise.all(Array.from({ length: 5 }, () => watch('p/')));
    const batches = watchers.map(watcher => watcher.next());
    hub.publish([event('p/a', 2n)], 2n);
    const values = (await Promise.all(batches)).map(({ value }) => value);
    for (const value of values) expect(value).toBe(values[0]);
    stop.abort();
  });

  it('finds prefixes of every length, the empty one and the whole key included', async () => {
    const { hub, stop, watch } = laboratory();
    const prefixes = ['', 'p', 'p/', 'p/a', 'p/ab', 'p/abc', 'q', 'p/b'];
    const watchers = await Promise.all(prefixes.map(watch));
    const next = watchers.map(watcher => watcher.next());
    hub.publish([event('p/ab', 2n)], 2n);
    const answers = await Promise.all(next.map(each => now(each)));
    expect(prefixes.filter((_, i) => answers[i] !== 'waiting')).toEqual(['', 'p', 'p/', 'p/a', 'p/ab']);
    stop.abort();
  });

  it('forgets watchers that ended, and leaves no timer when it is closed', async () => {
    const { clock, hub, stop, watch } = laboratory();
    const left = await watch('p/');
    await watch('p/');
    await watch('q/');
    expect(hub.size).toBe(3);
    await left.return?.();
    expect(hub.size).toBe(2);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(2);
    stop.abort();
    expect(hub.size).toBe(0);
    const again = laboratory();
    await again.watch('p/');
    again.hub.publish([event('p/a', 2n)], 2n);
    const { StoreUnavailableError } = await import('../contract.js');
    again.hub.close(new StoreUnavailableError('closed'));
    expect([again.hub.size, again.clock.pending, clock.pending]).toEqual([0, 0, 0]);
  });

  it('counts only what waits: a reader that keeps up is never cut off', async () => {
    const { hub, stop, watch } = laboratory(1_000);
    const quick = await watch('p/');
    for (let revision = 2n; revision < 50n; revision++) {
      hub.publish([event('p/a', revision, 500)], revision);
      expect((await quick.next()).value?.revision).toBe(revision);
    }
    stop.abort();
  });
});
