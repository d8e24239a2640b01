/** Bearer tokens from a fixed table; looked up by digest (`token-digest.ts`) and compared in constant time. */
import { timingSafeEqual } from 'node:crypto';
import fs from 'node:fs/promises';
import type { UserInfo } from '@orbitkit/core';
import type { Authenticator } from './authenticator.js';
import { bearerOf, digestOfToken } from './token-digest.js';

/** Token → user. @throws TypeError for an empty token or one that a header cannot carry. */
export function bearerTokens(tokens: Iterable<readonly [token: string, user: UserInfo]>): Authenticator {
  const users = new Map<string, { digest: Buffer; user: UserInfo }>();
  for (const [token, user] of tokens) {
    if (!/^[\x21-\x7e]+$/.test(token))
      throw new TypeError(`the token of user "${user.username}" must be printable ASCII without spaces, and not empty`);
    const digest = digestOfToken(token);
    users.set(digest, { digest: Buffer.from(digest), user });
  }
  return {
    async authenticate(credentials) {
      const bearer = bearerOf(credentials);
      if (bearer === undefined) return undefined;
      const found = users.get(bearer.digest);
      return found !== undefined && timingSafeEqual(found.digest, Buffer.from(bearer.digest)) ? found.user : undefined;
    },
  };
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
