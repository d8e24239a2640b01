/**
 * Tokens across issuers: what this server publishes is enough for others to verify its service accounts' tokens, and it takes the tokens of an
 * outside issuer. Here one cluster is the issuer of the other; its documents are published elsewhere, as `keySetURL` is meant for.
 */
import { createPublicKey, verify } from 'node:crypto';
import fs from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {
  type Client,
  ClusterRoleBinding,
  compose,
  createClient,
  httpTransport,
  SelfSubjectReview,
  ServiceAccount,
  SubjectAccessReview,
  silentLogger,
  TokenReview,
} from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readToken } from '../authentication/json-web-token.js';
import { createAuthority, issueServingCertificate } from '../pki/authority.js';
import { memoryStore } from '../storage/memory.js';
import { type ApiServer, type ApiServerOptions, apiServer } from './api-server.js';

const root = { username: 'root', groups: ['system:masters'] };
const cleanups: (() => Promise<unknown>)[] = [];
let dir: string;
let issuer: string;
let issuing: ApiServer;
let trusting: ApiServer;

beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-issuer-'));
  cleanups.push(() => fs.rm(dir, { recursive: true, force: true }));
  const authority = await createAuthority({ dir: path.join(dir, 'front') });
  const { certificate, key } = await issueServingCertificate(authority, { name: 'front' });
  // A public place for the two documents.
  const front = https.createServer({ cert: certificate, key }, (request, response) => {
    issuing
      .clientFor(root)
      .transport.request({ method: 'GET', path: request.url! })
      .then(async answer => response.writeHead(answer.status, answer.headers).end(await answer.bytes()))
      .catch(() => response.destroy());
  });
  await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise(resolve => front.close(resolve).closeAllConnections()));
  issuer = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
  issuing = await serve('issuing', {
    serviceAccounts: { issuer, keySetURL: `${issuer}/openid/v1/jwks`, apiAudiences: ['api', issuer] },
  });
  trusting = await serve('trusting', {
    oidc: [
      { issuerURL: issuer, clientID: 'trusting', usernamePrefix: 'far:', certificateAuthority: authority.certificate },
    ],
  });
  await issuing.clientFor(root).create(ServiceAccount, { metadata: { name: 'robot', namespace: 'default' } });
});
afterAll(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function serve(name: string, options: Partial<ApiServerOptions>): Promise<ApiServer> {
  const api = apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: path.join(dir, name), ...options });
  const stop = new AbortController();
  const cluster = compose({ log: silentLogger }, api);
  const running = cluster.run({ signal: stop.signal });
  cleanups.push(async () => {
    stop.abort();
    await running;
  });
  await Promise.race([cluster.ready, running]);
  return api;
}

async function tokenFor(...audiences: string[]): Promise<string> {
  const answer = await issuing.clientFor(root).transport.request({
    method: 'POST',
    path: '/api/v1/namespaces/default/serviceaccounts/robot/token',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences } }),
  });
  return JSON.parse(Buffer.from(await answer.bytes()).toString()).status.token;
}

async function as(api: ApiServer, token: string): Promise<Client> {
  const client = createClient(
    httpTransport({ server: api.endpoint!.url, ca: await api.certificateAuthority(), token }),
  );
  cleanups.push(() => client.close());
  return client;
}

const statusOf = async (promise: Promise<unknown>): Promise<any> => ((await promise) as { status: object }).status;
const review = (api: ApiServer, token: string, audiences?: string[]) =>
  statusOf(
    api
      .clientFor(root)
      .create(TokenReview, { metadata: {}, spec: { token, ...(audiences ? { audiences } : {}) } } as never),
  );

it('the documents say where the keys are, and the keys verify a token; service accounts may read them, strangers not', async () => {
  const token = await tokenFor();
  const { transport } = await as(issuing, token);
  const configuration = await transport.request({ method: 'GET', path: '/.well-known/openid-configuration' });
  expect(configuration.headers).toMatchObject({
    'content-type': 'application/json',
    'cache-control': 'public, max-age=3600',
  });
  expect(JSON.parse(Buffer.from(await configuration.bytes()).toString())).toEqual({
    issuer,
    jwks_uri: `${issuer}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  });
  const published = await transport.request({ method: 'GET', path: '/openid/v1/jwks' });
  expect(published.headers).toMatchObject({
    'content-type': 'application/jwk-set+json',
    'cache-control': 'public, max-age=3600',
  });
  const { keys } = JSON.parse(Buffer.from(await published.bytes()).toString());
  expect(Object.keys(keys[0]).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
  const read = readToken(token)!;
  const jwk = keys.find(({ kid }: { kid: string }) => kid === read.keyId);
  expect(verify('sha256', read.signed, createPublicKey({ key: jwk, format: 'jwk' }), read.signature)).toBe(true);
  for (const path of ['/.well-known/openid-configuration', '/openid/v1/jwks']) {
    const joe = issuing.clientFor({ username: 'joe', groups: ['system:authenticated'] });
    expect((await joe.transport.request({ method: 'GET', path })).status).toBe(403);
    expect((await (await as(issuing, 'nobody')).transport.request({ method: 'GET', path })).status).toBe(401);
  }
  // Without an address of their own the documents name that of the server.
  const own = await trusting
    .clientFor(root)
    .transport.request({ method: 'GET', path: '/.well-known/openid-configuration' });
  expect(JSON.parse(Buffer.from(await own.bytes()).toString())).toMatchObject({
    issuer: 'https://kubernetes.default.svc.cluster.local',
    jwks_uri: `${trusting.endpoint!.url}/openid/v1/jwks`,
  });
});

it("an outside issuer's user is known here by a token for this cluster, and has the rights that it is given", async () => {
  const name = 'far:system:serviceaccount:default:robot';
  const token = await tokenFor('trusting');
  const client = await as(trusting, token);
  expect(await statusOf(client.create(SelfSubjectReview, { metadata: {} } as never))).toMatchObject({
    userInfo: { username: name, groups: ['system:authenticated'] },
  });
  const list = () => client.transport.request({ method: 'GET', path: '/api/v1/namespaces' });
  expect((await list()).status).toBe(403);
  const admin = trusting.clientFor(root);
  await admin.create(ClusterRoleBinding, {
    metadata: { name: 'far' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
  } as never);
  await expect.poll(async () => (await list()).status).toBe(200);
  const may = (verb: string, resource: string) =>
    statusOf(
      admin.create(SubjectAccessReview, {
        metadata: {},
        spec: { user: name, resourceAttributes: { verb, resource, namespace: 'default' } },
      } as never),
    );
  expect(await may('list', 'pods')).toMatchObject({ allowed: true });
  expect(await may('list', 'secrets')).toMatchObject({ allowed: false });
  expect(await review(trusting, token)).toMatchObject({
    authenticated: true,
    user: { username: name },
    audiences: ['https://kubernetes.default.svc.cluster.local'],
  });
  // Such a token is for the API: for others it says nothing.
  expect((await review(trusting, token, ['vault'])).authenticated).not.toBe(true);
});

it('a token for somebody else is nobody here', async () => {
  for (const token of [await tokenFor('other'), await tokenFor()]) {
    const client = await as(trusting, token);
    expect((await client.transport.request({ method: 'GET', path: '/api' })).status).toBe(401);
    expect((await review(trusting, token)).authenticated).not.toBe(true);
  }
  // At home audiences decide as well; a review answers those of the asked ones that the token is for.
  expect(
    (await (await as(issuing, await tokenFor('trusting'))).transport.request({ method: 'GET', path: '/api' })).status,
  ).toBe(401);
  expect(
    (await (await as(issuing, await tokenFor('api'))).transport.request({ method: 'GET', path: '/api' })).status,
  ).toBe(200);
  expect(await review(issuing, await tokenFor('vault', 'trusting'), ['trusting', 'x'])).toMatchObject({
    authenticated: true,
    audiences: ['trusting'],
  });
});
