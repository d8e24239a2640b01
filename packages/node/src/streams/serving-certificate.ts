/**
 * The certificate with which the agent serves: self-signed, ECDSA P-256, kept in the data directory (key 0600) and made anew a
 * month before it ends or when the node's address changed. Nobody signs it: the API server pins its SHA-256, which the agent
 * publishes on its Node object.
 */
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';

export interface ServingCertificate {
  /** PEM. */
  certificate: string;
  key: string;
  /** SHA-256 of the DER form, lower-case hex. */
  fingerprint: string;
}

const day = 24 * 3600 * 1000;
const lifetimeMs = 365 * day;
const renewBeforeMs = 30 * day;
/** Clocks of two machines differ. */
const backdateMs = 5 * 60_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export async function servingCertificate(options: {
  dataDir: string;
  name: string;
  address: string;
  now: number;
}): Promise<ServingCertificate> {
  const directory = path.join(options.dataDir, 'pki');
  const certificateFile = path.join(directory, 'serving.crt');
  const keyFile = path.join(directory, 'serving.key');
  const [certificate, key] = await Promise.all(
    [certificateFile, keyFile].map(file => readFile(file, 'utf8').catch(() => undefined)),
  );
  if (certificate && key && isGood(certificate, key, options))
    return { certificate, key, fingerprint: fingerprintOf(certificate) };

  const made = await make(options);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await replace(keyFile, made.key);
  await replace(certificateFile, made.certificate);
  return { ...made, fingerprint: fingerprintOf(made.certificate) };
}

const fingerprintOf = (certificate: string): string =>
  new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();

function isGood(certificate: string, key: string, { address, now }: { address: string; now: number }): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    const named = net.isIP(address) ? parsed.checkIP(address) : parsed.checkHost(address);
    return (
      named !== undefined &&
      Date.parse(parsed.validFrom) <= now &&
      Date.parse(parsed.validTo) - renewBeforeMs > now &&
      parsed.checkPrivateKey(createPrivateKey(key))
    );
  } catch {
    return false;
  }
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function make({ name, address, now }: { name: string; address: string; now: number }) {
  // Loaded here: most agents find their certificate on disk.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ O: ['system:nodes'] }, { CN: [`system:node:${name}`] }],
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(now + lifetimeMs),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: name },
          net.isIP(address) ? { type: 'ip', value: address } : { type: 'dns', value: address },
        ]),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = pkcs8.match(/.{1,64}/g)!.join('\n');
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}
