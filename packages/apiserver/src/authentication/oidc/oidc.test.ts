import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fs from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuthority, issueServingCertificate } from '../../pki/authority.js';
import { signToken } from '../json-web-token.js';
import { type OidcIssuer, oidcTokens } from './oidc.js';

let dir: string;
let server: https.Server;
let issuer: string;
let ca: string;
let asked: string[];
const keys = new Map<string, KeyObject>();
const published = new Set<string>();

function newKey(id: string, publish = true): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  keys.set(id, privateKey);
  keys.set(`${id} public`, publicKey);
  if (publish) published.add(id);
}

beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-oidc-'));
  const authority = await createAuthority({ dir });
  const { certificate, key } = await issueServingCertificate(authority, { name: 'issuer' });
  ca = authority.certificate;
  newKey('one');
  server = https.createServer({ cert: certificate, key }, (request, response) => {
    asked.push(request.url!);
    response.setHeader('content-type', 'application/json');
    if (request.url === '/.well-known/openid-configuration')
      return void response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
    const set = [...published].map(kid => ({
      ...keys.get(`${kid} public`)!.export({ format: 'jwk' }),
      kid,
      use: 'sig',
    }));
    response.end(JSON.stringify({ keys: [...set, { kty: 'strange' }] }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise(resolve => server.close(resolve));
  await fs.rm(dir, { recursive: true, force: true });
});

const now = () => Math.floor(Date.now() / 1000);
const claims = (more: object = {}) => ({ iss: issuer, aud: 'orbit', sub: 'ann', exp: now() + 600, ...more });
const token = (more: object = {}, key = 'one', id = key) => signToken(claims(more), keys.get(key)!, id);
const source = (more: Partial<OidcIssuer> = {}) => {
  asked = [];
  return oidcTokens(
    { issuerURL: issuer, clientID: 'orbit', certificateAuthority: ca, ...more },
    { clock: systemClock },
  );
};

it('knows the users of its issuer, asking it once', async () => {
  const oidc = source({ groupsClaim: 'groups', groupsPrefix: 'oidc:' });
  const found = await oidc.authenticate(await token({ groups: ['dev', 'ops'] }));
  expect(found?.user).toEqual({ username: `${issuer}#ann`, groups: ['oidc:dev', 'oidc:ops'] });
  expect(found?.expires).toBeGreaterThan(Date.now());
  await oidc.authenticate(await token());
  expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  const mail = source({ usernameClaim: 'email' });
  expect((await mail.authenticate(await token({ email: 'ann@example.org' })))?.user.username).toBe('ann@example.org');
  expect((await source({ usernamePrefix: '-' }).authenticate(await token()))?.user.username).toBe('ann');
});

it('refuses what is late, for others, forged, or not as required', async () => {
  const oidc = source({ requiredClaims: { hd: 'example.org' }, usernameClaim: 'email' });
  const right = { hd: 'example.org', email: 'ann@example.org' };
  expect((await oidc.authenticate(await token(right)))?.user.username).toBe('ann@example.org');
  newKey('stranger', false);
  const wrong: [Promise<string>, string][] = [
    [token({ ...right, exp: now() - 60 }), 'expired'],
    [token({ ...right, nbf: now() + 600 }), 'not valid yet'],
    [token({ ...right, aud: 'other' }), 'is not for orbit'],
    [token(right, 'stranger', 'one'), 'has signed'],
    [token({ ...right, hd: 'example.com' }), 'claim hd'],
    [token({ hd: 'example.org' }), 'names no user'],
    [token({ ...right, email_verified: false }), 'not verified'],
  ];
  for (const [text, why] of wrong) await expect(oidc.authenticate(await text)).rejects.toThrow(why);
  expect(await oidc.authenticate(await token({ iss: 'https://elsewhere.example' }))).toBeUndefined();
  expect(await oidc.authenticate('no.token')).toBeUndefined();
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims(right))).toString('base64url')}.AA`;
  await expect(oidc.authenticate(none)).rejects.toThrow('signed with none');
});

it('finds a new key of the issuer, and does not run there for every unknown one', async () => {
  let time = Date.now();
  asked = [];
  const clock = { ...systemClock, now: () => time };
  const oidc = oidcTokens({ issuerURL: issuer, clientID: 'orbit', certificateAuthority: ca }, { clock });
  await oidc.authenticate(await token());
  newKey('two');
  time += 11_000;
  expect((await oidc.authenticate(await token({}, 'two')))?.user.username).toBe(`${issuer}#ann`);
  const before = asked.length;
  newKey('three', false);
  for (let i = 0; i < 5; i++) await expect(oidc.authenticate(await token({}, 'three'))).rejects.toThrow();
  expect(asked.length).toBe(before);
});

it('says so when the issuer is not trusted, and takes no plain http', async () => {
  const { certificateAuthority: _, ...rest } = { issuerURL: issuer, clientID: 'orbit', certificateAuthority: ca };
  await expect(oidcTokens(rest, { clock: systemClock }).authenticate(await token())).rejects.toThrow(/certificate/);
  expect(() => oidcTokens({ issuerURL: 'http://x', clientID: 'y' }, { clock: systemClock })).toThrow('https://');
});
