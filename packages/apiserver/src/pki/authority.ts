/**
 * The cluster's certificate authority and the certificates it signs, kept under one directory (mode 0700, keys 0600) and
 * used again after a restart.
 *
 * Times are those of kubeadm: an authority is good for ten years, a certificate for one. Both are renewed once two thirds of that are
 * over, when they are asked for; `renewAt` says when a process that runs longer should ask again. A renewed authority keeps its key
 * and name, so everything it signed, and every client that knows its older certificate, stays valid.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Clock, systemClock } from '@orbitkit/core';
import {
  backdateMs,
  type CertificateUse,
  canonicalHost,
  hostsOf,
  type KeyPair,
  makeCertificate,
  type Subject,
} from './certificate.js';
import { makeSecretDirectory, readSecretFile, writeFileWhole } from './secret-file.js';

const day = 24 * 60 * 60_000;
const authorityMs = 10 * 365 * day;
const certificateMs = 365 * day;
const renewAfter = 2 / 3;
const fileNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Names that a client inside or beside the cluster may use for the API server. */
export const servingHosts: readonly string[] = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  '127.0.0.1',
  '::1',
];

/** Where it is kept, and how a new one is called. */
export interface AuthorityOptions {
  /** Where `ca.crt`, `ca.key` and what it signs are kept. Created when missing. */
  dir: string;
  /** Default: `orbitkit-ca`. */
  commonName?: string;
  clock?: Clock;
}

/** An authority whose key is at hand. */
export interface Authority {
  readonly dir: string;
  /** PEM; what clients trust. */
  readonly certificate: string;
  /** PEM; never leaves this machine. */
  readonly key: string;
  readonly clock: Clock;
}

/** A certificate with its key, and when the next one should be asked for. */
export interface IssuedCertificate extends KeyPair {
  /** Milliseconds since 1970: issue again from then on. */
  readonly renewAt: number;
}

/** Opens the authority under `dir`, or makes one. @throws Error when its files are not usable. */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const clock = options.clock ?? systemClock;
  const dir = path.resolve(options.dir);
  await makeSecretDirectory(dir);
  const pair = await kept(dir, 'ca', clock, {
    subject: { commonName: options.commonName ?? 'orbitkit-ca' },
    use: { type: 'authority' },
    lifetimeMs: authorityMs,
  });
  return { dir, certificate: pair.certificate, key: pair.key, clock };
}

/** For which server a certificate is. */
export interface ServingCertificateOptions {
  /** Under which files it is kept: `NAME.crt`, `NAME.key`. Default: `apiserver`. */
  name?: string;
  /** Host names and addresses beside `servingHosts`. */
  hosts?: readonly string[];
  /** Of a new one. Default: a year. */
  lifetimeMs?: number;
}

/** For a server's TLS: good for `servingHosts` and the hosts given. The one from before is used again when it covers them all. */
export function issueServingCertificate(
  authority: Authority,
  options: ServingCertificateOptions = {},
): Promise<IssuedCertificate> {
  const name = options.name ?? 'apiserver';
  const hosts = [...new Set([...servingHosts, ...(options.hosts ?? [])].map(canonicalHost))];
  return kept(authority.dir, name, authority.clock, {
    subject: { commonName: name },
    use: { type: 'serving', hosts },
    lifetimeMs: options.lifetimeMs ?? certificateMs,
    issuer: authority,
  });
}

/** For whom a certificate is, in Kubernetes' terms. */
export interface ClientCertificateOptions {
  /** Under which files it is kept: `NAME.crt`, `NAME.key`. */
  name: string;
  /** Becomes the common name. */
  username: string;
  /** Become organizations. */
  groups?: readonly string[];
  /** Of a new one. Default: a year. */
  lifetimeMs?: number;
}

/** Proves to a server that trusts this authority who the client is. */
export function issueClientCertificate(
  authority: Authority,
  options: ClientCertificateOptions,
): Promise<IssuedCertificate> {
  return kept(authority.dir, options.name, authority.clock, {
    subject: { commonName: options.username, organizations: options.groups ?? [] },
    use: { type: 'client' },
    lifetimeMs: options.lifetimeMs ?? certificateMs,
    issuer: authority,
  });
}

interface Wanted {
  readonly subject: Subject;
  readonly use: CertificateUse;
  readonly lifetimeMs: number;
  readonly issuer?: KeyPair;
}

/** The certificate from before when it is still what is wanted, a new one otherwise. */
async function kept(dir: string, name: string, clock: Clock, wanted: Wanted): Promise<IssuedCertificate> {
  if (!fileNamePattern.test(name))
    throw new TypeError(`"${name}" cannot name the files of a certificate: use letters, digits, dots and dashes`);
  const files = { certificate: path.join(dir, `${name}.crt`), key: path.join(dir, `${name}.key`) };
  const before = await readPair(files);
  const now = clock.now();
  if (before !== undefined) {
    const certificate = parse(files.certificate, before.certificate);
    const renewAt = renewTime(certificate);
    if (now < renewAt && fits(certificate, before.key, wanted)) return { ...before, renewAt };
  }
  // An authority keeps its key: what it signed must stay valid.
  const key = wanted.use.type === 'authority' ? (before?.key ?? (await readSecretFile(files.key))) : undefined;
  const pair = await makeCertificate({
    subject: wanted.subject,
    use: wanted.use,
    notBefore: now,
    notAfter: now + wanted.lifetimeMs,
    ...(wanted.issuer === undefined ? {} : { issuer: wanted.issuer }),
    ...(key === undefined ? {} : { key }),
  });
  // The key first: a certificate without its key would be of no use, a key without its certificate is replaced or certified again.
  await writeFileWhole(files.key, pair.key, 0o600);
  await writeFileWhole(files.certificate, pair.certificate, 0o644);
  return { ...pair, renewAt: renewTime(new X509Certificate(pair.certificate)) };
}

function renewTime(certificate: X509Certificate): number {
  const [start, end] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const from = Math.min(start + backdateMs, end);
  return from + (end - from) * renewAfter;
}

/** The key belongs to it, the right authority signed it, and it says what is wanted. */
function fits(certificate: X509Certificate, key: string, { subject, use, issuer }: Wanted): boolean {
  const signer = issuer === undefined ? certificate : new X509Certificate(issuer.certificate);
  if (!certificate.checkPrivateKey(createPrivateKey(key)) || !certificate.verify(signer.publicKey)) return false;
  if (certificate.ca !== (use.type === 'authority')) return false;
  // The name of an authority is not questioned: renaming it would break every client.
  if (use.type === 'authority') return true;
  const { CN, O } = certificate.toLegacyObject().subject as unknown as { CN?: string; O?: string | string[] };
  if (CN !== subject.commonName || [O ?? []].flat().join('\n') !== (subject.organizations ?? []).join('\n'))
    return false;
  const hosts = new Set(hostsOf(certificate));
  return use.type === 'client' || use.hosts.every(host => hosts.has(canonicalHost(host)));
}

async function readPair(files: { certificate: string; key: string }): Promise<KeyPair | undefined> {
  const key = await readSecretFile(files.key);
  const certificate = await fs.readFile(files.certificate, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return key === undefined || certificate === undefined ? undefined : { certificate, key };
}

function parse(file: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new Error(`${file} is not a certificate in PEM form: restore it, or remove it and its key to get a new one`, {
      cause: error,
    });
  }
}
