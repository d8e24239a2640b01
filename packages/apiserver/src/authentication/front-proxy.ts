/**
 * A front proxy that has authenticated its users itself and names them in headers (kube-apiserver's `--requestheader-*`, aggregation, proxies
 * with a sign-on of their own). Whom the headers name counts only on connections whose certificate an authority of proxies has signed; on all
 * others they are nothing.
 *
 * That authority is trusted to name anyone, so it is never the cluster's own, unless the names of the proxies are given. Intermediate
 * authorities are not followed. Source: apiserver `authentication/request/headerrequest` (v0.33).
 */
import { X509Certificate } from 'node:crypto';
import { type Clock, systemClock, type UserInfo } from '@orbitkit/core';
import type { Authenticator } from './authenticator.js';
import { extraKey, valuesOf } from './identity-headers.js';

export interface FrontProxyOptions {
  /** PEM of the authorities that sign the certificates of proxies. */
  clientAuthority: string;
  /** Common names of the proxies. Default: whatever that authority signed. */
  allowedNames?: readonly string[];
  /** Who names the user; the first that is there counts. Default `X-Remote-User`. */
  usernameHeaders?: readonly string[];
  /** Default `X-Remote-Uid`. */
  uidHeaders?: readonly string[];
  /** All of them count. Default `X-Remote-Group`. */
  groupHeaders?: readonly string[];
  /** Default `X-Remote-Extra-`. */
  extraHeaderPrefixes?: readonly string[];
}

/** What holds where nothing is said: kubeadm's. */
export const frontProxyHeaders = {
  usernameHeaders: ['X-Remote-User'],
  uidHeaders: ['X-Remote-Uid'],
  groupHeaders: ['X-Remote-Group'],
  extraHeaderPrefixes: ['X-Remote-Extra-'],
} as const;

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @throws Error when there is none, or one that cannot be read */
export const certificatesIn = (pem: string): X509Certificate[] => {
  const found = (pem.match(pemCertificate) ?? []).map(each => new X509Certificate(each));
  if (found.length === 0) throw new Error('there is no certificate in PEM form');
  return found;
};

/** Whether one of these authorities signed it, itself. */
export const isSignedBy = (certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean =>
  authorities.some(each => certificate.checkIssued(each) && certificate.verify(each.publicKey));

export function frontProxy(options: FrontProxyOptions, { clock = systemClock }: { clock?: Clock } = {}): Authenticator {
  const authorities = certificatesIn(options.clientAuthority);
  const lower = (names: readonly string[]): string[] => names.map(each => each.toLowerCase());
  const usernames = lower(options.usernameHeaders ?? frontProxyHeaders.usernameHeaders);
  const uids = lower(options.uidHeaders ?? frontProxyHeaders.uidHeaders);
  const groups = lower(options.groupHeaders ?? frontProxyHeaders.groupHeaders);
  const prefixes = lower(options.extraHeaderPrefixes ?? frontProxyHeaders.extraHeaderPrefixes);
  const names = options.allowedNames ?? [];
  /** A connection hands out the same buffer for each of its requests. */
  const judged = new WeakMap<Buffer, { readonly from: number; readonly until: number } | 'other'>();

  function judge(der: Buffer): { from: number; until: number } | 'other' {
    const certificate = new X509Certificate(der);
    if (!isSignedBy(certificate, authorities)) return 'other';
    const { CN } = certificate.toLegacyObject().subject as unknown as { CN?: string | string[] };
    if (names.length > 0 && ![CN ?? []].flat().some(each => names.includes(each))) return 'other';
    return { from: Date.parse(certificate.validFrom), until: Date.parse(certificate.validTo) };
  }

  return {
    async authenticate({ headers, certificate }) {
      if (certificate === undefined) return undefined;
      const first = (of: readonly string[]) =>
        of
          .map(each => headers[each])
          .find(value => value?.trim())
          ?.trim();
      const username = first(usernames);
      if (username === undefined) return undefined;
      let proxy = judged.get(certificate);
      if (proxy === undefined) {
        proxy = judge(certificate);
        judged.set(certificate, proxy);
      }
      if (proxy === 'other' || clock.now() < proxy.from || clock.now() > proxy.until) return undefined;
      const uid = first(uids);
      const extra: Record<string, string[]> = {};
      for (const name of Object.keys(headers)) {
        const prefix = prefixes.find(each => name.startsWith(each) && name.length > each.length);
        if (prefix !== undefined) extra[extraKey(name.slice(prefix.length))] = valuesOf(headers[name]);
      }
      const user: UserInfo = { username, groups: groups.flatMap(each => valuesOf(headers[each])) };
      return {
        ...user,
        ...(uid === undefined ? {} : { uid }),
        ...(Object.keys(extra).length > 0 ? { extra } : {}),
      };
    },
  };
}
