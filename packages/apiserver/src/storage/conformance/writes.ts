/** Clauses on `txn`: compare-and-write, revisions, concurrency. */
import assert from 'node:assert/strict';
import { bytes, type Clause, put, rejection, remove, text } from './subject.js';

export function writeClauses(clause: Clause): void {
  clause('an empty store is at revision 1', async ({ store }) => {
    assert.equal((await store.get('a')).revision, 1n);
    const { revision, compactedRevision, keys } = await store.status();
    assert.deepEqual({ revision, keys }, { revision: 1n, keys: 0 });
    assert.ok(compactedRevision <= 1n);
  });

  clause('a put takes the next revision and makes an entry', async ({ store }) => {
    const result = await store.txn([], { type: 'put', key: 'a', value: bytes('1') });
    assert.deepEqual(result, { ok: true, revision: 2n, previous: undefined });
    const { entry, revision } = await store.get('a');
    assert.equal(revision, 2n);
    assert.equal(text(entry?.value), '1');
    assert.deepEqual([entry?.key, entry?.createRevision, entry?.modRevision], ['a', 2n, 2n]);
  });

  clause('a second put keeps the create revision and returns the entry before', async ({ store }) => {
    await put(store, 'a', '1');
    const result = await store.txn([], { type: 'put', key: 'a', value: bytes('2') });
    assert.ok(result.ok);
    assert.equal(result.revision, 3n);
    assert.equal(text(result.previous?.value), '1');
    assert.equal(result.previous?.modRevision, 2n);
    const { entry } = await store.get('a');
    assert.deepEqual([text(entry?.value), entry?.createRevision, entry?.modRevision], ['2', 2n, 3n]);
  });

  clause('create only when absent: a second one writes nothing and shows what is there', async ({ store }) => {
    const create = (value: string) =>
      store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: bytes(value) });
    assert.ok((await create('1')).ok);
    const refused = await create('2');
    assert.ok(!refused.ok);
    assert.equal(text(refused.current?.value), '1');
    assert.equal(refused.current?.modRevision, 2n);
    const { entry, revision } = await store.get('a');
    assert.deepEqual([text(entry?.value), revision], ['1', 2n]);
  });

  clause('update only at the revision that was read: a stale one writes nothing', async ({ store }) => {
    const read = await put(store, 'a', '1');
    const update = (value: string) =>
      store.txn([{ key: 'a', modRevision: read }], { type: 'put', key: 'a', value: bytes(value) });
    assert.ok((await update('2')).ok);
    const stale = await update('3');
    assert.ok(!stale.ok);
    assert.equal(text(stale.current?.value), '2');
    assert.equal(stale.revision, 3n);
    assert.equal((await store.get('a')).revision, 3n);
    const absent = await store.txn([{ key: 'b', modRevision: 2n }], { type: 'put', key: 'b', value: bytes('x') });
    assert.deepEqual([absent.ok, 'current' in absent && absent.current], [false, undefined]);
  });

  clause('a delete takes a revision, returns the entry, and is conditional like a put', async ({ store }) => {
    const first = await put(store, 'a', '1');
    const second = await put(store, 'a', '2');
    const stale = await store.txn([{ key: 'a', modRevision: first }], { type: 'delete', key: 'a' });
    assert.ok(!stale.ok);
    assert.equal(stale.current?.modRevision, second);
    const done = await store.txn([{ key: 'a', modRevision: second }], { type: 'delete', key: 'a' });
    assert.ok(done.ok);
    assert.deepEqual([done.revision, text(done.previous?.value)], [second + 1n, '2']);
    assert.deepEqual(await store.get('a'), { entry: undefined, revision: second + 1n });
  });

  clause('a delete of an absent key is ok and takes no revision', async ({ store }) => {
    await put(store, 'b', '1');
    const expected = { ok: true, revision: 2n, previous: undefined };
    assert.deepEqual(await store.txn([], { type: 'delete', key: 'a' }), expected);
    assert.deepEqual(await store.txn([{ key: 'a', modRevision: 0n }], { type: 'delete', key: 'a' }), expected);
    assert.equal((await store.status()).revision, 2n);
  });

  clause('a key that is made again begins anew', async ({ store }) => {
    await put(store, 'a', '1');
    await remove(store, 'a');
    const result = await store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: bytes('2') });
    assert.deepEqual(result, { ok: true, revision: 4n, previous: undefined });
    assert.equal((await store.get('a')).entry?.createRevision, 4n);
  });

  clause('every compare must hold, also on other keys than the one that is written', async ({ store }) => {
    const a = await put(store, 'a', '1');
    const b = await put(store, 'b', '1');
    const write = { type: 'put', key: 'c', value: bytes('x') } as const;
    const both = (second: bigint) =>
      store.txn(
        [
          { key: 'a', modRevision: a },
          { key: 'b', modRevision: second },
        ],
        write,
      );
    const refused = await both(b + 1n);
    assert.ok(!refused.ok);
    assert.equal(refused.current?.key, 'b');
    assert.equal((await store.get('c')).entry, undefined);
    assert.ok((await both(b)).ok);
  });

  clause('values are bytes: empty, every byte, a megabyte', async ({ store }) => {
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const large = Buffer.alloc(1024 * 1024, 'orbit');
    for (const [key, value] of [
      ['empty', new Uint8Array()],
      ['every', every],
      ['large', large],
    ] as const) {
      await put(store, key, value);
      assert.ok(Buffer.from((await store.get(key)).entry!.value).equals(value), key);
    }
  });

  clause('a key with NUL or with half a character is refused', async ({ store }) => {
    for (const key of ['a\0b', 'a\ud800']) {
      const error = await rejection(store.txn([], { type: 'put', key, value: bytes('x') }));
      assert.ok(error instanceof TypeError);
    }
    assert.equal((await store.status()).revision, 1n);
  });

  clause('concurrent writes get one revision each, without gaps', async ({ store }) => {
    const revisions = await Promise.all(Array.from({ length: 200 }, (_, i) => put(store, `k${i % 20}`, String(i))));
    assert.deepEqual(
      revisions.sort((a, b) => Number(a - b)),
      Array.from({ length: 200 }, (_, i) => BigInt(i + 2)),
    );
  });

  clause('of concurrent creates of one key exactly one succeeds, and the others see it', async ({ store }) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: bytes(String(i)) }),
      ),
    );
    const won = results.filter(({ ok }) => ok);
    assert.equal(won.length, 1);
    const { entry } = await store.get('a');
    assert.equal(entry?.modRevision, won[0]?.revision);
    for (const result of results) if (!result.ok) assert.deepEqual(result.current, entry);
  });

  clause('no update is lost among concurrent writers that read, compare and write', async ({ store }) => {
    await put(store, 'counter', '0');
    const increment = async (): Promise<void> => {
      for (;;) {
        const { entry } = await store.get('counter');
        const next = bytes(String(Number(text(entry!.value)) + 1));
        const compare = [{ key: 'counter', modRevision: entry!.modRevision }];
        if ((await store.txn(compare, { type: 'put', key: 'counter', value: next })).ok) return;
      }
    };
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 10; i++) await increment();
      }),
    );
    assert.equal(text((await store.get('counter')).entry?.value), '80');
    assert.equal((await store.status()).revision, 82n);
  });

  clause(
    'compares see writes that were begun before, in the order of the calls or another, but one order',
    async ({ store }) => {
      const [first, second, third] = await Promise.all([
        store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: bytes('1') }),
        store.txn([{ key: 'a', modRevision: 0n }], { type: 'delete', key: 'a' }),
        store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: bytes('2') }),
      ]);
      assert.equal([first, third].filter(result => result?.ok).length, 1);
      if (!second?.ok) assert.ok(second?.current !== undefined);
      const winner = first?.ok ? first : third;
      assert.equal((await store.get('a')).entry?.modRevision, winner?.revision);
    },
  );

  clause('an aborted signal keeps a write from happening', async ({ store }) => {
    const reason = new Error('changed my mind');
    const write = store.txn([], { type: 'put', key: 'a', value: bytes('1') }, { signal: AbortSignal.abort(reason) });
    assert.equal(await rejection(write), reason);
    assert.deepEqual(await store.get('a'), { entry: undefined, revision: 1n });
  });
}
