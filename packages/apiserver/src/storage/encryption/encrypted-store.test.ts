import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { manualClock } from '@orbitkit/core';
import { afterAll, describe, expect, it } from 'vitest';
import { storeConformance } from '../conformance/index.js';
import { isStoreUnavailable, type Store } from '../contract.js';
import { memoryStore } from '../memory.js';
import { loadSnapshot, saveSnapshot } from '../snapshot/index.js';
import { decodeValue, encodeValueText } from '../value.js';
import {
  addEncryptionKey,
  type EncryptedStore,
  encryptedStore,
  encryptionRules,
  ensureEncryptionFile,
  readEncryptionFile,
} from './index.js';

const secret = (fill: number, bytes = 32) => Buffer.alloc(bytes, fill).toString('base64');
const configuration = (resources: unknown) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'EncryptionConfiguration',
  resources,
});
const aesgcm = (...keys: { name: string; secret: string }[]) => ({ aesgcm: { keys } });
const rulesOf = (...providers: object[]) =>
  encryptionRules(configuration([{ resources: ['secrets'], providers }]), 'FILE');
const first = { name: 'first', secret: secret(1) };
const second = { name: 'second', secret: secret(2) };

const secretKey = '/registry/core/secrets/default/a';
const mapKey = '/registry/core/configmaps/default/a';
const put = (store: Store, key: string, json: string, lease?: bigint) =>
  store.txn([], { type: 'put', key, value: encodeValueText(json), ...(lease === undefined ? {} : { lease }) });
const read = async (store: Store, key: string) => {
  const { entry } = await store.get(key);
  return entry && decodeValue(entry.value).toString();
};

const opened: Store[] = [];
afterAll(() => Promise.all(opened.map(store => store.close())));
async function raw(): Promise<Store> {
  const store = await memoryStore()();
  opened.push(store);
  return store;
}
const over = (store: Store, ...providers: object[]): Promise<EncryptedStore> =>
  encryptedStore(async () => store, rulesOf(...providers))();

storeConformance(
  {
    name: 'memory, encrypted',
    durable: false,
    async create() {
      const clock = manualClock();
      const everything = encryptionRules(
        configuration([{ resources: ['*.*'], providers: [aesgcm(first), { identity: {} }] }]),
        'FILE',
      );
      return { open: encryptedStore(memoryStore({ clock }), everything), elapse: ms => clock.advance(ms) };
    },
  },
  { describe, it },
);

describe('encryption at rest', () => {
  it('seals what the configuration names and nothing else; readers and watchers see what was written', async () => {
    const inner = await raw();
    const store = await over(inner, aesgcm(first), { identity: {} });
    const json = '{"data":{"password":"aHVudGVyMg=="}}';
    for (const key of [secretKey, mapKey]) await put(store, key, json);
    const stored = async (key: string) => Buffer.from((await inner.get(key)).entry!.value);
    expect((await stored(mapKey)).includes('aHVudGVyMg==')).toBe(true);
    expect((await stored(secretKey)).includes('aHVudGVyMg==')).toBe(false);
    expect((await stored(secretKey)).includes('first')).toBe(true);
    expect(await read(store, secretKey)).toBe(json);
    expect((await store.list('/registry/')).entries.map(({ value }) => decodeValue(value).toString())).toEqual([
      json,
      json,
    ]);
    const stop = new AbortController();
    const seen: string[] = [];
    await put(store, secretKey, '{"second":1}');
    for await (const { events } of store.watch('/registry/core/secrets/', 1n, { signal: stop.signal })) {
      for (const { value, previous } of events)
        seen.push(`${decodeValue(value)} after ${previous ? decodeValue(previous.value) : 'nothing'}`);
      if (seen.length >= 2) break;
    }
    expect(seen).toEqual([`${json} after nothing`, `{"second":1} after ${json}`]);
    const conflict = await store.txn([{ key: secretKey, modRevision: 0n }], { type: 'delete', key: secretKey });
    expect(!conflict.ok && decodeValue(conflict.current!.value).toString()).toBe('{"second":1}');
  });

  it('takes another nonce for every value', async () => {
    const inner = await raw();
    const store = await over(inner, aesgcm(first));
    const seen = new Set<string>();
    for (let i = 0; i < 1_200; i++) {
      await put(store, secretKey, '{}');
      seen.add(Buffer.from((await inner.get(secretKey)).entry!.value).toString('hex'));
    }
    expect(seen.size).toBe(1_200);
  });

  it('reads with every key, writes with the first; rewriting brings all to the form that is asked for', async () => {
    const inner = await raw();
    await put(await over(inner, { identity: {} }), secretKey, '"plain"');
    await put(await over(inner, aesgcm(first)), '/registry/core/secrets/default/b', '"by first"');
    const lease = await inner.grantLease(60_000);
    await put(await over(inner, aesgcm(first)), '/registry/core/secrets/default/c', '"leased"', lease);
    const rotated = await over(inner, aesgcm(second, first), { identity: {} });
    const all = async (store: Store) =>
      (await store.list('/registry/')).entries.map(({ value }) => decodeValue(value).toString());
    expect(await all(rotated)).toEqual(['"plain"', '"by first"', '"leased"']);
    expect(await rotated.rewrite()).toEqual({ examined: 3, rewritten: 3, unreadable: [] });
    expect(await rotated.rewrite()).toEqual({ examined: 3, rewritten: 0, unreadable: [] });
    expect(await all(await over(inner, aesgcm(second)))).toEqual(['"plain"', '"by first"', '"leased"']);
    const back = await over(inner, { identity: {} }, aesgcm(second));
    expect((await back.rewrite()).rewritten).toBe(3);
    expect(await all(inner)).toEqual(['"plain"', '"by first"', '"leased"']);
    await inner.revokeLease(lease);
    expect(await all(inner)).toEqual(['"plain"', '"by first"']);
  });

  it('says what is wrong with a value that cannot be opened, and leaves the others readable', async () => {
    const inner = await raw();
    const store = await over(inner, aesgcm(first), { identity: {} });
    const keys = ['a', 'b', 'c', 'd', 'e'].map(name => `/registry/core/secrets/default/${name}`);
    for (const key of keys) await put(store, key, '"value"');
    const [changed, moved, cut, fine] = keys as [string, string, string, string];
    const value = async (key: string) => Buffer.from((await inner.get(key)).entry!.value);
    const flipped = await value(changed);
    flipped[flipped.length - 20]! ^= 1;
    await inner.txn([], { type: 'put', key: changed, value: flipped });
    await inner.txn([], { type: 'put', key: moved, value: await value(fine) });
    await inner.txn([], { type: 'put', key: cut, value: (await value(cut)).subarray(0, 20) });
    await expect(read(inner, fine)).rejects.toThrow(/no key is configured/);
    const { entries } = await store.list('/registry/');
    const texts = entries.map(entry => {
      try {
        return decodeValue(entry.value).toString();
      } catch (error) {
        return (error as Error).message;
      }
    });
    for (const text of texts.slice(0, 3))
      expect(text).toMatch(/cannot be decrypted with the key "first": .* was changed/);
    expect(texts.slice(3)).toEqual(['"value"', '"value"']);
    const wrong = await over(inner, aesgcm({ name: 'first', secret: second.secret }));
    await expect(read(wrong, fine)).rejects.toThrow(/cannot be decrypted with the key "first"/);
    const other = await over(inner, aesgcm(second));
    await expect(read(other, fine)).rejects.toThrow(
      /the key "first", which is not configured \(configured: "second"\)/,
    );
    expect((await other.rewrite()).unreadable).toEqual(keys);
  });

  it('stays in snapshots', async () => {
    const inner = await raw();
    await put(await over(inner, aesgcm(first)), secretKey, '"hidden"');
    const snapshot = await loadSnapshot(saveSnapshot(await over(inner, aesgcm(first))), 'FILE');
    expect(Buffer.from(snapshot.entries[0]!.value).includes('hidden')).toBe(false);
    const restored = await memoryStore({ snapshot })();
    opened.push(restored);
    expect(await read(await over(restored, aesgcm(first)), secretKey)).toBe('"hidden"');
  });
});

describe('the encryption configuration', () => {
  it('names resources as upstream does; the first that matches counts', async () => {
    const rules = encryptionRules(
      configuration([
        { resources: ['secrets', 'deployments.apps'], providers: [aesgcm(first)] },
        { resources: ['*.'], providers: [{ identity: {} }] },
        { resources: ['*.apps'], providers: [aesgcm(second)] },
        { resources: ['*.*'], providers: [aesgcm(second), { identity: {} }] },
      ]),
      'FILE',
    );
    const inner = await raw();
    const store = await encryptedStore(async () => inner, rules)();
    const writes: Record<string, string | undefined> = {
      'core/secrets': 'first',
      'apps/deployments': 'first',
      'core/pods': undefined,
      'apps/replicasets': 'second',
      'batch/jobs': 'second',
    };
    for (const [resource, name] of Object.entries(writes)) {
      const key = `/registry/${resource}/default/x`;
      await put(store, key, '{}');
      const value = Buffer.from((await inner.get(key)).entry!.value);
      expect(value[5]).toBe(name === undefined ? 0 : 1);
      if (name) expect(value.includes(name)).toBe(true);
    }
  });

  it.each([
    [{}, /FILE: kind: EncryptionConfiguration/],
    [configuration([]), /resources: a list with at least one element/],
    [
      configuration([{ resources: ['secrets'], providers: [{ aescbc: { keys: [first] } }] }]),
      /resources\[0\]\.providers\[0\]: the provider aescbc is not supported; supported are aesgcm and identity/,
    ],
    [configuration([{ resources: ['secrets'], providers: [{ kms: {} }] }]), /provider kms is not supported/],
    [
      configuration([{ resources: ['secrets'], providers: [{ aesgcm: { keys: [{ name: 'a', secret: 'AAAA' }] } }] }]),
      /aesgcm\.keys\[0\]\.secret: 16, 24 or 32 bytes .* not 3/,
    ],
    [
      configuration([{ resources: ['secrets'], providers: [aesgcm(first, { ...second, name: 'first' })] }]),
      /two different keys are called "first"/,
    ],
    [configuration([{ resources: 'secrets', providers: [aesgcm(first)] }]), /resources\[0\]\.resources: a list/],
  ])('refuses what it cannot carry out: %j', (value, message) => {
    const check = () => encryptionRules(value, 'FILE');
    expect(check).toThrow(message);
    try {
      check();
    } catch (error) {
      expect(isStoreUnavailable(error)).toBe(true);
    }
  });

  it('is made once, for its owner alone, and gets new keys at the front', async () => {
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-encryption-'));
    try {
      const file = path.join(dir, 'sub', 'encryption.yaml');
      const made = await Promise.all(Array.from({ length: 5 }, () => ensureEncryptionFile(file)));
      expect(new Set(made.map(({ keys }) => [...keys.keys()].join())).size).toBe(1);
      expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
      expect(await fs.readdir(path.dirname(file))).toEqual(['encryption.yaml']);
      const name = await addEncryptionKey(file);
      const rules = await readEncryptionFile(file);
      expect([...rules.keys.keys()]).toEqual([name, ...made[0]!.keys.keys()]);
      expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
      await fs.writeFile(file, 'kind: [');
      await expect(readEncryptionFile(file)).rejects.toThrow(/encryption\.yaml is no YAML/);
    } finally {
      await fs.rm(dir, { recursive: true });
    }
  });
});
