import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { manualClock } from '@orbitkit/core';
import { afterAll, describe, expect, it } from 'vitest';
import { isCompacted, type Store, type StoreFactory } from '../contract.js';
import { embeddedStore } from '../embedded.js';
import { etcdStore, restoreEtcd } from '../etcd/index.js';
import { hasEtcd, startEtcd } from '../etcd/testing/etcd-process.js';
import { memoryStore } from '../memory.js';
import { type LoadedSnapshot, loadSnapshot, restoreDirectory, saveSnapshot, snapshotStatus } from './index.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

async function temporaryDirectory(): Promise<string> {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-snapshot-'));
  cleanups.push(() => fs.rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A back end: opened empty, and with a snapshot in it. */
interface BackEnd {
  readonly name: string;
  readonly needs?: boolean;
  empty(): Promise<StoreFactory>;
  restored(snapshot: LoadedSnapshot): Promise<StoreFactory>;
}

const etcdOptions = async () => {
  const etcd = await startEtcd();
  cleanups.push(() => etcd.dispose());
  return { hosts: etcd.urls };
};

const backEnds: BackEnd[] = [
  {
    name: 'memory',
    empty: async () => memoryStore(),
    restored: async snapshot => memoryStore({ snapshot }),
  },
  {
    name: 'embedded',
    empty: async () => embeddedStore({ dir: await temporaryDirectory() }),
    async restored(snapshot) {
      const dir = path.join(await temporaryDirectory(), 'store');
      await restoreDirectory({ dir, snapshot });
      return embeddedStore({ dir });
    },
  },
  {
    name: 'etcd',
    needs: hasEtcd,
    empty: async () => etcdStore(await etcdOptions()),
    async restored(snapshot) {
      const options = await etcdOptions();
      await restoreEtcd(options, { snapshot });
      return etcdStore(options);
    },
  },
];

const put = async (store: Store, key: string, value: string, lease?: bigint) => {
  const write = { type: 'put', key, value: Buffer.from(value), ...(lease === undefined ? {} : { lease }) } as const;
  return (await store.txn([], write)).revision;
};
const load = async (store: Store) => loadSnapshot(saveSnapshot(store), 'test');
const contents = async (store: Store) =>
  (await store.list('')).entries.map(({ key, value }) => `${key}=${Buffer.from(value).toString()}`);

async function fill(store: Store): Promise<void> {
  for (let i = 0; i < 40; i++) await put(store, `/registry/core/pods/default/p${i}`, `pod ${i}`);
  for (let i = 0; i < 40; i += 3) {
    await store.txn([], { type: 'delete', key: `/registry/core/pods/default/p${i}` });
  }
  await put(store, '/registry/core/pods/default/p1', 'x'.repeat(100_000));
  await put(store, '/registry/apps/deployments/default/web', 'deployment');
  const lease = await store.grantLease(60_000);
  await put(store, '/registry/core/events/default/e', 'event', lease);
  await put(store, '/registry/core/events/default/kept', 'event', lease);
  await put(store, '/registry/core/events/default/kept', 'without lease');
}

describe('snapshots', () => {
  for (const from of backEnds) {
    for (const to of backEnds) {
      it.skipIf(from.needs === false || to.needs === false)(
        `move a store from ${from.name} to ${to.name}`,
        async () => {
          const source = await (await from.empty())();
          await fill(source);
          const expected = await contents(source);
          const before = (await source.status()).revision;
          const snapshot = await load(source);
          await source.close();
          expect(snapshot.entries).toHaveLength(expected.length);

          const target = await (await to.restored(snapshot))();
          try {
            expect(await contents(target)).toEqual(expected);
            const { revision, entries } = await target.list('');
            expect(revision).toBeGreaterThan(before);
            // Who watched, or pages through a list, from before lists again.
            const stop = new AbortController();
            const watch = target.watch('', before, { signal: stop.signal })[Symbol.asyncIterator]();
            await expect(watch.next()).rejects.toSatisfy(isCompacted);
            await expect(target.list('', { revision: before })).rejects.toSatisfy(isCompacted);
            // A write that compares an old revision must not succeed by chance.
            const [first] = entries;
            const stale = [{ key: first!.key, modRevision: 3n }];
            if (first!.modRevision !== 3n)
              expect((await target.txn(stale, { type: 'delete', key: first!.key })).ok).toBe(false);
            expect(await put(target, 'new', '1')).toBeGreaterThan(revision);
            // The lease came along, with what hangs on it and nothing else.
            const dump = await target.dump();
            const leased: string[] = [];
            for await (const page of dump.entries)
              leased.push(...page.filter(({ lease }) => lease !== 0n).map(({ key }) => key));
            expect(leased).toEqual(['/registry/core/events/default/e']);
            expect(dump.leases.map(({ ttlMs }) => ttlMs)).toEqual([60_000]);
            stop.abort();
          } finally {
            await target.close();
          }
        },
        60_000,
      );
    }
  }

  it('are one state, however many write meanwhile', async () => {
    const store = await memoryStore()();
    for (let i = 0; i < 2_000; i++) await put(store, `k${String(i).padStart(5, '0')}`, 'old');
    const chunks: Buffer[] = [];
    const saving = saveSnapshot(store);
    const first = await saving.next();
    chunks.push(first.value as Buffer);
    for (let i = 0; i < 2_000; i += 2) await put(store, `k${String(i).padStart(5, '0')}`, 'new');
    await store.txn([], { type: 'delete', key: 'k00001' });
    for await (const chunk of saving) chunks.push(chunk);
    const snapshot = await loadSnapshot(pieces(Buffer.concat(chunks), 10_000), 'test');
    expect(snapshot.revision).toBe(2_001n);
    expect(snapshot.entries).toHaveLength(2_000);
    expect(snapshot.entries.every(({ value }) => value.toString() === 'old')).toBe(true);
    await store.close();
  });

  it('that are cut short, or of which one bit is changed, are refused, and nothing is restored', async () => {
    const store = await memoryStore()();
    for (let i = 0; i < 20; i++) await put(store, `/registry/core/pods/default/p${i}`, `pod ${i}`);
    const file = Buffer.concat(await collect(saveSnapshot(store)));
    await store.close();
    expect(snapshotStatus(await loadSnapshot(pieces(file, 100), 'FILE'))).toMatchObject({
      revision: 21n,
      entries: 20,
      bytes: file.length,
      resources: new Map([['core/pods', 20]]),
    });
    for (let end = 0; end < file.length; end += 17) {
      await expect(loadSnapshot(pieces(file.subarray(0, end), 100), 'FILE')).rejects.toThrow(
        /FILE is no intact snapshot/,
      );
    }
    for (let at = 0; at < file.length; at += 13) {
      const changed = Buffer.from(file);
      changed[at]! ^= 1 << (at % 8);
      await expect(loadSnapshot(pieces(changed, 100), 'FILE')).rejects.toThrow(/FILE/);
    }
  });

  it('refuse a directory that holds a store, unless told; revisions then grow over both', async () => {
    const dir = await temporaryDirectory();
    const source = await memoryStore()();
    await put(source, 'a', 'from the snapshot');
    const snapshot = await load(source);
    await source.close();
    const open = embeddedStore({ dir, clock: manualClock(), segmentBytes: 4_096 });
    let store = await open();
    for (let i = 0; i < 500; i++) await put(store, `b${i}`, 'in the directory');
    const last = (await store.status()).revision;
    await expect(restoreDirectory({ dir, snapshot })).rejects.toThrow(/another|in use|locked/i);
    await store.close();
    await expect(restoreDirectory({ dir, snapshot })).rejects.toThrow(/holds a store already/);
    const revision = await restoreDirectory({ dir, snapshot, overwrite: true, bumpRevisions: 10n });
    expect(revision).toBe(last + 10n);
    store = await open();
    expect(await contents(store)).toEqual(['a=from the snapshot']);
    expect(await put(store, 'c', '1')).toBe(revision + 1n);
    await store.close();
    store = await open();
    expect(await contents(store)).toEqual(['a=from the snapshot', 'c=1']);
    await store.close();
  });

  it.skipIf(!hasEtcd)(
    'refuse an etcd that holds something, unless told; a server that runs meanwhile stops serving',
    async () => {
      const options = await etcdOptions();
      const source = await memoryStore()();
      await put(source, 'a', 'from the snapshot');
      const snapshot = await load(source);
      await source.close();
      const running = await etcdStore(options)();
      for (let i = 0; i < 700; i++) await put(running, `b${i}`, 'old');
      const last = (await running.status()).revision;
      await expect(restoreEtcd(options, { snapshot })).rejects.toThrow(/holds 700 keys under \/orbitkit/);
      await restoreEtcd(options, { snapshot, overwrite: true });
      await expect
        .poll(
          async () =>
            running.get('a').then(
              () => 'serves',
              error => String(error),
            ),
          { timeout: 5_000 },
        )
        .toMatch(/restored from a snapshot under this server/);
      await running.close();
      const store = await etcdStore(options)();
      expect(await contents(store)).toEqual(['a=from the snapshot']);
      expect((await store.status()).revision).toBeGreaterThan(last + 999_999_999n);
      await store.close();
    },
    60_000,
  );
});

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

async function* pieces(file: Buffer, size: number): AsyncGenerator<Buffer, void, void> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}
