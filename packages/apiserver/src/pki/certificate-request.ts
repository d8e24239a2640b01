/**
 * Certificate signing requests (PKCS#10): what they ask for, proven to come from the holder of the key; and the certificate that an
 * authority issues for one. The certificate has the request's subject, names and key, and the usages that were asked for (of those that
 * Kubernetes' signers know); never is it an authority.
 */
import { webcrypto } from 'node:crypto';
import type { SubjectAlternativeNameExtension } from '@peculiar/x509';
import type { Authority } from './authority.js';
import { library, readKeys, serialNumber } from './certificate.js';

/** Subject and alternative names that a request asks for; what it does not name is empty. */
export interface CertificateRequestFacts {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
}

const pemForm = /-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----/;
const largestRequest = 64 * 1024;

/** @param text PEM. @throws Error that says what is wrong with it. */
export async function readCertificateRequest(text: string): Promise<CertificateRequestFacts> {
  return (await parsed(text)).facts;
}

async function parsed(text: string) {
  if (text.length > largestRequest) throw new Error('the request is larger than 64 KiB');
  const body = pemForm.exec(text)?.[1];
  if (body === undefined) throw new Error('PEM block type must be CERTIFICATE REQUEST');
  const x509 = await library();
  let request: InstanceType<typeof x509.Pkcs10CertificateRequest>;
  try {
    request = new x509.Pkcs10CertificateRequest(Buffer.from(body, 'base64'));
  } catch (cause) {
    throw new Error('it is not a PKCS#10 certificate request', { cause });
  }
  if (!(await request.verify(webcrypto as never).catch(() => false)))
    throw new Error('its signature is not that of the key that it is for');
  const alternatives = request.extensions.find(each => each instanceof x509.SubjectAlternativeNameExtension);
  const names = (alternatives as SubjectAlternativeNameExtension | undefined)?.names.toJSON() ?? [];
  const of = (type: string) => names.filter(name => name.type === type).map(name => name.value);
  const facts: CertificateRequestFacts = {
    commonName: request.subjectName.getField('CN')[0] ?? '',
    organizations: request.subjectName.getField('O'),
    dnsNames: of('dns'),
    ipAddresses: of('ip'),
    emailAddresses: of('email'),
    uris: of('url'),
  };
  return { x509, request, names, facts };
}

/** As Kubernetes names them; others are refused by the signers. */
const keyUsages = { 'digital signature': 'digitalSignature', 'key encipherment': 'keyEncipherment' } as const;
const extendedUsages = { 'client auth': 'clientAuth', 'server auth': 'serverAuth' } as const;

/** What is signed, and for how long from now. */
export interface IssueRequest {
  /** PEM of the request. */
  readonly request: string;
  readonly usages: readonly string[];
  readonly lifetimeMs: number;
}

const backdateMs = 5 * 60_000;

/** @returns PEM. @throws Error when the request is none. */
export async function signCertificateRequest(authority: Authority, issue: IssueRequest): Promise<string> {
  const { x509, request, names } = await parsed(issue.request);
  const issuer = new x509.X509Certificate(authority.certificate);
  const now = authority.clock.now();
  const flags = issue.usages.reduce((sum, usage) => {
    const name = keyUsages[usage as keyof typeof keyUsages];
    return name === undefined ? sum : sum | x509.KeyUsageFlags[name];
  }, 0);
  const extended = issue.usages.flatMap(usage => {
    const name = extendedUsages[usage as keyof typeof extendedUsages];
    return name === undefined ? [] : [x509.ExtendedKeyUsage[name]];
  });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: request.subjectName.toJSON(),
      issuer: issuer.subjectName.toJSON(),
      notBefore: new Date(now - backdateMs),
      // Nothing outlives its authority.
      notAfter: new Date(Math.min(now + issue.lifetimeMs, issuer.notAfter.getTime())),
      publicKey: request.publicKey,
      signingKey: (await readKeys(authority.key)).privateKey,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        // An empty list of key usages would forbid every use.
        ...(flags === 0 ? [] : [new x509.KeyUsagesExtension(flags, true)]),
        ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
        await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export(webcrypto), false, webcrypto),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}

/** A new key of P-256 and a request for it. */
export async function makeCertificateRequest(facts: {
  commonName: string;
  organizations?: readonly string[];
  hosts?: readonly { type: 'dns' | 'ip'; value: string }[];
}): Promise<{ request: string; key: string }> {
  const x509 = await library();
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: new x509.Name([
        ...(facts.organizations ?? []).map(organization => ({ O: [organization] })),
        { CN: [facts.commonName] },
      ]).toJSON(),
      keys,
      signingAlgorithm: algorithm,
      extensions: facts.hosts?.length ? [new x509.SubjectAlternativeNameExtension([...facts.hosts])] : [],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    request: `${request.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`,
  };
}
