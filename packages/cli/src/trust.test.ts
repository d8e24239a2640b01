/** A node's client certificate: asked for, kept, and asked for again by the node itself when its time has come. */
import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueClientCertificate } from '@orbitkit/apiserver/pki';
import { csrApproving, csrSigning } from '@orbitkit/controllers';
import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { CertificateSigningRequest } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { requestedFor, trustOf } from './trust.js';

it('is renewed by its own identity, before 90 % of its life are over', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-trust-'));
  const { certificates } = trustOf(dataDir);
  const controllers = [csrApproving(certificates), csrSigning(certificates)];
  await using cluster = await createTestControlPlane({ controllers, rbac: true });
  const dir = join(dataDir, 'node');
  const { signal } = new AbortController();
  const node = cluster.clientFor({ username: 'system:node:n1', groups: ['system:nodes'] });
  try {
    const first = await requestedFor(dir, 'n1', cluster.client, signal);
    const made = new X509Certificate(first.cert);
    expect(made.subject).toBe('O=system:nodes\nCN=system:node:n1');
    const life = Date.parse(made.validTo) - Date.parse(made.validFrom);
    const share = (first.renewAt - Date.parse(made.validFrom)) / life;
    expect(share).toBeGreaterThanOrEqual(0.7);
    expect(share).toBeLessThanOrEqual(0.9);
    expect((await stat(join(dir, 'node-client.key'))).mode & 0o777).toBe(0o600);
    expect(await requestedFor(dir, 'n1', node, signal)).toEqual(first);
    expect((await cluster.client.list(CertificateSigningRequest)).items).toHaveLength(1);

    // One whose time has come lies there instead.
    const authority = await createAuthority({ dir: join(dataDir, 'pki') });
    const name = { name: 'old', username: 'system:node:n1', groups: ['system:nodes'] };
    const old = await issueClientCertificate(authority, { ...name, lifetimeMs: 1_000 });
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'node-client.crt'), old.certificate);
    await writeFile(join(dir, 'node-client.key'), old.key);
    await expect.poll(() => Date.now() > Date.parse(new X509Certificate(old.certificate).validTo)).toBe(true);
    const next = await requestedFor(dir, 'n1', node, signal);
    expect(next.renewAt).toBeGreaterThan(Date.now());
    expect(next.cert).not.toBe(first.cert);
    expect((await cluster.client.list(CertificateSigningRequest)).items.map(({ spec }) => spec.username)).toContain(
      'system:node:n1',
    );
  } finally {
    await rm(dataDir, { recursive: true });
  }
});
