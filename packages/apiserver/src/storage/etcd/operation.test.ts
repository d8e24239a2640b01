/** What an etcd in use brings with it: TLS, users, a full database, compaction by one of the servers, other users of the same etcd. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthority, issueClientCertificate, issueServingCertificate } from '../../pki/index.js';
import { isStoreUnavailable, type Store } from '../contract.js';
import { type EtcdStoreOptions, etcdStore } from './index.js';
import { hasEtcd, startEtcd } from './testing/etcd-process.js';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});
async function start(options: Parameters<typeof startEtcd>[0] = {}) {
  const etcd = await startEtcd(options);
  cleanups.push(() => etcd.dispose());
  return etcd;
}
async function open(options: EtcdStoreOptions): Promise<Store> {
  const store = await etcdStore({ compactionMs: 0, ...options })();
  cleanups.push(() => store.close());
  return store;
}
const put = (store: Store, key: string, value: string | Buffer = 'x') =>
  store.txn([], { type: 'put', key, value: Buffer.from(value) });
const refusal = async (attempt: Promise<unknown>): Promise<string> => {
  try {
    await attempt;
  } catch (error) {
    expect(isStoreUnavailable(error)).toBe(true);
    return (error as Error).message;
  }
  throw new Error('it should have been refused');
};
/** The keys that a watch delivers until `last` came. */
async function keysUntil(store: Store, prefix: string, from: bigint, last: string): Promise<string[]> {
  const stop = new AbortController();
  const limit = setTimeout(() => stop.abort(), 10_000);
  const keys: string[] = [];
  for await (const { events } of store.watch(prefix, from, { signal: stop.signal })) {
    keys.push(...events.map(({ key }) => key));
    if (keys.includes(last)) break;
  }
  clearTimeout(limit);
  expect(keys).toContain(last);
  return keys;
}

describe.skipIf(!hasEtcd)('an etcd in use (apt-get install etcd-server etcd-client)', () => {
  it('over TLS with client certificates; without, or with another authority, it is refused with a reason', async () => {
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-etcd-tls-'));
    cleanups.push(() => fs.rm(dir, { recursive: true }));
    const authority = await createAuthority({ dir: path.join(dir, 'authority') });
    const serving = await issueServingCertificate(authority, { hosts: ['127.0.0.1', 'localhost'] });
    const client = await issueClientCertificate(authority, { name: 'orbit', username: 'orbit' });
    const write = async (name: string, content: string) => {
      const file = path.join(dir, name);
      await fs.writeFile(file, content, { mode: 0o600 });
      return file;
    };
    const flags = [
      ...[
        '--cert-file',
        await write('cert.pem', serving.certificate),
        '--key-file',
        await write('key.pem', serving.key),
      ],
      ...['--client-cert-auth', '--trusted-ca-file', await write('ca.pem', authority.certificate)],
    ];
    const etcd = await start({ scheme: 'https', flags });
    const tls = { ca: authority.certificate, cert: client.certificate, key: client.key };
    const store = await open({ hosts: etcd.urls, tls });
    await put(store, 'a');
    const lease = await store.grantLease(60_000);
    await store.keepAlive(lease);
    expect(await keysUntil(store, '', 1n, 'a')).toEqual(['a']);
    expect((await store.status()).keys).toBe(1);
    const quick = { hosts: etcd.urls, callTimeoutMs: 4_000 };
    expect(await refusal(etcdStore({ ...quick, tls: { ca: authority.certificate } })())).toMatch(/etcd/);
    const other = await createAuthority({ dir: path.join(dir, 'other') });
    expect(await refusal(etcdStore({ ...quick, tls: { ...tls, ca: other.certificate } })())).toMatch(
      /cannot connect to etcd.*certificate/,
    );
  }, 60_000);

  it('as a user of etcd, also after etcd has forgotten the token; a wrong password is refused as such', async () => {
    const etcd = await start();
    etcd.ctl('user', 'add', 'root:secret');
    etcd.ctl('user', 'add', 'orbit:word');
    etcd.ctl('role', 'add', 'orbit');
    etcd.ctl('role', 'grant-permission', 'orbit', '--prefix=true', 'readwrite', '/orbitkit/');
    etcd.ctl('user', 'grant-role', 'orbit', 'orbit');
    etcd.ctl('user', 'grant-role', 'root', 'root');
    etcd.ctl('auth', 'enable');
    const hosts = etcd.urls;
    const store = await open({ hosts, auth: { username: 'orbit', password: 'word' } });
    const first = await put(store, 'a');
    const watched = keysUntil(store, '', first.revision, 'c');
    const [member] = etcd.members;
    // Simple tokens live in memory.
    await member!.kill();
    await member!.start();
    const until = performance.now() + 10_000;
    for (;;) {
      try {
        await put(store, 'b');
        break;
      } catch (error) {
        expect(isStoreUnavailable(error)).toBe(true);
        if (performance.now() > until) throw error;
      }
    }
    await put(store, 'c');
    expect((await watched).at(-1)).toBe('c');
    expect(await refusal(etcdStore({ hosts, auth: { username: 'orbit', password: 'wrong' } })())).toMatch(
      /authentication failed|invalid user ID or password/,
    );
    expect(await refusal(etcdStore({ hosts })())).toMatch(/does not let this user in/);
    expect(
      await refusal(etcdStore({ hosts, prefix: '/elsewhere', auth: { username: 'orbit', password: 'word' } })()),
    ).toMatch(/does not let this user in: .*permission denied/);
  }, 60_000);

  it('a full database: writes are refused with what to do, reads and deletes go on, and writes again when there is room', async () => {
    const etcd = await start({ flags: ['--quota-backend-bytes', String(4 * 1024 * 1024)] });
    const store = await open({ hosts: etcd.urls });
    const value = Buffer.alloc(200_000, 'x');
    let message = '';
    for (let i = 0; i < 60 && message === ''; i++) {
      try {
        await put(store, `k${i % 3}`, value);
      } catch (error) {
        message = (error as Error).message;
        expect(isStoreUnavailable(error)).toBe(true);
      }
    }
    expect(message).toMatch(
      /database has reached its quota.*member [0-9a-f]+: (NOSPACE|Nospace|1).*etcdctl defrag.*alarm disarm/,
    );
    expect((await store.list('')).entries).toHaveLength(3);
    expect((await store.txn([], { type: 'delete', key: 'k0' })).ok).toBe(true);
    await store.compact((await store.list('')).revision);
    etcd.ctl('defrag');
    etcd.ctl('alarm', 'disarm');
    await expect
      .poll(
        () =>
          put(store, 'k0').then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
  }, 60_000);

  it('a value that is too large for etcd is refused as such', async () => {
    const etcd = await start();
    const store = await open({ hosts: etcd.urls });
    await expect(put(store, 'a', Buffer.alloc(3_000_000))).rejects.toMatchObject({ reason: 'RequestEntityTooLarge' });
    expect((await store.get('a')).entry).toBeUndefined();
  }, 60_000);

  it('is compacted by one of the servers, behind what the others need', async () => {
    const etcd = await start();
    const stores = await Promise.all([1, 2, 3].map(() => open({ hosts: etcd.urls, compactionMs: 400 })));
    const [first] = stores;
    let revision = 0n;
    for (let i = 0; i < 30; i++) {
      ({ revision } = await put(first!, 'a', String(i)));
    }
    await expect
      .poll(async () => (await first!.status()).compactedRevision, { timeout: 10_000 })
      .toBeGreaterThanOrEqual(revision);
    // Never beyond the turn before: what is newest can be read.
    const last = await put(first!, 'a', 'last');
    expect((await first!.list('', { revision: last.revision })).entries).toHaveLength(1);
    // One turn a round, whoever takes it.
    const turns = async () => Number(JSON.parse(etcd.ctl('get', '/orbitkit/m/compact', '-w', 'json')).kvs[0].version);
    const before = await turns();
    const begun = performance.now();
    await new Promise(resolve => setTimeout(resolve, 2_000));
    const rounds = (performance.now() - begun) / 400;
    expect((await turns()) - before).toBeLessThanOrEqual(Math.ceil(rounds) + 1);
  }, 60_000);

  it('other users of the etcd take revisions: watches still get to where reads are, and markers are few', async () => {
    const etcd = await start();
    const store = await open({ hosts: etcd.urls, progressMs: 60_000 });
    const first = await put(store, 'a');
    const stop = new AbortController();
    const reached: bigint[] = [];
    const watching = (async () => {
      for await (const { revision } of store.watch('', first.revision, { signal: stop.signal })) reached.push(revision);
    })();
    for (let i = 0; i < 20; i++) {
      etcd.ctl('put', '/somebody/else', String(i));
      const { revision } = await store.get('a');
      await expect.poll(() => (reached.at(-1) ?? 0n) >= revision, { timeout: 5_000, interval: 5 }).toBe(true);
    }
    const { count } = JSON.parse(etcd.ctl('get', '/orbitkit/m/sync', '-w', 'json'));
    expect(count).toBe(1);
    stop.abort();
    await watching;
  }, 60_000);

  it('two clusters under different prefixes see nothing of each other', async () => {
    const etcd = await start();
    const [one, two] = [
      await open({ hosts: etcd.urls, prefix: '/one' }),
      await open({ hosts: etcd.urls, prefix: '/one-more' }),
    ];
    await put(one!, 'a');
    const { revision } = await put(two!, 'b');
    await put(one!, 'c');
    await put(two!, 'd');
    expect((await one!.list('')).entries.map(({ key }) => key)).toEqual(['a', 'c']);
    expect((await two!.list('')).entries.map(({ key }) => key)).toEqual(['b', 'd']);
    expect(await keysUntil(two!, '', revision, 'd')).toEqual(['d']);
  }, 60_000);

  it('a watch from before this server started reads the past from etcd and goes on with the present', async () => {
    const etcd = await start();
    const before = await open({ hosts: etcd.urls });
    const keys = Array.from({ length: 3_000 }, (_, i) => `k${String(i).padStart(4, '0')}`);
    const value = Buffer.alloc(500);
    for (let i = 0; i < keys.length; i += 100)
      await Promise.all(keys.slice(i, i + 100).map(key => put(before, key, value)));
    const store = await open({ hosts: etcd.urls });
    const watched = keysUntil(store, 'k', 1n, 'k-last');
    await put(before, 'other');
    await put(before, 'k-last');
    const seen = await watched;
    expect(new Set(seen).size).toBe(3_001);
    expect(seen).toHaveLength(3_001);
  }, 60_000);

  it('is found behind the second of two addresses, when nobody is behind the first', async () => {
    const etcd = await start();
    const store = await open({ hosts: ['http://127.0.0.1:1', ...etcd.urls] });
    expect((await put(store, 'a')).ok).toBe(true);
  }, 60_000);

  it('that is not there is refused in bounded time', async () => {
    const start = performance.now();
    expect(await refusal(etcdStore({ hosts: 'http://127.0.0.1:1', callTimeoutMs: 1_000 })())).toMatch(
      /cannot connect to etcd at http:\/\/127\.0\.0\.1:1/,
    );
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(() => etcdStore({ hosts: 'localhost:2379' })).toThrow(/is no address of a member/);
  });
});
