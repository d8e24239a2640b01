/**
 * The certificate with which the agent serves: self-signed, ECDSA P-256, kept in the data directory (key 0600) and made anew when
 * between 70 and 90 % of its year are over (as kubelets renew theirs, each at another moment), or when the node's address changed. Nobody
 * signs it: the API server pins its SHA-256, which the agent publishes on its Node object.
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
  /** Milliseconds since 1970: another one is to be made from then on. */
  renewAt: number;
}

export interface ServingCertificateOptions {
  dataDir: string;
  name: string;
  address: string;
  now: number;
}

const day = 24 * 3600 * 1000;
const lifetimeMs = 365 * day;
/** Clocks of two machines differ. */
const backdateMs = 5 * 60_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** The one from before while it is good; else a new one, kept. */
export async function servingCertificate(options: ServingCertificateOptions): Promise<ServingCertificate> {
  const files = filesIn(options.dataDir);
  const [certificate, key] = await Promise.all(
    [files.certificate, files.key].map(file => readFile(file, 'utf8').catch(() => undefined)),
  );
  if (certificate && key && isGood(certificate, key, options)) return described({ certificate, key });
  const made = await newServingCertificate(options);
  await keepServingCertificate(options.dataDir, made);
  return made;
}

/** Made, not kept: it may have to be announced first. */
export async function newServingCertificate(options: ServingCertificateOptions): Promise<ServingCertificate> {
  return described(await make(options));
}

export async function keepServingCertificate(dataDir: string, { certificate, key }: ServingCertificate): Promise<void> {
  const files = filesIn(dataDir);
  await mkdir(path.dirname(files.key), { recursive: true, mode: 0o700 });
  await replace(files.key, key);
  await replace(files.certificate, certificate);
}

const filesIn = (dataDir: string) => ({
  certificate: path.join(dataDir, 'pki', 'serving.crt'),
  key: path.join(dataDir, 'pki', 'serving.key'),
});

function described({ certificate, key }: { certificate: string; key: string }): ServingCertificate {
  const fingerprint = fingerprintOf(certificate);
  const { validFrom, validTo } = new X509Certificate(certificate);
  const from = Date.parse(validFrom) + backdateMs;
  // Chance, but the same one after a restart.
  const chance = Number.parseInt(fingerprint.slice(0, 8), 16) / 2 ** 32;
  return { certificate, key, fingerprint, renewAt: from + (Date.parse(validTo) - from) * (0.7 + 0.2 * chance) };
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
      described({ certificate, key }).renewAt > now &&
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
