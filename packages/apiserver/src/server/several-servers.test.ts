/** Servers over one store know each other's tokens and certificates without a file being carried from one to the other. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { compose, manualClock, ServiceAccount, silentLogger, TokenReview } from '@orbitkit/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readToken } from '../authentication/json-web-token.js';
import { createAuthority, issueClientCertificate } from '../pki/authority.js';
import type { Store, StoreFactory } from '../storage/contract.js';
import { encryptionRules } from '../storage/encryption/index.js';
import { memoryStore } from '../storage/memory.js';
import { type ApiServer, type ApiServerOptions, apiServer } from './api-server.js';
import { shareAuthority } from './shared-trust.js';

let dir: string;
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-several-'));
});
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
  await fs.rm(dir, { recursive: true, force: true });
});

/** One store behind several servers; it outlives them. */
async function shared(): Promise<{ store: Store; factory: StoreFactory }> {
  const store = await memoryStore()();
  cleanups.push(() => store.close());
  const view = new Proxy(store, {
    get: (target, name) => {
      if (name === 'shared') return true;
      if (name === 'close') return async () => undefined;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { store, factory: async () => view };
}

const root = { username: 'root', groups: ['system:masters'] };
/** Keys of 2048 bits are made here: seconds each on a busy machine. */
vi.setConfig({ testTimeout: 90_000 });

async function serve(options: ApiServerOptions): Promise<{ api: ApiServer; stop: () => Promise<void> }> {
  const api = apiServer({ listen: { port: 0 }, ...options });
  const stopping = new AbortController();
  const cluster = compose({ log: silentLogger }, api);
  const running = cluster.run({ signal: stopping.signal });
  const stop = async () => {
    stopping.abort();
    await running;
  };
  cleanups.push(stop);
  await Promise.race([cluster.ready, running]);
  return { api, stop };
}

/** Who the server at `url` takes the caller for. */
function whoami(url: string, with_: { ca: string; token?: string; cert?: string; key?: string }): Promise<any> {
  const { token, ...tls } = with_;
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
      {
        method: 'POST',
        agent: false,
        ...tls,
        headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      },
      response => {
        let text = '';
        response.setEncoding('utf8').on('data', part => {
          text += part;
        });
        response.on('end', () => resolve({ code: response.statusCode, ...JSON.parse(text).status?.userInfo }));
      },
    );
    request.on('error', reject);
    request.end('{}');
  });
}

async function tokenFrom(api: ApiServer, name = 'robot'): Promise<string> {
  const client = api.clientFor(root);
  await client.create(ServiceAccount, { metadata: { name, namespace: 'default' } }).catch(() => undefined);
  const answer = await client.transport.request({
    method: 'POST',
    path: `/api/v1/namespaces/default/serviceaccounts/${name}/token`,
    body: Buffer.from('{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}'),
    headers: { 'content-type': 'application/json' },
  });
  return JSON.parse(Buffer.from(await answer.bytes()).toString()).status.token;
}

async function keyIds(api: ApiServer): Promise<string[]> {
  const answer = await api.clientFor(root).transport.request({ method: 'GET', path: '/openid/v1/jwks' });
  return JSON.parse(Buffer.from(await answer.bytes()).toString()).keys.map(({ kid }: { kid: string }) => kid);
}

it('started at once, they have one authority, one administrator and one signing key, also after a restart', async () => {
  const { factory } = await shared();
  const [a, b] = await Promise.all(['a', 'b'].map(name => serve({ store: factory, dataDir: path.join(dir, name) })));
  const ca = await a!.api.certificateAuthority();
  expect(await b!.api.certificateAuthority()).toBe(ca);
  // The administrator of one is that of the other, and each is trusted by the other's authority.
  const token = await a!.api.adminToken();
  for (const { api } of [a!, b!])
    expect(await whoami(api.endpoint!.url, { ca, token })).toMatchObject({ code: 201, username: 'kubernetes-admin' });
  // A client certificate that one machine's files have signed.
  const { certificate, key } = await issueClientCertificate(
    await createAuthority({ dir: path.join(dir, 'b', 'pki') }),
    { name: 'ann', username: 'ann' },
  );
  expect(await whoami(a!.api.endpoint!.url, { ca, cert: certificate, key })).toMatchObject({ username: 'ann' });
  // First keys at both at the same time.
  const [fromA, fromB] = await Promise.all([tokenFrom(a!.api, 'one'), tokenFrom(b!.api, 'two')]);
  expect(readToken(fromA)!.keyId).toBe(readToken(fromB)!.keyId);
  expect(await whoami(b!.api.endpoint!.url, { ca, token: fromA })).toMatchObject({
    username: 'system:serviceaccount:default:one',
  });
  expect(await whoami(a!.api.endpoint!.url, { ca, token: fromB })).toMatchObject({
    username: 'system:serviceaccount:default:two',
  });
  await a!.stop();
  await b!.stop();
  const c = await serve({ store: factory, dataDir: path.join(dir, 'c') });
  expect(await whoami(c.api.endpoint!.url, { ca, token: fromA })).toMatchObject({ code: 201 });
  expect(await whoami(c.api.endpoint!.url, { ca, token })).toMatchObject({ code: 201 });
  expect((await fs.stat(path.join(dir, 'c', 'pki', 'ca.key'))).mode & 0o777).toBe(0o600);
});

it('a directory of another cluster is refused, and left as it is', async () => {
  const { factory } = await shared();
  await serve({ store: factory, dataDir: path.join(dir, 'a') });
  const foreign = path.join(dir, 'foreign', 'pki');
  const { certificate } = await createAuthority({ dir: foreign });
  await expect(serve({ store: factory, dataDir: path.join(dir, 'foreign') })).rejects.toThrow(
    'belongs to another cluster',
  );
  cleanups.pop();
  expect(await fs.readFile(path.join(foreign, 'ca.crt'), 'utf8')).toBe(certificate);
});

it("a renewed certificate of the authority gets to the other server's directory", async () => {
  const { factory } = await shared();
  const { api, stop } = await serve({ store: factory, dataDir: path.join(dir, 'a') });
  const old = await api.certificateAuthority();
  await stop();
  // Some other server, years later.
  const store = await factory();
  const clock = manualClock(Date.now() + 7 * 365 * 86_400_000);
  await shareAuthority({ store, dir: path.join(dir, 'b'), clock });
  const renewed = await fs.readFile(path.join(dir, 'b', 'ca.crt'), 'utf8');
  expect(renewed).not.toBe(old);
  expect(new X509Certificate(renewed).verify(new X509Certificate(old).publicKey)).toBe(true);
  const again = await serve({ store: factory, dataDir: path.join(dir, 'a') });
  expect(await again.api.certificateAuthority()).toBe(renewed);
});

it('a rotated key signs at both, what the older one signed is good at both, until it is revoked', async () => {
  const { factory } = await shared();
  const [a, b] = await Promise.all(['a', 'b'].map(name => serve({ store: factory, dataDir: path.join(dir, name) })));
  const ca = await a!.api.certificateAuthority();
  const before = await tokenFrom(a!.api);
  expect(await whoami(b!.api.endpoint!.url, { ca, token: before })).toMatchObject({ code: 201 });
  const operate = async (path: string, method: 'GET' | 'POST' = 'POST') => {
    const answer = await a!.api.clientFor(root).transport.request({ method, path });
    return { code: answer.status, body: JSON.parse(Buffer.from(await answer.bytes()).toString()) };
  };
  const { body } = await operate('/orbitkit/signing-keys/rotate');
  expect(body.keys).toMatchObject([{ state: 'signing' }, { id: readToken(before)!.keyId, state: 'verifying' }]);
  expect(JSON.stringify(body)).not.toContain('PRIVATE');
  expect(await keyIds(b!.api)).toEqual(body.keys.map(({ id }: { id: string }) => id));
  const after = await tokenFrom(a!.api);
  expect(readToken(after)!.keyId).toBe(body.keys[0].id);
  // The other server sees a token of a key that it has not heard of yet.
  for (const token of [before, after])
    for (const { api } of [a!, b!]) expect(await whoami(api.endpoint!.url, { ca, token })).toMatchObject({ code: 201 });
  expect((await operate('/orbitkit/signing-keys/rotate?revoke=maybe')).code).toBe(400);
  expect((await operate('/orbitkit/signing-keys/rotate', 'GET')).code).toBe(405);
  expect((await operate('/orbitkit/signing-keys/rotate?revoke=true')).body.keys).toHaveLength(1);
  expect(await keyIds(b!.api)).toHaveLength(1);
  const review = await a!.api.clientFor(root).create(TokenReview, { metadata: {}, spec: { token: before } } as never);
  expect((review as unknown as { status: { authenticated?: boolean } }).status.authenticated).not.toBe(true);
  const stranger = a!.api.clientFor({ username: 'joe', groups: ['system:authenticated'] });
  expect((await stranger.transport.request({ method: 'GET', path: '/orbitkit/signing-keys' })).status).toBe(403);
});

it('keys lie sealed in a store that is encrypted, and nowhere when they are files', async () => {
  const { store, factory } = await shared();
  const encryption = encryptionRules(
    {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [
        {
          resources: ['secrets'],
          providers: [{ aesgcm: { keys: [{ name: 'k', secret: Buffer.alloc(32, 1).toString('base64') }] } }],
        },
      ],
    },
    'test',
  );
  const sealed = await serve({ store: factory, encryption, dataDir: path.join(dir, 'a') });
  const token = await tokenFrom(sealed.api);
  const { entries } = await store.list('/orbitkit/secrets/');
  expect(entries.map(({ key }) => key)).toEqual([
    '/orbitkit/secrets/admin-token',
    '/orbitkit/secrets/authority',
    '/orbitkit/secrets/service-account-keys',
  ]);
  const text = entries.map(({ value }) => Buffer.from(value).toString('latin1')).join('\n');
  expect(text).not.toContain('KEY');
  expect(text).not.toContain(await sealed.api.adminToken());
  const b = await serve({ store: factory, encryption, dataDir: path.join(dir, 'b') });
  const ca = await b.api.certificateAuthority();
  expect(await whoami(b.api.endpoint!.url, { ca, token })).toMatchObject({ code: 201 });

  await expect(serve({ store: factory, dataDir: path.join(dir, 'c') })).rejects.toThrow(
    'the stored value is encrypted, and no key is configured to read it',
  );
  cleanups.pop();

  const other = await shared();
  const privatePem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' });
  const first = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const second = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = { old: path.join(dir, 'old.key'), new: path.join(dir, 'new.key'), pub: path.join(dir, 'old.pub') };
  await fs.writeFile(files.old, privatePem(first.privateKey), { mode: 0o600 });
  await fs.writeFile(files.new, privatePem(second.privateKey), { mode: 0o600 });
  await fs.writeFile(files.pub, first.publicKey.export({ type: 'spki', format: 'pem' }));
  const one = await serve({
    store: other.factory,
    dataDir: path.join(dir, 'x'),
    serviceAccounts: { signingKeyFile: files.old },
  });
  const signed = await tokenFrom(one.api);
  expect((await other.store.get('/orbitkit/secrets/service-account-keys')).entry).toBeUndefined();
  const rotated = await one.api
    .clientFor(root)
    .transport.request({ method: 'POST', path: '/orbitkit/signing-keys/rotate' });
  expect(rotated.status).toBe(400);
  const two = await serve({
    store: other.factory,
    dataDir: path.join(dir, 'y'),
    serviceAccounts: { signingKeyFile: files.new, keyFiles: [files.pub] },
  });
  const trusted = await two.api.certificateAuthority();
  expect(await whoami(two.api.endpoint!.url, { ca: trusted, token: signed })).toMatchObject({ code: 201 });
  expect(await keyIds(two.api)).toHaveLength(2);
  const ofCurve = await tokenFrom(two.api);
  expect(JSON.parse(Buffer.from(ofCurve.split('.')[0]!, 'base64url').toString())).toMatchObject({ alg: 'ES256' });
  expect(await whoami(two.api.endpoint!.url, { ca: trusted, token: ofCurve })).toMatchObject({ code: 201 });
  const wrong = path.join(dir, 'ed25519.key');
  await fs.writeFile(wrong, privatePem(generateKeyPairSync('ed25519').privateKey), { mode: 0o600 });
  await expect(
    serve({
      store: other.factory,
      dataDir: path.join(dir, 'w'),
      serviceAccounts: { signingKeyFile: wrong },
    }),
  ).rejects.toThrow('holds a key of type ed25519; RSA, or the curve P-256');
  cleanups.pop();
  await expect(
    serve({
      store: other.factory,
      dataDir: path.join(dir, 'z'),
      serviceAccounts: { signingKeyFile: path.join(dir, 'none') },
    }),
  ).rejects.toThrow('there is no such file');
  cleanups.pop();
});
