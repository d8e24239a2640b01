/**
 * Bearer tokens are never looked up as they are: by their SHA-256, so that the time of an answer shows nothing of how much of a guess is right
 * (a map compares digests, and those only when its own hashes, seeded for each process, are equal). One digest a request, when
 * its authenticators are asked one right after the other.
 */
import { hash } from 'node:crypto';
import type { Credentials } from './authenticator.js';

export const digestOfToken = (token: string): string => hash('sha256', token);

export interface BearerToken {
  readonly token: string;
  readonly digest: string;
}

/** What was read last: authenticators are mostly asked one right after the other. */
let read: { readonly credentials: Credentials; readonly bearer: BearerToken } | undefined;

/** What stands behind `Bearer`, and its digest. */
export function bearerOf(credentials: Credentials): BearerToken | undefined {
  const header = credentials.headers['authorization'];
  if (header === undefined) return undefined;
  if (read?.credentials === credentials) return read.bearer;
  const token = bearerToken(header);
  if (token === undefined) return undefined;
  const bearer = { token, digest: digestOfToken(token) };
  read = { credentials, bearer };
  return bearer;
}

/** What stands behind `Bearer`; the scheme in any case (RFC 9110 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  // As nearly every client writes it.
  if (header.startsWith('Bearer ') && header.indexOf(' ', 7) < 0 && header.length > 7) return header.slice(7);
  const match = /^bearer +(\S+) *$/i.exec(header);
  return match?.[1];
}
