/** Clauses on `watch`: order, completeness, bounds, ends. */
import assert from 'node:assert/strict';
import { isCompacted, isWatchOverflow, type StoreEvent } from '../contract.js';
import { bytes, type Clause, put, rejection, remove, text, watchUntil } from './subject.js';

const brief = ({ type, key, value, revision }: StoreEvent): string => `${type} ${key}=${text(value)} @${revision}`;
const signal = () => new AbortController().signal;

export function watchClauses(clause: Clause, options: { watchQueueBytes: number | undefined }): void {
  clause('a watch delivers what is written after its start, in order, with what was before', async ({ store }) => {
    await put(store, 'p/a', '0');
    const { events } = await watchAfter(async () => {
      await put(store, 'p/a', '1');
      await put(store, 'p/b', '1');
      await remove(store, 'p/a');
      await put(store, 'p/a', '2');
    });
    assert.deepEqual(events.map(brief), ['put p/a=1 @3', 'put p/b=1 @4', 'delete p/a=1 @5', 'put p/a=2 @6']);
    assert.deepEqual(
      events.map(({ createRevision }) => createRevision),
      [2n, 4n, 2n, 6n],
    );
    assert.deepEqual(
      events.map(({ previous }) => previous && `${text(previous.value)} @${previous.modRevision}`),
      ['0 @2', undefined, '1 @3', undefined],
    );

    async function watchAfter(writes: () => Promise<void>) {
      const watched = watchUntil(store, 'p/', 2n, events => events.length === 4);
      await writes();
      return watched;
    }
  });

  clause('a watch from the past begins with what was written since', async ({ store }) => {
    const revisions: bigint[] = [];
    for (let i = 0; i < 10; i++) revisions.push(await put(store, `p/${i}`, String(i)));
    const from = revisions[3]!;
    const { events } = await watchUntil(store, 'p/', from, events => events.length >= 6);
    assert.deepEqual(
      events.map(({ revision }) => revision),
      revisions.slice(4),
    );
    const all = await watchUntil(store, '', 0n, events => events.length >= 10);
    assert.deepEqual(
      all.events.map(({ revision }) => revision),
      revisions,
    );
  });

  clause('a watch sees its prefix and nothing else; failed and empty writes are no events', async ({ store }) => {
    const watched = watchUntil(store, 'p/a', 1n, events => events.some(({ key }) => key === 'p/a/end'));
    await put(store, 'p/b', '1');
    await put(store, 'p/ab', '1');
    await put(store, 'p/', '1');
    await store.txn([{ key: 'p/a', modRevision: 77n }], { type: 'put', key: 'p/a', value: bytes('x') });
    await store.txn([], { type: 'delete', key: 'p/a' });
    await put(store, 'q', '1');
    await put(store, 'p/a', '1');
    await put(store, 'p/a/end', '1');
    assert.deepEqual(
      (await watched).events.map(({ key }) => key),
      ['p/ab', 'p/a', 'p/a/end'],
    );
  });

  clause('watches that start while others write miss nothing and repeat nothing', async ({ store }) => {
    const writers = 8;
    const each = 40;
    const last = BigInt(writers * each + 1);
    const writing = Array.from({ length: writers }, async (_, w) => {
      for (let i = 0; i < each; i++) await put(store, `p/${w}/${i % 7}`, String(i));
    });
    const watches = Array.from({ length: 12 }, async (_, i) => {
      for (let turn = 0; turn < i * 3; turn++) await new Promise(resolve => setImmediate(resolve));
      const { revision } = await store.list('p/');
      const { events } = await watchUntil(
        store,
        'p/',
        revision,
        events => events[events.length - 1]?.revision === last || revision === last,
      );
      assert.deepEqual(
        events.map(event => event.revision),
        Array.from({ length: Number(last - revision) }, (_, n) => revision + 1n + BigInt(n)),
      );
    });
    await Promise.all([...writing, ...watches]);
  });

  clause('the revision of a batch says that all before it was delivered', async ({ store }) => {
    const watched = watchUntil(store, 'p/', 1n, events => events.length === 60);
    await Promise.all(Array.from({ length: 60 }, (_, i) => put(store, `p/${i}`, 'x')));
    const { batches } = await watched;
    let reached = 1n;
    for (const { events, revision } of batches) {
      for (const event of events) assert.ok(event.revision > reached && event.revision <= revision);
      assert.ok(revision >= reached);
      reached = revision;
    }
    assert.ok(reached >= 61n);
  });

  clause('what a watch delivers can be read', async ({ store }) => {
    const stop = new AbortController();
    const watching = (async () => {
      let count = 0;
      for await (const { events } of store.watch('p/', 1n, { signal: stop.signal })) {
        for (const event of events) {
          const { entry, revision } = await store.get(event.key);
          assert.ok(revision >= event.revision && (entry?.modRevision ?? 0n) >= event.revision);
        }
        count += events.length;
        if (count === 40) return;
      }
      assert.fail('the watch ended');
    })();
    await Promise.all(Array.from({ length: 40 }, (_, i) => put(store, `p/${i % 5}`, String(i))));
    await watching;
    stop.abort();
  });

  clause('many watches of different prefixes each get their own event', async ({ store }) => {
    const watches = Array.from({ length: 200 }, (_, i) =>
      watchUntil(store, `p/${i}/`, 1n, events => events.length > 0),
    );
    for (let i = 0; i < 200; i++) await put(store, `p/${i}/x`, String(i));
    const seen = await Promise.all(watches);
    assert.deepEqual(
      seen.map(({ events }) => events.map(({ key }) => key)),
      Array.from({ length: 200 }, (_, i) => [`p/${i}/x`]),
    );
  });

  clause('abort ends a watch, also one that waits, also one that was aborted before', async ({ store }) => {
    const stop = new AbortController();
    const iterator = store.watch('p/', 1n, { signal: stop.signal })[Symbol.asyncIterator]();
    let next = iterator.next();
    // A first batch without events may tell the progress.
    if (await Promise.race([next.then(() => true), new Promise(resolve => setTimeout(resolve, 50, false))]))
      next = iterator.next();
    stop.abort();
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.equal((await iterator.next()).done, true);
    for await (const _ of store.watch('p/', 1n, { signal: AbortSignal.abort() }))
      assert.fail('an aborted watch delivered a batch');
  });

  clause('leaving the loop ends a watch', async ({ store }) => {
    await put(store, 'p/a', '1');
    const iterable = store.watch('p/', 1n, { signal: signal() });
    const iterator = iterable[Symbol.asyncIterator]();
    let seen = 0;
    while (seen === 0) seen = (await iterator.next()).value?.events.length ?? assert.fail('the watch ended');
    assert.equal(seen, 1);
    assert.equal((await iterator.return?.())?.done, true);
    assert.equal((await iterator.next()).done, true);
  });

  clause(
    'a watch from before the compaction is refused, one from the compacted revision is complete',
    async ({ store }) => {
      for (let i = 0; i < 10; i++) await put(store, 'p/a', String(i));
      await store.compact(6n);
      const error = await rejection(watchUntil(store, 'p/', 5n, () => true));
      assert.ok(isCompacted(error));
      const { events } = await watchUntil(store, 'p/', 6n, events => events.length === 5);
      assert.deepEqual(
        events.map(({ revision }) => revision),
        [7n, 8n, 9n, 10n, 11n],
      );
    },
  );

  clause('a watch that goes on is not disturbed by compaction', async ({ store }) => {
    const watched = watchUntil(store, 'p/', 1n, events => events.length === 10);
    for (let i = 0; i < 10; i++) {
      const revision = await put(store, 'p/a', String(i));
      await store.compact(revision);
    }
    assert.equal((await watched).events.length, 10);
  });

  const { watchQueueBytes } = options;
  if (watchQueueBytes === undefined) return;
  clause('a reader that falls behind is cut off and told so; writers and other watches go on', async ({ store }) => {
    const slow = store.watch('p/', 1n, { signal: signal() })[Symbol.asyncIterator]();
    await put(store, 'p/first', 'x');
    assert.equal((await slow.next()).done, false);
    const value = Buffer.alloc(Math.ceil(watchQueueBytes / 16));
    const quick = watchUntil(store, 'p/', 2n, events => events.length === 32);
    for (let i = 0; i < 32; i++) await put(store, 'p/a', value);
    assert.equal((await quick).events.length, 32);
    const error = await rejection(
      (async () => {
        while (!(await slow.next()).done);
      })(),
    );
    assert.ok(isWatchOverflow(error));
    assert.equal((await slow.next()).done, true);
  });
}
