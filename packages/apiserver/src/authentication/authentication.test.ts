import { X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Clock, isStatusError, systemClock } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createAuthority, issueClientCertificate } from '../pki/authority.js';
import {
  adminToken,
  anonymousUser,
  anyAuthenticator,
  bearerToken,
  bearerTokens,
  type Credentials,
  clientCertificates,
  identifyWith,
  readTokenFile,
  writeKubeconfig,
} from './index.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-authentication-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const joe = { username: 'joe', groups: ['dev'] };
const nobody: Credentials = { headers: {}, certificate: undefined };
const bearing = (authorization: string): Credentials => ({ headers: { authorization }, certificate: undefined });

describe('bearer tokens', () => {
  const tokens = bearerTokens([
    ['secret', joe],
    ['other', { username: 'ann', groups: [] }],
  ]);

  it('know the user of each token, and nobody else', async () => {
    expect(await tokens.authenticate(bearing('Bearer secret'))).toEqual(joe);
    expect(await tokens.authenticate(bearing('bearer other'))).toMatchObject({ username: 'ann' });
    for (const header of [
      'Bearer secre',
      'Bearer secret2',
      'Bearer',
      'Bearer ',
      'Basic secret',
      'secret',
      'Bearer a b',
    ]) {
      expect(await tokens.authenticate(bearing(header))).toBeUndefined();
    }
    expect(await tokens.authenticate(nobody)).toBeUndefined();
  });

  it('refuse a token that no header could carry', () => {
    for (const token of ['', 'a b', 'ü']) expect(() => bearerTokens([[token, joe]])).toThrow(TypeError);
  });

  it('take the scheme in any case', () => {
    expect(bearerToken('BEARER x')).toBe('x');
    expect(bearerToken(undefined)).toBeUndefined();
  });

  it('are read from a file, with the line of an error', async () => {
    const file = path.join(dir, 'tokens.csv');
    await fs.writeFile(file, '# tokens\nt1,joe,7,"dev, ops"\r\n\nt2,"a ""b""",\n');
    expect(await readTokenFile(file)).toEqual([
      ['t1', { username: 'joe', uid: '7', groups: ['dev', 'ops'] }],
      ['t2', { username: 'a "b"', groups: [] }],
    ]);
    await fs.writeFile(file, 't1,joe,7\nt2,joe\n');
    await expect(readTokenFile(file)).rejects.toThrow(`${file}:2: expected token,user,uid`);
  });
});

describe('client certificates', () => {
  const at = (now: number): Clock => ({ ...systemClock, now: () => now });

  it('give the common name as user and the organizations as groups', async () => {
    const authority = await createAuthority({ dir });
    const issue = async (username: string, groups: string[]) => {
      const { certificate } = await issueClientCertificate(authority, { name: 'client', username, groups });
      return new X509Certificate(certificate).raw;
    };
    const authenticator = clientCertificates();
    const ask = (certificate: Buffer) => authenticator.authenticate({ headers: {}, certificate });
    const groups = ['system:nodes', 'a, O=system:masters', 'x\ny', 'ü'];
    const certificate = await issue('system:node:n1', groups);
    expect(await ask(certificate)).toEqual({ username: 'system:node:n1', groups });
    expect(await ask(certificate)).toEqual({ username: 'system:node:n1', groups });
    expect(await ask(await issue('one', []))).toEqual({ username: 'one', groups: [] });
    expect(await ask(await issue('', ['system:masters']))).toBeUndefined();
    expect(await authenticator.authenticate(nobody)).toBeUndefined();
    const year = 365 * 24 * 60 * 60_000;
    for (const now of [Date.now() - year, Date.now() + 2 * year]) {
      expect(await clientCertificates({ clock: at(now) }).authenticate({ headers: {}, certificate })).toBeUndefined();
    }
  });
});

describe('several authenticators', () => {
  const down = { authenticate: () => Promise.reject(new Error('backend is down')) };
  const tokens = bearerTokens([['secret', joe]]);

  it('answer with the first that knows the user, also past one that fails', async () => {
    expect(await anyAuthenticator(down, tokens).authenticate(bearing('Bearer secret'))).toEqual(joe);
    await expect(anyAuthenticator(down, tokens).authenticate(nobody)).rejects.toThrow('backend is down');
    expect(await anyAuthenticator(tokens).authenticate(nobody)).toBeUndefined();
  });

  it('give 401 to who is not known; anonymous only when allowed and without credentials', async () => {
    const strict = identifyWith(tokens);
    const open = identifyWith(tokens, { anonymous: true });
    expect(await strict(bearing('Bearer secret'))).toEqual({
      username: 'joe',
      groups: ['dev', 'system:authenticated'],
    });
    for (const attempt of [
      strict(nobody),
      strict(bearing('Bearer x')),
      open(bearing('Bearer x')),
      open({ headers: {}, certificate: Buffer.from('x') }),
    ]) {
      const error = await attempt.catch(error => error);
      expect(isStatusError(error)).toBe(true);
      expect(error).toMatchObject({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
    }
    expect(await open(nobody)).toEqual(anonymousUser);
  });
});

describe('the administrator', () => {
  it('has one random token, kept for its owner alone', async () => {
    const token = await adminToken(dir);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(await adminToken(dir)).toBe(token);
    expect((await fs.stat(path.join(dir, 'admin.token'))).mode & 0o777).toBe(0o600);
    expect(await adminToken(path.join(dir, 'second'))).not.toBe(token);
    await fs.writeFile(path.join(dir, 'admin.token'), 'short');
    await expect(adminToken(dir)).rejects.toThrow(/admin\.token does not hold a token/);
    await fs.chmod(path.join(dir, 'admin.token'), 0o640);
    await expect(adminToken(dir)).rejects.toThrow(/mode 0640/);
  });

  it('gets a kubeconfig of mode 0600 with server, authority and token', async () => {
    const file = path.join(dir, 'new', 'kubeconfig');
    const options = { server: 'https://127.0.0.1:6443', certificateAuthority: 'PEM', token: 'secret' };
    await writeKubeconfig(file, { ...options, token: 'old' });
    await writeKubeconfig(file, options);
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
    expect(parse(await fs.readFile(file, 'utf8'))).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'orbitkit', cluster: { server: options.server, 'certificate-authority-data': 'UEVN' } }],
      users: [{ name: 'kubernetes-admin', user: { token: 'secret' } }],
      contexts: [{ name: 'orbitkit', context: { cluster: 'orbitkit', user: 'kubernetes-admin' } }],
      'current-context': 'orbitkit',
    });
    expect(await fs.readdir(path.dirname(file))).toEqual(['kubeconfig']);
  });
});
