/**
 * Bearer tokens are never looked up as they are: by a hash with a key that only this process knows. Neither the order of a table nor how
 * much of a guess is right shows in the time of an answer. One hash a request, however many authenticators ask.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Credentials } from './authenticator.js';

const key = randomBytes(32).toString('base64');

export const digestOfToken = (token: string): string => hash('sha256', key + token, 'base64');

export interface BearerToken {
  readonly token: string;
  readonly digest: string;
}

const read = new WeakMap<Credentials, BearerToken>();

/** What stands behind `Bearer`, and its digest. */
export function bearerOf(credentials: Credentials): BearerToken | undefined {
  const known = read.get(credentials);
  if (known !== undefined) return known;
  const token = bearerToken(credentials.headers['authorization']);
  if (token === undefined) return undefined;
  const bearer = { token, digest: digestOfToken(token) };
  read.set(credentials, bearer);
  return bearer;
}

/** What stands behind `Bearer`; the scheme in any case (RFC 9110 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^bearer +(\S+) *$/i.exec(header);
  return match?.[1];
}
