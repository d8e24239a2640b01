/**
 * How the roles of a cluster prove who they are, and what vouches for them. Each component acts as a user of its own (its `user`), never as
 * the administrator whose kubeconfig led it to the cluster.
 *
 * On the machine that keeps the authority (`DIR/pki/ca.key`) a role issues its client certificate itself. Elsewhere a node asks for its
 * certificate with a CertificateSigningRequest, by the identity of the kubeconfig that it was given, as a kubelet does; other roles act as
 * that identity: give each a kubeconfig of its own.
 */
import { X509Certificate } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createAuthority,
  issueClientCertificate,
  makeCertificateRequest,
  readCertificateRequest,
  signCertificateRequest,
} from '@orbitkit/apiserver/pki';
import type { StandardControllersOptions } from '@orbitkit/controllers';
import { CertificateSigningRequest, type Client, type UserInfo } from '@orbitkit/core';
import { CommandError } from './terminal.js';

export type ClusterTrust = Pick<StandardControllersOptions, 'certificateAuthority' | 'certificates'>;

export const controllerManagerUser: UserInfo = {
  username: 'system:kube-controller-manager',
  groups: ['system:authenticated'],
};

/** PEM. */
export interface ClientKeyPair {
  readonly cert: string;
  readonly key: string;
  /** Milliseconds since 1970: another one is wanted from then on. */
  readonly renewAt: number;
}

const authorityDir = (dataDir: string): string => join(dataDir, 'pki');

export async function keepsAuthority(dataDir: string): Promise<boolean> {
  return access(join(authorityDir(dataDir), 'ca.key')).then(
    () => true,
    () => false,
  );
}

/** For the controllers on the machine of the authority: they publish it and sign under it. */
export function trustOf(dataDir: string): Required<ClusterTrust> {
  const authority = () => createAuthority({ dir: authorityDir(dataDir) });
  return {
    certificateAuthority: async () => (await authority()).certificate,
    certificates: {
      read: readCertificateRequest,
      sign: async issue => signCertificateRequest(await authority(), issue),
    },
  };
}

/** On the machine of the authority. The files are named after the user. */
export async function issuedFor(dataDir: string, { username, groups }: UserInfo): Promise<ClientKeyPair> {
  const authority = await createAuthority({ dir: authorityDir(dataDir) });
  const name = username.replace(/^system:/, '').replaceAll(':', '-');
  const organizations = groups.filter(group => group !== 'system:authenticated');
  const { certificate, key, renewAt } = await issueClientCertificate(authority, {
    name,
    username,
    groups: organizations,
  });
  return { cert: certificate, key, renewAt };
}

const pollMs = 500;
const waitMs = 120_000;

/**
 * Asks the cluster for a node's client certificate and keeps it under `dir`; the one from before is used while its time has not come. A
 * node asks for the next one with the one that it has, which nobody needs to approve.
 */
export async function requestedFor(
  dir: string,
  nodeName: string,
  client: Client,
  signal: AbortSignal,
): Promise<ClientKeyPair> {
  const files = { cert: join(dir, 'node-client.crt'), key: join(dir, 'node-client.key') };
  const kept = await keptPair(files);
  if (kept !== undefined) return kept;
  const username = `system:node:${nodeName}`;
  const { request, key } = await makeCertificateRequest({ commonName: username, organizations: ['system:nodes'] });
  const { metadata } = await client.create(
    CertificateSigningRequest,
    {
      metadata: { generateName: 'node-csr-' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
        usages: ['digital signature', 'client auth'],
      },
    } as never,
    { signal },
  );
  for (const until = Date.now() + waitMs; ; ) {
    const { status } = await client.get(CertificateSigningRequest, { name: metadata.name }, { signal });
    const refused = status.conditions?.find(({ type }) => type === 'Denied' || type === 'Failed');
    if (refused !== undefined)
      throw new CommandError(
        `the certificate request ${metadata.name} was refused: ${refused.message ?? refused.type}`,
      );
    if (status.certificate) {
      const cert = Buffer.from(status.certificate, 'base64').toString();
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await replaceFile(files.key, key);
      await replaceFile(files.cert, cert);
      return { cert, key, renewAt: renewTime(cert) };
    }
    if (Date.now() > until)
      throw new CommandError(
        `nobody has approved and signed the certificate request ${metadata.name} within two minutes: is "orbit controller-manager" running, and may you ask for nodes? (orbit certificate approve ${metadata.name})`,
      );
    await sleep(pollMs, undefined, { signal });
  }
}

/** A key without its certificate is not used: the next start asks again. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function keptPair(files: { cert: string; key: string }): Promise<ClientKeyPair | undefined> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => undefined);
  const [cert, key] = await Promise.all([read(files.cert), read(files.key)]);
  if (cert === undefined || key === undefined) return undefined;
  const renewAt = renewTime(cert);
  return Date.now() < renewAt ? { cert, key, renewAt } : undefined;
}

/** When between 70 and 90 % of its life are over (client-go `util/certificate`); by chance, but each time the same for one certificate. */
function renewTime(certificate: string): number {
  const { validFrom, validTo, fingerprint256 } = new X509Certificate(certificate);
  const from = Date.parse(validFrom);
  const chance = Number.parseInt(fingerprint256.replaceAll(':', '').slice(0, 8), 16) / 2 ** 32;
  return from + (Date.parse(validTo) - from) * (0.7 + 0.2 * chance);
}
