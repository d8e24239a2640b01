/**
 * Bearer tokens from a fixed table. Tokens are looked up by a keyed hash with a key that only this process knows, and compared in constant
 * time: neither the order of the table nor how much of a guess is right shows in the time of an answer.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs/promises';
import type { UserInfo } from '@orbitkit/core';
import type { Authenticator } from './authenticator.js';

/** Token → user. @throws TypeError for an empty token or one that a header cannot carry. */
export function bearerTokens(tokens: Iterable<readonly [token: string, user: UserInfo]>): Authenticator {
  const key = randomBytes(32);
  const hash = (token: string): Buffer => createHmac('sha256', key).update(token).digest();
  const users = new Map<string, { digest: Buffer; user: UserInfo }>();
  for (const [token, user] of tokens) {
    if (!/^[\x21-\x7e]+$/.test(token))
      throw new TypeError(`the token of user "${user.username}" must be printable ASCII without spaces, and not empty`);
    const digest = hash(token);
    users.set(digest.toString('base64'), { digest, user });
  }
  return {
    async authenticate({ headers }) {
      const token = bearerToken(headers['authorization']);
      if (token === undefined) return undefined;
      const digest = hash(token);
      const found = users.get(digest.toString('base64'));
      return found !== undefined && timingSafeEqual(found.digest, digest) ? found.user : undefined;
    },
  };
}

/** What stands behind `Bearer`; the scheme in any case (RFC 9110 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  const match = /^bearer +(\S+) *$/i.exec(header ?? '');
  return match?.[1];
}

/**
 * Reads a static token file as kube-apiserver's `--token-auth-file` takes it: `token,user,uid[,"group1,group2"]` a line.
 * @throws Error with file and line.
 */
export async function readTokenFile(file: string): Promise<[token: string, user: UserInfo][]> {
  const text = await fs.readFile(file, 'utf8');
  const tokens: [string, UserInfo][] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token, username, uid, groups, ...rest] = columns(line);
    if (!token || !username || uid === undefined || rest.length > 0) {
      throw new Error(`${file}:${i + 1}: expected token,user,uid and optionally "group1,group2"`);
    }
    const groupNames = (groups ?? '').split(',').map(group => group.trim());
    tokens.push([
      token,
      { username, ...(uid === '' ? {} : { uid }), groups: groupNames.filter(group => group !== '') },
    ]);
  }
  return tokens;
}

/** One line of CSV (RFC 4180, without line breaks in fields). */
function columns(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!.trim(),
  );
}
