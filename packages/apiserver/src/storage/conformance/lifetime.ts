/** Clauses on closing, and on what a durable store still knows when it is opened again. */
import assert from 'node:assert/strict';
import { isCompacted, isStoreUnavailable } from '../contract.js';
import { type Clause, put, rejection, remove, text, watchUntil } from './subject.js';

export function lifetimeClauses(clause: Clause, options: { durable: boolean; ownWrites: boolean }): void {
  clause('writes under way settle before a store is closed; twice is harmless', async ({ store }) => {
    const writes = Array.from({ length: 20 }, (_, i) => put(store, `p/${i}`, 'x'));
    await Promise.resolve();
    const closing = [store.close(), store.close()];
    assert.equal(new Set(await Promise.all(writes)).size, 20);
    await Promise.all(closing);
    await store.close();
  });

  clause('a closed store says so to everyone', async ({ store }) => {
    const lease = await store.grantLease(60_000);
    const watching = rejection(watchUntil(store, 'p/', 1n, () => false));
    await put(store, 'p/a', '1');
    await store.close();
    assert.ok(isStoreUnavailable(await watching));
    const calls = [
      () => store.get('a'),
      () => store.list(''),
      () => store.status(),
      () => store.compact(1n),
      () => store.grantLease(1_000),
      () => store.keepAlive(lease),
      () => store.revokeLease(lease),
      () => put(store, 'a', '1'),
      () => watchUntil(store, '', 1n, () => true),
    ];
    for (const call of calls) assert.ok(isStoreUnavailable(await rejection(call())), String(call));
  });

  if (!options.durable) return;

  clause('entries, revisions and history are there when it is opened again', async bench => {
    await put(bench.store, 'p/a', '1');
    await put(bench.store, 'p/b', '1');
    await put(bench.store, 'p/a', '2');
    await remove(bench.store, 'p/b');
    const before = await bench.store.list('');
    const store = await bench.reopen();
    assert.deepEqual(await store.list(''), before);
    assert.equal((await store.status()).revision, 5n);
    assert.equal(text((await store.get('p/b', { revision: 3n })).entry?.value), '1');
    const { events } = await watchUntil(store, 'p/', 2n, events => events.length === 3);
    assert.deepEqual(
      events.map(({ type, revision }) => `${type} ${revision}`),
      ['put 3', 'put 4', 'delete 5'],
    );
    const next = await put(store, 'p/c', '1');
    assert.ok(next === 6n || (options.ownWrites && next > 6n), `the next write has revision ${next}`);
  });

  clause('what was compacted stays compacted', async bench => {
    for (let i = 0; i < 5; i++) await put(bench.store, 'a', String(i));
    await bench.store.compact(4n);
    const store = await bench.reopen();
    assert.equal((await store.status()).compactedRevision, 4n);
    assert.ok(isCompacted(await rejection(store.get('a', { revision: 3n }))));
    assert.equal(text((await store.get('a', { revision: 4n })).entry?.value), '2');
  });

  clause('leases and what hangs on them are there when it is opened again', async bench => {
    const lease = await bench.store.grantLease(2_000);
    const ended = await bench.store.grantLease(60_000);
    await put(bench.store, 'p/a', '1', lease);
    const last = await put(bench.store, 'p/b', '1');
    await bench.store.revokeLease(ended);
    const store = await bench.reopen();
    await store.keepAlive(lease);
    await rejection(store.keepAlive(ended));
    assert.notEqual(await store.grantLease(60_000), lease);
    await bench.elapse(3_500);
    const { events } = await watchUntil(store, 'p/', last, events => events.length === 1);
    assert.equal(events[0]?.key, 'p/a');
  });
}
