/** Clauses on leases. Times are whole seconds: a back end may round up to them. */
import assert from 'node:assert/strict';
import { isLeaseNotFound } from '../contract.js';
import { bytes, type Clause, keysOf, put, rejection, remove, watchUntil } from './subject.js';

const ttlMs = 2_000;

export function leaseClauses(clause: Clause): void {
  clause(
    'entries of a lease that is not renewed are deleted, each with a revision of its own',
    async ({ store, elapse }) => {
      const lease = await store.grantLease(ttlMs);
      await put(store, 'p/a', '1', lease);
      await put(store, 'p/b', '1', lease);
      const last = await put(store, 'p/c', '1');
      await elapse(ttlMs + 1_500);
      const { events } = await watchUntil(store, 'p/', last, events => events.length === 2);
      assert.deepEqual(
        events.map(({ type }) => type),
        ['delete', 'delete'],
      );
      assert.deepEqual(new Set(events.map(({ key }) => key)), new Set(['p/a', 'p/b']));
      const [first, second] = events.map(({ revision }) => revision);
      assert.ok(first! > last && second! > first!);
      assert.deepEqual(keysOf((await store.list('p/')).entries), ['p/c']);
      assert.ok(isLeaseNotFound(await rejection(store.keepAlive(lease))));
    },
  );

  clause('a lease that is renewed lives on', async ({ store, elapse }) => {
    const lease = await store.grantLease(ttlMs);
    const revision = await put(store, 'p/a', '1', lease);
    for (let i = 0; i < 4; i++) {
      await elapse(ttlMs / 2);
      await store.keepAlive(lease);
    }
    assert.equal((await store.get('p/a')).entry?.modRevision, revision);
    await elapse(ttlMs + 1_500);
    await watchUntil(store, 'p/', revision, events => events.some(({ type }) => type === 'delete'));
  });

  clause('revoking a lease deletes its entries at once', async ({ store }) => {
    const lease = await store.grantLease(60_000);
    await put(store, 'p/a', '1', lease);
    await put(store, 'p/b', '1', lease);
    await store.revokeLease(lease);
    const { entries, revision, remaining } = await store.list('p/');
    assert.deepEqual([entries, remaining, revision >= 5n], [[], 0, true]);
    assert.ok(isLeaseNotFound(await rejection(store.revokeLease(lease))));
  });

  clause('an entry hangs on the lease of its last put', async ({ store }) => {
    const [first, second] = [await store.grantLease(60_000), await store.grantLease(60_000)];
    for (const key of ['p/moved', 'p/freed', 'p/gone', 'p/stays']) await put(store, key, '1', first);
    await put(store, 'p/moved', '2', second);
    await put(store, 'p/freed', '2');
    await remove(store, 'p/gone');
    await put(store, 'p/gone', '2');
    await store.revokeLease(first);
    assert.deepEqual(keysOf((await store.list('p/')).entries), ['p/freed', 'p/gone', 'p/moved']);
    await store.revokeLease(second);
    assert.deepEqual(keysOf((await store.list('p/')).entries), ['p/freed', 'p/gone']);
  });

  clause('a lease that does not exist is refused everywhere, and nothing is written', async ({ store }) => {
    const lease = await store.grantLease(60_000);
    await store.revokeLease(lease);
    const attempts = [
      () => store.txn([], { type: 'put', key: 'a', value: bytes('1'), lease }),
      () => store.keepAlive(lease),
      () => store.revokeLease(lease),
    ];
    for (const attempt of attempts) {
      const error = await rejection(attempt());
      assert.ok(isLeaseNotFound(error));
      assert.equal(error.lease, lease);
    }
    assert.equal((await store.get('a')).entry, undefined);
  });

  clause('nothing is left of a lease that is revoked while writers use it', async ({ store }) => {
    const lease = await store.grantLease(60_000);
    await put(store, 'p/0', '1', lease);
    const writes = (from: number) =>
      Array.from({ length: 10 }, (_, i) =>
        put(store, `p/${from + i}`, '1', lease).catch(error => assert.ok(isLeaseNotFound(error))),
      );
    const before = writes(1);
    const revoking = store.revokeLease(lease);
    await Promise.all([...before, revoking, ...writes(20)]);
    assert.deepEqual((await store.list('p/')).entries, []);
  });

  clause('leases are told apart', async ({ store }) => {
    const leases = await Promise.all(Array.from({ length: 20 }, () => store.grantLease(60_000)));
    assert.equal(new Set(leases).size, 20);
  });
}
