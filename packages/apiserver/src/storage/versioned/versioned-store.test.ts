import { manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { isCompacted, isStoreUnavailable, type StoreEvent, StoreUnavailableError } from '../contract.js';
import type { Change, Journal } from './change.js';
import { VersionedStore, type VersionedStoreOptions } from './versioned-store.js';

/** A journal whose commits end when the test says so. */
class HeldJournal implements Journal {
  readonly commits: (readonly Change[])[] = [];
  #ends: { resolve(): void; reject(error: unknown): void }[] = [];

  commit(changes: readonly Change[]): Promise<void> {
    this.commits.push(changes);
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }));
  }
  applied(): void {}
  async close(): Promise<void> {}

  async end(error?: unknown): Promise<void> {
    await settle();
    const end = this.#ends.shift();
    expect(end).toBeDefined();
    if (error === undefined) end!.resolve();
    else end!.reject(error);
    await settle();
  }
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve));
const value = (text: string) => Buffer.from(text);
const put = (store: VersionedStore, key: string, text = 'x', signal?: AbortSignal) =>
  store.txn([], { type: 'put', key, value: value(text) }, signal && { signal });

function laboratory(options: VersionedStoreOptions = {}) {
  const journal = new HeldJournal();
  const clock = manualClock();
  return { journal, clock, store: new VersionedStore('test', { clock, ...options }, journal) };
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => undefined), settle().then(() => pending)])) === pending;
}

describe('a commit under way', () => {
  it('gathers what comes meanwhile into the next one, and shows nothing before it is durable', async () => {
    const { journal, store } = laboratory();
    const first = [put(store, 'a'), put(store, 'b')];
    await settle();
    const second = [put(store, 'a', 'y'), put(store, 'c')];
    await settle();
    expect(journal.commits.map(commit => commit.length)).toEqual([2]);
    expect((await store.list('')).entries).toEqual([]);
    expect((await store.status()).revision).toBe(1n);
    await journal.end();
    expect((await Promise.all(first)).map(({ revision }) => revision)).toEqual([2n, 3n]);
    expect(await isPending(second[0]!)).toBe(true);
    expect((await store.get('a')).entry?.modRevision).toBe(2n);
    expect(journal.commits.map(commit => commit.length)).toEqual([2, 2]);
    await journal.end();
    expect(await Promise.all(second)).toMatchObject([
      { revision: 4n, previous: { modRevision: 2n } },
      { revision: 5n },
    ]);
  });

  it('lets no answer rest on a write that is not durable yet', async () => {
    const { journal, store } = laboratory();
    const create = (text: string) =>
      store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: value(text) });
    const won = create('1');
    const lost = create('2');
    const gone = store.txn([], { type: 'delete', key: 'a' });
    const nothing = store.txn([], { type: 'delete', key: 'a' });
    expect(await isPending(lost)).toBe(true);
    expect(await isPending(nothing)).toBe(true);
    await journal.end();
    expect(await won).toMatchObject({ ok: true, revision: 2n });
    expect(await lost).toMatchObject({ ok: false, revision: 2n, current: { modRevision: 2n } });
    expect(await gone).toMatchObject({ ok: true, revision: 3n, previous: { modRevision: 2n } });
    expect(await nothing).toEqual({ ok: true, revision: 3n, previous: undefined });
  });

  it('that fails takes everything with it that was built on it, and gives its revisions out again', async () => {
    const { journal, store } = laboratory();
    const full = new StoreUnavailableError('full');
    const events: StoreEvent[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const batch of store.watch('', 1n, { signal: stop.signal })) events.push(...batch.events);
    })();
    const first = put(store, 'a');
    await settle();
    const calls = [
      put(store, 'b'),
      store.txn([{ key: 'a', modRevision: 0n }], { type: 'put', key: 'a', value: value('2') }),
      store.txn([{ key: 'a', modRevision: 2n }], { type: 'put', key: 'a', value: value('2') }),
      store.grantLease(1_000),
    ];
    const outcomes = Promise.allSettled([first, ...calls]);
    await journal.end(full);
    for (const outcome of await outcomes) expect(outcome).toEqual({ status: 'rejected', reason: full });
    const again = put(store, 'c');
    await journal.end();
    expect(await again).toMatchObject({ ok: true, revision: 2n });
    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['c']);
    stop.abort();
    await watching;
    expect(events.map(({ key, revision }) => [key, revision])).toEqual([['c', 2n]]);
  });
});

it('writers wait while too much is staged, and can give up', async () => {
  const { journal, store } = laboratory({ stagedBytes: 1_000 });
  const large = 'x'.repeat(600);
  const [a, b] = [put(store, 'a', large), put(store, 'b', large)];
  const stop = new AbortController();
  const [c, d] = [put(store, 'c', large), put(store, 'd', large, stop.signal)];
  await settle();
  expect(journal.commits[0]).toHaveLength(2);
  const reason = new Error('gave up');
  stop.abort(reason);
  await expect(d).rejects.toBe(reason);
  expect(journal.commits.flat().some(change => 'key' in change && change.key === 'c')).toBe(false);
  await journal.end();
  expect((await Promise.all([a, b])).map(({ revision }) => revision)).toEqual([2n, 3n]);
  await journal.end();
  expect((await c).revision).toBe(4n);
});

it('a waiting writer is told when the store closes', async () => {
  const { journal, store } = laboratory({ stagedBytes: 10 });
  const a = put(store, 'a', 'x'.repeat(100));
  const b = expect(put(store, 'b')).rejects.toSatisfy(isStoreUnavailable);
  await settle();
  const closing = store.close();
  await journal.end();
  expect((await a).revision).toBe(2n);
  await b;
  await closing;
});

describe('the history', () => {
  it.each<[string, VersionedStoreOptions]>([
    ['of as many writes as it is told', { historyRevisions: 10 }],
    ['of as many bytes as it is told', { historyBytes: 1_000 }],
  ])('%s is kept, and no more', async (_, options) => {
    const store = new VersionedStore('test', { clock: manualClock(), ...options });
    for (let i = 0; i < 100; i++) await put(store, 'a', 'x'.repeat(100));
    const { revision, compactedRevision } = await store.status();
    expect([revision, compactedRevision]).toEqual([101n, 91n]);
    expect((await store.get('a', { revision: 91n })).entry?.modRevision).toBe(91n);
    await expect(store.get('a', { revision: 90n })).rejects.toSatisfy(isCompacted);
    await store.close();
  });
});

it('the end of a lease that cannot be written is tried again', async () => {
  const { journal, clock, store } = laboratory();
  const granting = store.grantLease(1_000);
  await journal.end();
  const lease = await granting;
  const writing = store.txn([], { type: 'put', key: 'a', value: value('x'), lease });
  await journal.end();
  await writing;
  await clock.advance(1_000);
  await journal.end(new StoreUnavailableError('full'));
  expect((await store.get('a')).entry).toBeDefined();
  await expect(store.keepAlive(lease)).rejects.toThrow();
  await clock.advance(1_000);
  await journal.end();
  expect((await store.get('a')).entry).toBeUndefined();
  expect(journal.commits.at(-1)).toMatchObject([
    { type: 'delete', key: 'a' },
    { type: 'revoke', lease },
  ]);
  await store.close();
  expect(clock.pending).toBe(0);
});
