/**
 * Client certificates: the common name is the user, each organization a group (Kubernetes' x509 authenticator). That the client
 * authority signed the certificate, and that it is one for clients, the TLS layer has verified; here it must also be valid now, since
 * a connection may outlive its certificate.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { type Clock, systemClock, type UserInfo } from '@orbitkit/core';
import type { Authenticator } from './authenticator.js';
import { certificatesIn, isSignedBy } from './front-proxy.js';

interface Known {
  readonly user: UserInfo | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Certificates that were read before; every request of a connection brings the same one. */
const cacheSize = 1_000;

export interface ClientCertificateCheck {
  clock?: Clock;
  /** PEM. Where TLS verifies certificates of other authorities too (front proxies'), only this one's name users. Default: all that TLS verified. */
  authority?: string;
}

/** Knows who shows a certificate that is valid now; with `authority`, only those that it signed. */
export function clientCertificates(options: ClientCertificateCheck = {}): Authenticator {
  const authorities = options.authority === undefined ? undefined : certificatesIn(options.authority);
  const clock = options.clock ?? systemClock;
  const cache = new Map<string, Known>();
  /** A connection hands out the same buffer for each of its requests: not even a hash is needed. */
  const byBuffer = new WeakMap<Buffer, Known>();
  return {
    async authenticate({ certificate }) {
      if (certificate === undefined) return undefined;
      let known = byBuffer.get(certificate);
      if (known === undefined) {
        const digest = createHash('sha256').update(certificate).digest('base64');
        known = cache.get(digest);
        if (known === undefined) {
          known = read(certificate, authorities);
          if (cache.size >= cacheSize) cache.delete(cache.keys().next().value!);
          cache.set(digest, known);
        }
        byBuffer.set(certificate, known);
      }
      const now = clock.now();
      return known.notBefore <= now && now <= known.notAfter ? known.user : undefined;
    },
  };
}

function read(der: Buffer, authorities: readonly X509Certificate[] | undefined): Known {
  const certificate = new X509Certificate(der);
  if (authorities && !isSignedBy(certificate, authorities)) return { user: undefined, notBefore: 0, notAfter: 0 };
  const { CN, O } = certificate.toLegacyObject().subject as unknown as {
    CN?: string | string[];
    O?: string | string[];
  };
  const username = [CN ?? []].flat()[0];
  return {
    user: username === undefined || username === '' ? undefined : { username, groups: [O ?? []].flat() },
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}
