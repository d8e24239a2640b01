import { X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import type { Clock } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueClientCertificate, issueServingCertificate } from './authority.js';
import { certificateFingerprint, type KeyPair } from './certificate.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-pki-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const start = Date.now();
const day = 24 * 60 * 60_000;
const clockAt = (now: number): Clock => ({
  now: () => now,
  sleep: () => Promise.reject(new Error('not used')),
  setTimer: () => ({ cancel: () => undefined }),
});
const mode = async (...parts: string[]) => (await fs.stat(path.join(dir, ...parts))).mode & 0o777;

interface Met {
  authorized: boolean;
  clientSubject: string | undefined;
  error: Error | undefined;
}

/** One TLS connection on the loopback, both sides checking the other against the authority. */
async function meet(options: { ca: string; server: KeyPair; client?: KeyPair; servername?: string }): Promise<Met> {
  const { ca, server, client, servername } = options;
  const met: Met = { authorized: false, clientSubject: undefined, error: undefined };
  const listener = tls.createServer(
    { cert: server.certificate, key: server.key, ca, requestCert: true, rejectUnauthorized: false },
    socket => {
      met.authorized = socket.authorized;
      met.clientSubject = socket.getPeerX509Certificate()?.subject;
      socket.on('error', () => undefined).end('x');
    },
  );
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  await new Promise<void>(resolve => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca,
      ...(servername === undefined ? {} : { servername }),
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    });
    socket.on('data', () => undefined);
    socket.on('error', error => {
      met.error = error;
    });
    socket.on('close', () => resolve());
  });
  await new Promise(resolve => listener.close(resolve));
  return met;
}

describe('the authority', () => {
  it('is kept with its key for its owner alone, and used again', async () => {
    const first = await createAuthority({ dir });
    const again = await createAuthority({ dir });
    expect(again.certificate).toBe(first.certificate);
    expect(again.key).toBe(first.key);
    expect([await mode(), await mode('ca.key'), await mode('ca.crt')]).toEqual([0o700, 0o600, 0o644]);
    const certificate = new X509Certificate(first.certificate);
    expect(certificate.ca).toBe(true);
    expect(certificate.subject).toBe('CN=orbitkit-ca');
    expect((Date.parse(certificate.validTo) - start) / day).toBeCloseTo(3650, 0);
    expect((await fs.readdir(dir)).sort()).toEqual(['ca.crt', 'ca.key']);
  });

  it('is renewed after two thirds of its time with the same key, and its older certificate still verifies what it signs', async () => {
    const first = await createAuthority({ dir, clock: clockAt(start) });
    expect((await createAuthority({ dir, clock: clockAt(start + 2000 * day) })).certificate).toBe(first.certificate);
    const renewed = await createAuthority({ dir, clock: clockAt(start + 2500 * day) });
    expect(renewed.certificate).not.toBe(first.certificate);
    expect(renewed.key).toBe(first.key);
    const serving = await issueServingCertificate({ ...renewed, clock: clockAt(start) });
    expect(new X509Certificate(serving.certificate).verify(new X509Certificate(first.certificate).publicKey)).toBe(
      true,
    );
    const met = await meet({ ca: first.certificate, server: serving, servername: 'localhost' });
    expect(met.error).toBeUndefined();
  });

  it('refuses a key that others may read, and a certificate that is none', async () => {
    await createAuthority({ dir });
    await fs.chmod(path.join(dir, 'ca.key'), 0o644);
    await expect(createAuthority({ dir })).rejects.toThrow(/ca\.key holds a secret but has mode 0644.*chmod 600/);
    await fs.chmod(path.join(dir, 'ca.key'), 0o600);
    await fs.writeFile(path.join(dir, 'ca.crt'), 'no certificate');
    await expect(createAuthority({ dir })).rejects.toThrow(/ca\.crt is not a certificate in PEM form/);
  });

  it('gets a new certificate for its key when a crash came between the two files', async () => {
    const first = await createAuthority({ dir });
    await fs.rm(path.join(dir, 'ca.crt'));
    expect((await createAuthority({ dir })).key).toBe(first.key);
  });
});

describe('a serving certificate', () => {
  it('is good for the loopback, the kubernetes service and the hosts given, and for no other', async () => {
    const authority = await createAuthority({ dir });
    const server = await issueServingCertificate(authority, { hosts: ['box.example', '10.0.0.1', '[fd00::1]'] });
    expect(await mode('apiserver.key')).toBe(0o600);
    for (const servername of ['localhost', 'kubernetes.default.svc', 'box.example']) {
      expect((await meet({ ca: authority.certificate, server, servername })).error).toBeUndefined();
    }
    // Without a server name the address is compared: 127.0.0.1.
    expect((await meet({ ca: authority.certificate, server })).error).toBeUndefined();
    const wrong = await meet({ ca: authority.certificate, server, servername: 'other.example' });
    expect(wrong.error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    const certificate = new X509Certificate(server.certificate);
    expect([certificate.checkIP('::1'), certificate.checkIP('10.0.0.1'), certificate.checkIP('fd00::1')]).not.toContain(
      undefined,
    );
    expect(certificate.checkIP('10.0.0.2')).toBeUndefined();
  });

  it('is not trusted under another authority', async () => {
    const authority = await createAuthority({ dir });
    const server = await issueServingCertificate(authority);
    const other = await createAuthority({ dir: path.join(dir, 'other') });
    expect((await meet({ ca: other.certificate, server, servername: 'localhost' })).error).toBeDefined();
  });

  it('is used again until two thirds of its year are over or it lacks a host', async () => {
    const authority = await createAuthority({ dir, clock: clockAt(start) });
    const first = await issueServingCertificate(authority, { hosts: ['a.example'] });
    expect((first.renewAt - start) / day).toBeCloseTo((365 * 2) / 3, 0);
    expect((await issueServingCertificate(authority)).certificate).toBe(first.certificate);
    expect((await issueServingCertificate(authority, { hosts: ['A.example'] })).certificate).toBe(first.certificate);
    const wider = await issueServingCertificate(authority, { hosts: ['b.example'] });
    expect(wider.certificate).not.toBe(first.certificate);
    const later = { ...authority, clock: clockAt(first.renewAt + day) };
    const renewed = await issueServingCertificate(later, { hosts: ['b.example'] });
    expect(renewed.certificate).not.toBe(wider.certificate);
    expect(renewed.renewAt).toBeGreaterThan(later.clock.now());
  });

  it('is issued anew when another authority has taken the place of its own', async () => {
    const first = await issueServingCertificate(await createAuthority({ dir }));
    await fs.rm(path.join(dir, 'ca.key'));
    await fs.rm(path.join(dir, 'ca.crt'));
    const authority = await createAuthority({ dir });
    const second = await issueServingCertificate(authority);
    expect(second.certificate).not.toBe(first.certificate);
    expect((await meet({ ca: authority.certificate, server: second, servername: 'localhost' })).error).toBeUndefined();
  });
});

describe('a client certificate', () => {
  it('proves user and groups to a server that trusts the authority', async () => {
    const authority = await createAuthority({ dir });
    const server = await issueServingCertificate(authority);
    const options = { name: 'scheduler', username: 'system:kube-scheduler', groups: ['one, two', 'three'] };
    const client = await issueClientCertificate(authority, options);
    expect((await issueClientCertificate(authority, options)).certificate).toBe(client.certificate);
    const met = await meet({ ca: authority.certificate, server, client, servername: 'localhost' });
    expect(met).toMatchObject({ authorized: true, error: undefined });
    expect(met.clientSubject).toContain('CN=system:kube-scheduler');
    const moved = await issueClientCertificate(authority, { ...options, groups: ['three'] });
    expect(moved.certificate).not.toBe(client.certificate);
  });

  it('cannot be replaced by a serving certificate', async () => {
    const authority = await createAuthority({ dir });
    const server = await issueServingCertificate(authority);
    const met = await meet({ ca: authority.certificate, server, client: server, servername: 'localhost' });
    expect(met.authorized).toBe(false);
  });

  it('refuses a name that would leave the directory', async () => {
    const authority = await createAuthority({ dir });
    await expect(issueClientCertificate(authority, { name: '../x', username: 'x' })).rejects.toThrow(TypeError);
  });
});

it('a fingerprint is that of the DER form, from PEM and from DER', async () => {
  const { certificate } = await createAuthority({ dir });
  const { raw, fingerprint256 } = new X509Certificate(certificate);
  expect(certificateFingerprint(certificate)).toBe(certificateFingerprint(raw));
  expect(certificateFingerprint(certificate)).toMatch(/^[0-9a-f]{64}$/);
  expect(certificateFingerprint(certificate)).toBe(fingerprint256.replaceAll(':', '').toLowerCase());
});
