import { X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CertificateSigningRequest, type Client, compose, silentLogger } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../pki/authority.js';
import { makeCertificateRequest, readCertificateRequest, signCertificateRequest } from '../pki/certificate-request.js';
import { memoryStore } from '../storage/memory.js';
import { apiServer } from './api-server.js';

let dir: string;
beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-csr-'));
});
afterAll(() => fs.rm(dir, { recursive: true, force: true }));

describe('a PKCS#10 request', () => {
  it('is read, proven and signed with its names and usages; never as an authority', async () => {
    const authority = await createAuthority({ dir: path.join(dir, 'pki') });
    const { request } = await makeCertificateRequest({
      commonName: 'system:node:n1',
      organizations: ['system:nodes'],
      hosts: [
        { type: 'dns', value: 'n1.example' },
        { type: 'ip', value: '10.0.0.1' },
      ],
    });
    expect(await readCertificateRequest(request)).toEqual({
      commonName: 'system:node:n1',
      organizations: ['system:nodes'],
      dnsNames: ['n1.example'],
      ipAddresses: ['10.0.0.1'],
      emailAddresses: [],
      uris: [],
    });
    const usages = ['digital signature', 'server auth'];
    const certificate = new X509Certificate(
      await signCertificateRequest(authority, { request, usages, lifetimeMs: 3_600_000 }),
    );
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(certificate.checkHost('n1.example')).toBe('n1.example');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeLessThanOrEqual(3_600_000);
  });

  it('with a bit changed, or of another form, is refused', async () => {
    const { request } = await makeCertificateRequest({ commonName: 'x' });
    const body = Buffer.from(request.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    body.writeUInt8(body.readUInt8(body.length - 10) ^ 1, body.length - 10);
    const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${body.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    await expect(readCertificateRequest(broken)).rejects.toThrow();
    await expect(readCertificateRequest('hello')).rejects.toThrow('PEM block type must be CERTIFICATE REQUEST');
  });
});

describe('a CertificateSigningRequest', () => {
  let admin: Client;
  let clientFor: (username: string, groups: string[]) => Client;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const api = apiServer({ store: memoryStore(), listen: false });
    const stopping = new AbortController();
    const cluster = compose({ log: silentLogger }, api);
    const running = cluster.run({ signal: stopping.signal });
    await cluster.ready;
    clientFor = (username, groups) => api.clientFor({ username, groups });
    admin = clientFor('root', ['system:masters']);
    stop = async () => {
      stopping.abort();
      await running;
    };
  });
  afterAll(() => stop());

  const request = async (
    name: string,
    facts: { commonName: string; organizations?: string[] },
    signerName: string,
    more = {},
  ) => ({
    metadata: { name },
    spec: {
      request: Buffer.from((await makeCertificateRequest(facts)).request).toString('base64'),
      signerName,
      usages: ['digital signature', 'client auth'],
      ...more,
    },
  });
  const refusal = (promise: Promise<unknown>): Promise<any> =>
    promise.then(
      () => 'it was allowed',
      error => error,
    );

  it('says who asked, whatever is written into it', async () => {
    const node = clientFor('system:node:n1', ['system:nodes']);
    const made = await node.create(
      CertificateSigningRequest,
      (await request(
        'mine',
        { commonName: 'system:node:n1', organizations: ['system:nodes'] },
        'kubernetes.io/kube-apiserver-client-kubelet',
        {
          username: 'root',
          groups: ['system:masters'],
        },
      )) as never,
    );
    expect(made.spec).toMatchObject({ username: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
  });

  it('is not for system:masters, and must hold a request', async () => {
    const master = await request(
      'm',
      { commonName: 'x', organizations: ['system:masters'] },
      'kubernetes.io/kube-apiserver-client',
    );
    expect((await refusal(admin.create(CertificateSigningRequest, master as never))).message).toContain(
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    );
    const empty = await request('e', { commonName: 'x' }, 'kubernetes.io/kube-apiserver-client');
    empty.spec.request = Buffer.from('no').toString('base64');
    expect((await refusal(admin.create(CertificateSigningRequest, empty as never))).code).toBe(422);
  });

  it('is approved and signed by those who may, each in their own part', async () => {
    const manager = clientFor('system:kube-controller-manager', []);
    const made = await admin.create(
      CertificateSigningRequest,
      (await request('app', { commonName: 'app' }, 'kubernetes.io/kube-apiserver-client')) as never,
    );
    const approved = { type: 'Approved', status: 'True', reason: 'ByHand', message: 'yes' };
    const approve = (client: Client) =>
      client.updateSubresource<CertificateSigningRequest>(CertificateSigningRequest, { name: 'app' }, 'approval', {
        ...made,
        metadata: { name: 'app' },
        status: { conditions: [approved], certificate: Buffer.from('x').toString('base64') },
      });
    // The manager signs for this signer, but does not approve.
    expect((await refusal(approve(manager))).message).toContain(
      'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"',
    );
    const after = await approve(admin);
    expect(after.status.conditions).toMatchObject([approved]);
    expect(after.status.conditions![0]!.lastUpdateTime).toBeDefined();
    expect(after.status.certificate).toBeUndefined();
    const pem = await fs.readFile(path.join(dir, 'pki', 'ca.crt'), 'utf8');
    const signed = await manager.updateStatus(CertificateSigningRequest, {
      ...after,
      status: { certificate: Buffer.from(pem).toString('base64') },
    });
    expect(signed.status.certificate).toBeDefined();
    expect(signed.status.conditions).toMatchObject([approved]);
    const stranger = clientFor('joe', []);
    expect((await refusal(stranger.updateStatus(CertificateSigningRequest, after))).code).toBe(403);
  });
});
