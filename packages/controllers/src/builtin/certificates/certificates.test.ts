import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  createAuthority,
  makeCertificateRequest,
  readCertificateRequest,
  signCertificateRequest,
} from '@orbitkit/apiserver/pki';
import {
  CertificateSigningRequest,
  type Client,
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  type UserInfo,
} from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { clusterRoleAggregation } from '../cluster-role-aggregation/cluster-role-aggregation.js';
import { rootCAPublisher } from '../root-ca/root-ca-publisher.js';
import { csrApproving } from './csr-approving.js';
import { csrSigning } from './csr-signing.js';

let dir: string;
beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-signing-'));
});
afterAll(() => fs.rm(dir, { recursive: true, force: true }));

const nodeSigner = 'kubernetes.io/kube-apiserver-client-kubelet';

async function plane() {
  const authority = await createAuthority({ dir });
  const sign = (issue: { request: string; usages: readonly string[]; lifetimeMs: number }) =>
    signCertificateRequest(authority, issue);
  const controllers = [
    csrApproving({ read: readCertificateRequest }),
    csrSigning({ read: readCertificateRequest, sign }),
  ];
  return createTestControlPlane({ controllers, rbac: true });
}

const request = async (facts: Parameters<typeof makeCertificateRequest>[0], signerName: string, usages: string[]) =>
  ({
    metadata: { generateName: 'csr-' },
    spec: {
      request: Buffer.from((await makeCertificateRequest(facts)).request).toString('base64'),
      signerName,
      usages,
    },
  }) as never;

const clientUsages = ['digital signature', 'client auth'];
const node: UserInfo = { username: 'system:node:n1', groups: ['system:nodes'] };
const subject = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

describe("a node's client certificate", () => {
  it('is approved and signed when the node renews its own, and says what was asked', async () => {
    await using cluster = await plane();
    const { metadata } = await cluster
      .clientFor(node)
      .create(CertificateSigningRequest, await request(subject, nodeSigner, clientUsages));
    const done = await cluster.eventually(async () => {
      const found = await cluster.client.get(CertificateSigningRequest, { name: metadata.name });
      return found.status.certificate ? found : undefined;
    });
    expect(done.status.conditions).toMatchObject([
      {
        type: 'Approved',
        reason: 'AutoApproved',
        message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
      },
    ]);
    const file = path.join(dir, 'issued.crt');
    await fs.writeFile(file, Buffer.from(done.status.certificate!, 'base64'));
    const text = execFileSync('openssl', [
      'verify',
      '-purpose',
      'sslclient',
      '-CAfile',
      path.join(dir, 'ca.crt'),
      file,
    ]).toString();
    expect(text).toContain('OK');
  });

  it('is not approved for somebody else, nor with names of servers', async () => {
    await using cluster = await plane();
    const joe: UserInfo = { username: 'joe', groups: [] };
    await cluster.client.create(ClusterRoleBinding, {
      metadata: { name: 'joe-asks' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-bootstrapper' },
      subjects: [{ kind: 'User', name: 'joe', apiGroup: 'rbac.authorization.k8s.io' }],
    } as never);
    const more = { ...subject, organizations: ['system:nodes', 'system:masters'] };
    const ask = async (user: UserInfo, facts: Parameters<typeof makeCertificateRequest>[0]) =>
      cluster.clientFor(user).create(CertificateSigningRequest, await request(facts, nodeSigner, clientUsages));
    const asked = [
      await ask(joe, subject),
      await ask(node, more),
      await cluster.client.create(
        CertificateSigningRequest,
        await request({ ...subject, hosts: [{ type: 'dns', value: 'n1' }] }, nodeSigner, clientUsages),
      ),
    ];
    // One that is approved comes after them.
    const last = await cluster.client.create(
      CertificateSigningRequest,
      await request(subject, nodeSigner, clientUsages),
    );
    await cluster.eventually(
      async () =>
        (await cluster.client.get(CertificateSigningRequest, { name: last.metadata.name })).status.certificate,
    );
    for (const { metadata } of asked)
      expect(
        (await cluster.client.get(CertificateSigningRequest, { name: metadata.name })).status.conditions ?? [],
      ).toEqual([]);
    // Nor signed in more groups than a node has, whoever approved it.
    await approve(cluster.client, asked[1]!);
    const failed = await cluster.eventually(async () => {
      const found = await cluster.client.get(CertificateSigningRequest, { name: asked[1]!.metadata.name });
      return found.status.conditions?.find(({ type }) => type === 'Failed');
    });
    expect(failed.message).toBe('organization is not system:nodes');
  });

  it('is not asked for another node at all, for calling nor for serving', async () => {
    await using cluster = await plane();
    const other = cluster.clientFor({ username: 'system:node:n2', groups: ['system:nodes'] });
    for (const [signer, facts, usages] of [
      [nodeSigner, subject, clientUsages],
      [
        'kubernetes.io/kubelet-serving',
        { ...subject, hosts: [{ type: 'dns' as const, value: 'n1' }] },
        ['digital signature', 'server auth'],
      ],
    ] as const)
      await expect(
        other.create(CertificateSigningRequest, await request(facts, signer, [...usages])),
      ).rejects.toMatchObject({
        code: 403,
        message: expect.stringContaining('can only create a node CSR with CN=system:node:n2'),
      });
  });
});

async function approve(client: Client, made: CertificateSigningRequest): Promise<void> {
  await client.updateSubresource(CertificateSigningRequest, { name: made.metadata.name }, 'approval', {
    ...made,
    status: { conditions: [{ type: 'Approved', status: 'True', reason: 'x', message: 'y' }] },
  });
}

it('a client certificate for which nothing but client auth was asked is good for a client', async () => {
  await using cluster = await plane();
  const made = await cluster.client.create(
    CertificateSigningRequest,
    await request({ commonName: 'app' }, 'kubernetes.io/kube-apiserver-client', ['client auth']),
  );
  await cluster.client.updateSubresource(CertificateSigningRequest, { name: made.metadata.name }, 'approval', {
    ...made,
    status: { conditions: [{ type: 'Approved', status: 'True', reason: 'x', message: 'y' }] },
  });
  const certificate = await cluster.eventually(
    async () => (await cluster.client.get(CertificateSigningRequest, { name: made.metadata.name })).status.certificate,
  );
  const file = path.join(dir, 'app.crt');
  await fs.writeFile(file, Buffer.from(certificate, 'base64'));
  const text = execFileSync('openssl', ['verify', '-purpose', 'sslclient', '-CAfile', path.join(dir, 'ca.crt'), file]);
  expect(text.toString()).toContain('OK');
  expect(execFileSync('openssl', ['x509', '-in', file, '-noout', '-text']).toString()).not.toContain(
    'X509v3 Key Usage',
  );
});

it('what the signer does not take fails with the reason, also when a person approved it', async () => {
  await using cluster = await plane();
  const made = await cluster.client.create(
    CertificateSigningRequest,
    await request(subject, 'kubernetes.io/kubelet-serving', ['digital signature', 'server auth']),
  );
  await cluster.client.updateSubresource(CertificateSigningRequest, { name: made.metadata.name }, 'approval', {
    ...made,
    status: { conditions: [{ type: 'Approved', status: 'True', reason: 'x', message: 'y' }] },
  });
  const failed = await cluster.eventually(async () => {
    const found = await cluster.client.get(CertificateSigningRequest, { name: made.metadata.name });
    return found.status.conditions?.find(({ type }) => type === 'Failed');
  });
  expect(failed).toMatchObject({ reason: 'SignerValidationFailure', message: 'DNS or IP subjectAltName is required' });
});

it('every namespace knows the authority, also after somebody changed it', async () => {
  await using cluster = await createTestControlPlane({
    controllers: [rootCAPublisher({ certificateAuthority: () => 'PEM' })],
  });
  const key = { name: 'kube-root-ca.crt', namespace: 'kube-public' };
  const data = async () => (await cluster.client.get(ConfigMap, key).catch(() => undefined))?.data;
  await cluster.eventually(async () => (await data())?.['ca.crt'] === 'PEM');
  await cluster.client.patch(ConfigMap, key, { type: 'merge', patch: { data: { 'ca.crt': 'other', more: 'x' } } });
  await cluster.eventually(async () => JSON.stringify(await data()) === '{"ca.crt":"PEM"}');
  await cluster.client.delete(ConfigMap, key);
  await cluster.eventually(async () => (await data()) !== undefined);
});

it('an aggregated role has the rules of those that its selectors choose', async () => {
  await using cluster = await createTestControlPlane({ controllers: [clusterRoleAggregation()] });
  const { client } = cluster;
  const rule = (resource: string) => ({ verbs: ['get'], apiGroups: [''], resources: [resource] });
  const role = (name: string, rules: object[], labels = {}) =>
    client.create(ClusterRole, { metadata: { name, labels }, rules } as never);
  await client.create(ClusterRole, {
    metadata: { name: 'all' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { into: 'all' } }] },
    rules: [],
  } as never);
  await role('b', [rule('pods'), rule('nodes')], { into: 'all' });
  await role('a', [rule('pods')], { into: 'all' });
  await role('c', [rule('secrets')]);
  const rules = async () => (await client.get(ClusterRole, { name: 'all' })).rules;
  await cluster.eventually(async () => (await rules())?.length === 2);
  expect(await rules()).toEqual([rule('pods'), rule('nodes')]);
  await client.delete(ClusterRole, { name: 'b' });
  await cluster.eventually(async () => (await rules())?.length === 1);
});
