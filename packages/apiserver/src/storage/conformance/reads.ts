/** Clauses on `get`, `list` and `compact`. */
import assert from 'node:assert/strict';
import { type Entry, isCompacted, isFutureRevision, type Store } from '../contract.js';
import { type Clause, keysOf, put, rejection, remove, text } from './subject.js';

/** Every page of a list. */
async function pages(store: Store, prefix: string, limit: number, revision?: bigint): Promise<Entry[][]> {
  const all: Entry[][] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.list(prefix, {
      limit,
      ...(after === undefined ? {} : { after }),
      ...(revision === undefined ? {} : { revision }),
    });
    all.push([...page.entries]);
    assert.equal(page.more, page.remaining > 0);
    if (!page.more) return all;
    assert.equal(page.entries.length, limit);
    after = page.entries[page.entries.length - 1]!.key;
  }
}

export function readClauses(clause: Clause): void {
  clause('get of an absent key has no entry but a revision', async ({ store }) => {
    await put(store, 'ab', '1');
    assert.deepEqual(await store.get('a'), { entry: undefined, revision: 2n });
  });

  clause('list gives the keys under a prefix in the order of their UTF-8 bytes', async ({ store }) => {
    const keys = [
      'p/\u{10000}',
      'p/a',
      'p/\uffff',
      'p/a0',
      'p/a/b',
      'p',
      'q',
      'p/',
      'p/ä',
      'P/a',
      'p/\u{1f600}x',
      'p/Z',
    ];
    for (const key of keys) await put(store, key, key);
    const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const under = keys.filter(key => key.startsWith('p/')).sort(byBytes);
    const { entries, more, remaining, revision } = await store.list('p/');
    assert.deepEqual(keysOf(entries), under);
    assert.deepEqual({ more, remaining, revision }, { more: false, remaining: 0, revision: BigInt(keys.length + 1) });
    assert.deepEqual(
      entries.map(({ value }) => text(value)),
      under,
    );
    assert.deepEqual(keysOf((await store.list('')).entries), [...keys].sort(byBytes));
    assert.deepEqual(
      (await pages(store, 'p/', 2)).flat().map(({ key }) => key),
      under,
    );
    assert.deepEqual((await store.list('nothing')).entries, []);
  });

  clause('limit, after, more and remaining walk a list in pages', async ({ store }) => {
    const keys = Array.from({ length: 25 }, (_, i) => `p/${String(i).padStart(2, '0')}`);
    for (const key of [...keys].reverse()) await put(store, key, 'x');
    await put(store, 'a', 'before');
    await put(store, 'q', 'behind');
    const first = await store.list('p/', { limit: 10 });
    assert.deepEqual(keysOf(first.entries), keys.slice(0, 10));
    assert.deepEqual([first.more, first.remaining], [true, 15]);
    assert.deepEqual(
      (await pages(store, 'p/', 10)).map(page => page.length),
      [10, 10, 5],
    );
    assert.deepEqual(
      (await pages(store, 'p/', 25)).map(page => page.length),
      [25],
    );
    assert.deepEqual(keysOf((await store.list('p/', { after: 'p/21' })).entries), keys.slice(22));
    assert.deepEqual(keysOf((await store.list('p/', { after: 'p/215' })).entries), keys.slice(22));
    assert.deepEqual(keysOf((await store.list('p/', { after: 'a' })).entries), keys);
    assert.deepEqual(keysOf((await store.list('p/', { after: 'q' })).entries), []);
  });

  clause('reads at a revision see the store as it was, also what is deleted or made again since', async ({ store }) => {
    const a1 = await put(store, 'p/a', '1');
    const b1 = await put(store, 'p/b', '1');
    const a2 = await put(store, 'p/a', '2');
    const gone = await remove(store, 'p/b');
    const b2 = await put(store, 'p/b', '2');
    const seen = async (revision: bigint) => {
      const list = await store.list('p/', { revision });
      assert.equal(list.revision, revision);
      for (const entry of list.entries) assert.deepEqual((await store.get(entry.key, { revision })).entry, entry);
      return list.entries.map(
        entry => `${entry.key}=${text(entry.value)}@${entry.createRevision}/${entry.modRevision}`,
      );
    };
    assert.deepEqual(await seen(a1), [`p/a=1@${a1}/${a1}`]);
    assert.deepEqual(await seen(b1), [`p/a=1@${a1}/${a1}`, `p/b=1@${b1}/${b1}`]);
    assert.deepEqual(await seen(a2), [`p/a=2@${a1}/${a2}`, `p/b=1@${b1}/${b1}`]);
    assert.deepEqual(await seen(gone), [`p/a=2@${a1}/${a2}`]);
    assert.deepEqual(await seen(b2), [`p/a=2@${a1}/${a2}`, `p/b=2@${b2}/${b2}`]);
    assert.equal((await store.get('p/b', { revision: gone })).entry, undefined);
    assert.equal((await store.get('p/b', { revision: a1 })).revision, b2);
  });

  clause('the pages of one revision stay one list while others write', async ({ store }) => {
    for (let i = 0; i < 30; i++) await put(store, `p/${String(i).padStart(2, '0')}`, 'old');
    const { revision, entries } = await store.list('p/');
    for (let i = 0; i < 30; i += 3) await remove(store, `p/${String(i).padStart(2, '0')}`);
    for (let i = 0; i < 30; i += 2) await put(store, `p/${String(i).padStart(2, '0')}`, 'new');
    for (let i = 0; i < 10; i++) await put(store, `p/${String(i).padStart(2, '0')}x`, 'new');
    assert.deepEqual((await store.list('p/', { revision })).entries, entries);
    for (const limit of [1, 7, 30]) {
      assert.deepEqual((await pages(store, 'p/', limit, revision)).flat(), entries);
      const first = await store.list('p/', { revision, limit });
      assert.equal(first.remaining, 30 - limit);
    }
  });

  clause('a write that was acknowledged is read by everyone', async ({ store }) => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const revision = await put(store, `p/${i}`, 'x');
        const [got, list] = await Promise.all([store.get(`p/${i}`), store.list(`p/${i}`)]);
        assert.equal(got.entry?.modRevision, revision);
        assert.ok(got.revision >= revision && list.revision >= revision);
        assert.ok(keysOf(list.entries).includes(`p/${i}`));
      }),
    );
  });

  clause('a revision that is not written yet is refused as such', async ({ store }) => {
    await put(store, 'a', '1');
    for (const read of [() => store.get('a', { revision: 3n }), () => store.list('', { revision: 3n })]) {
      assert.ok(isFutureRevision(await rejection(read())));
    }
    assert.equal(text((await store.get('a', { revision: 2n })).entry?.value), '1');
  });

  clause('compaction forgets what is older and keeps what is newest', async ({ store }) => {
    await put(store, 'a', '1');
    const b = await put(store, 'b', '1');
    await put(store, 'a', '2');
    const gone = await remove(store, 'b');
    await put(store, 'c', '1');
    await store.compact(gone);
    assert.equal((await store.status()).compactedRevision, gone);
    for (const read of [
      () => store.get('a', { revision: b }),
      () => store.list('', { revision: gone - 1n }),
      () => store.get('a', { revision: 1n }),
    ]) {
      const error = await rejection(read());
      assert.ok(isCompacted(error));
      assert.equal(error.compacted, gone);
    }
    assert.deepEqual(keysOf((await store.list('', { revision: gone })).entries), ['a']);
    assert.equal(text((await store.get('a', { revision: gone })).entry?.value), '2');
    assert.deepEqual(keysOf((await store.list('')).entries), ['a', 'c']);
    const last = await put(store, 'a', '3');
    assert.equal(text((await store.get('a', { revision: last - 1n })).entry?.value), '2');
  });

  clause(
    'compaction to the newest revision keeps every key; twice is harmless; the future cannot be compacted',
    async ({ store }) => {
      for (let i = 0; i < 10; i++) await put(store, `k${i % 3}`, String(i));
      const { revision } = await store.status();
      await store.compact(revision);
      await store.compact(revision);
      await store.compact(revision - 5n);
      assert.equal((await store.status()).compactedRevision, revision);
      assert.deepEqual(
        (await store.list('', { revision })).entries.map(({ value }) => text(value)),
        ['9', '7', '8'],
      );
      assert.ok(isFutureRevision(await rejection(store.compact(revision + 1n))));
    },
  );

  clause('an aborted signal ends a read', async ({ store }) => {
    const reason = new Error('not needed');
    const signal = AbortSignal.abort(reason);
    assert.equal(await rejection(store.get('a', { signal })), reason);
    assert.equal(await rejection(store.list('', { signal })), reason);
  });
}
