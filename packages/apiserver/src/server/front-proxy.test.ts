/** A proxy that names its users, as kube-apiserver with `--requestheader-client-ca-file` knows it. */
import fs from 'node:fs/promises';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { type Client, ConfigMap, compose, silentLogger } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, createAuthority, issueClientCertificate } from '../pki/authority.js';
import { memoryStore } from '../storage/memory.js';
import { type ApiServer, apiServer } from './api-server.js';

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

let dir: string;
let server: ApiServer;
let admin: Client;
let authority: Authority;
let proxies: Authority;
let proxy: Pair;
let stranger: Pair;
let clusterClient: Pair;
let stop: () => Promise<unknown>;

const certificateOf = (by: Authority, name: string, groups: string[] = []): Promise<Pair> =>
  issueClientCertificate(by, { name, username: name, groups });

beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-front-proxy-'));
  proxies = await createAuthority({ dir: path.join(dir, 'proxies') });
  server = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    dataDir: dir,
    frontProxy: { clientAuthority: proxies.certificate, allowedNames: ['front-proxy-client'] },
  });
  const cluster = compose({ log: silentLogger }, server);
  const running = cluster.run();
  await cluster.ready;
  stop = async () => {
    await cluster[Symbol.asyncDispose]();
    await running;
  };
  admin = server.clientFor({ username: 'root', groups: ['system:masters'] });
  authority = await createAuthority({ dir: path.join(dir, 'pki') });
  proxy = await certificateOf(proxies, 'front-proxy-client');
  stranger = await certificateOf(proxies, 'someone', ['system:masters']);
  clusterClient = await certificateOf(authority, 'ann', ['team']);
}, 60_000);
afterAll(async () => {
  await stop?.();
  await fs.rm(dir, { recursive: true, force: true });
});

function whoAmI(
  pair: Pair | undefined,
  headers: Record<string, string | string[]>,
): Promise<{ code: number; user: any }> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
    const request = https.request(
      `${server.endpoint!.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
      {
        method: 'POST',
        agent: false,
        ca: authority.certificate,
        ...(pair ? { cert: pair.certificate, key: pair.key } : {}),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      },
      response => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          const answer = JSON.parse(Buffer.concat(parts).toString());
          resolve({ code: response.statusCode!, user: answer.status?.userInfo });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

describe('a front proxy', () => {
  const headers = {
    'X-Remote-User': 'joe',
    'X-Remote-Group': ['dev', 'ops'],
    'X-Remote-Uid': 'u-1',
    'X-Remote-Extra-Example.com%2Fscopes': 'all',
  };

  it('names the user, its groups, uid and extras', async () => {
    expect(await whoAmI(proxy, headers)).toEqual({
      code: 201,
      user: {
        username: 'joe',
        uid: 'u-1',
        groups: ['dev', 'ops', 'system:authenticated'],
        extra: { 'example.com/scopes': ['all'] },
      },
    });
  });

  it('that names nobody is nobody, and so is one whose name is not allowed', async () => {
    expect((await whoAmI(proxy, {})).code).toBe(401);
    expect((await whoAmI(stranger, headers)).code).toBe(401);
    // Its authority signs proxies, not users: no group of its certificate counts.
    expect((await whoAmI(stranger, {})).code).toBe(401);
  });

  it('is believed for its certificate alone: in the mouth of others the headers are nothing', async () => {
    expect((await whoAmI(undefined, headers)).code).toBe(401);
    expect((await whoAmI(clusterClient, headers)).user).toMatchObject({ username: 'ann' });
    const token = `Bearer ${await server.adminToken()}`;
    expect((await whoAmI(undefined, { ...headers, authorization: token })).user.username).not.toBe('joe');
  });

  it('is told to extension servers, with the authority of clients', async () => {
    const key = { name: 'extension-apiserver-authentication', namespace: 'kube-system' };
    const { data } = await admin.get(ConfigMap, key);
    expect(data).toEqual({
      'client-ca-file': authority.certificate,
      'requestheader-allowed-names': '["front-proxy-client"]',
      'requestheader-client-ca-file': proxies.certificate,
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-username-headers': '["X-Remote-User"]',
    });
  });
});

it('the authority of the cluster is none of proxies, unless they are named', async () => {
  const own = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    dataDir: dir,
    frontProxy: { clientAuthority: authority.certificate },
  });
  await expect(compose({ log: silentLogger }, own).run()).rejects.toThrow('every client could name any user');
});
