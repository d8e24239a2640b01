/**
 * Makes X.509 certificates: ECDSA P-256 with SHA-256, which every Kubernetes client speaks. Only the encoding comes from a library;
 * it is loaded when the first certificate is made, since most processes never make one.
 */
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import net from 'node:net';
import type { JsonGeneralNames } from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks of two machines differ: a new certificate is valid from a little earlier on. */
export const backdateMs = 5 * 60_000;

/** A certificate and the key that belongs to it. */
export interface KeyPair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export type CertificateUse =
  | { readonly type: 'authority' }
  | { readonly type: 'serving'; readonly hosts: readonly string[] }
  | { readonly type: 'client' };

export interface CertificateRequest {
  readonly subject: Subject;
  readonly use: CertificateUse;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Absent: signed by itself. */
  readonly issuer?: KeyPair;
  /** PEM of the key to certify. Absent: a new one. */
  readonly key?: string;
}

export async function library() {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

export async function makeCertificate(request: CertificateRequest): Promise<KeyPair> {
  const x509 = await library();
  const keys = request.key === undefined ? await newKeys() : await readKeys(request.key);
  const subject = new x509.Name([
    { CN: [request.subject.commonName] },
    ...(request.subject.organizations ?? []).map(organization => ({ O: [organization] })),
  ]);
  const { issuer, use } = request;
  const issuerCertificate = issuer && new x509.X509Certificate(issuer.certificate);
  const signingKey = issuer === undefined ? keys.privateKey : (await readKeys(issuer.key)).privateKey;
  const usage = x509.KeyUsageFlags;
  const authority = use.type === 'authority';
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: subject.toJSON(),
      issuer: issuerCertificate ? issuerCertificate.subjectName.toJSON() : subject.toJSON(),
      notBefore: new Date(request.notBefore - backdateMs),
      notAfter: new Date(request.notAfter),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(authority, authority ? 0 : undefined, true),
        new x509.KeyUsagesExtension(authority ? usage.keyCertSign | usage.cRLSign : usage.digitalSignature, true),
        ...(use.type === 'serving' ? [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth])] : []),
        ...(use.type === 'client' ? [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])] : []),
        ...(use.type === 'serving' ? [new x509.SubjectAlternativeNameExtension(use.hosts.map(generalName))] : []),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(
          issuerCertificate ? await issuerCertificate.publicKey.export(webcrypto) : keys.publicKey,
          false,
          webcrypto,
        ),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: request.key ?? pem('PRIVATE KEY', pkcs8),
  };
}

/** The hosts (names and addresses) that a certificate is good for. */
export function hostsOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map(name => name.replace(/^(DNS|IP Address):/, ''))
    .filter(name => name !== '')
    .map(canonicalHost);
}

/** Addresses in one spelling, so that `::1` and `0:0:0:0:0:0:0:1` are the same host. */
export function canonicalHost(host: string): string {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (net.isIPv6(bare)) return new URL(`http://[${bare}]`).hostname.slice(1, -1);
  return bare.toLowerCase();
}

/** Lower-case hex of the SHA-256 of the DER form: what pins a certificate that no authority signed. */
export function certificateFingerprint(certificate: string | Uint8Array): string {
  return new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();
}

const generalName = (host: string): JsonGeneralNames[number] =>
  net.isIP(canonicalHost(host))
    ? { type: 'ip', value: canonicalHost(host) }
    : { type: 'dns', value: canonicalHost(host) };

/** Positive, 127 random bits (CA/Browser Forum asks for at least 64). */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

type Keys = { publicKey: webcrypto.CryptoKey; privateKey: webcrypto.CryptoKey };

const newKeys = (): Promise<Keys> => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<Keys>;

/** From PKCS#8 in PEM. */
export async function readKeys(text: string): Promise<Keys> {
  const der = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const jwk = { kty: kty!, crv: crv!, x: x!, y: y! };
  return { privateKey, publicKey: await webcrypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify']) };
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
