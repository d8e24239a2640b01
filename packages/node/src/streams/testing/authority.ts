/** Certificates for tests of the agent's server. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const pem = (key: ArrayBuffer) =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(key)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;

export interface Identity {
  cert: string;
  key: string;
}

/** A cluster's authority, and client certificates that it signs. */
export async function authority() {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(Date.now() + 3_600_000);
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=test-ca',
      notBefore,
      notAfter,
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true)],
    },
    webcrypto,
  );
  const sign = async (name: string): Promise<Identity> => {
    const own = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create(
      {
        subject: `CN=${name}`,
        issuer: root.subject,
        notBefore,
        notAfter,
        signingAlgorithm: algorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
      },
      webcrypto,
    );
    return { cert: certificate.toString('pem'), key: pem(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)) };
  };
  return { ca: root.toString('pem'), sign };
}
