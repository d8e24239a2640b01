/**
 * Bearer tokens that have to be verified (signatures, calls to others), each verified once: what came of it is kept for a short time
 * under the token's digest. A kept user is one value, so decisions about it can be kept as well. Refusals are kept even shorter, so that
 * a client with a bad token costs no signature check per request.
 *
 * Verifications of one token at one time are one. Bounded: the oldest entries go first.
 */
import { type Clock, isStatusError, type UserInfo } from '@orbitkit/core';
import type { Authenticator } from './authenticator.js';
import { bearerOf } from './token-digest.js';

/** Who a token stands for, and how long that may be believed. */
export interface TokenUser {
  readonly user: UserInfo;
  /** Milliseconds since 1970. */
  readonly expires?: number;
  /** Asked on each use: whether what the token rests on is unchanged, by a look at memory. False: verify again. */
  readonly holds?: () => boolean;
}

export interface TokenSource {
  /** Undefined: not a token of this source. @throws StatusError Unauthorized for one of its own that does not hold. */
  authenticate(token: string): Promise<TokenUser | undefined>;
}

/** Upstream's token cache: 10 s. */
const successMs = 10_000;
const failureMs = 2_000;
const keptEntries = 8_192;

interface Entry {
  readonly found: TokenUser | undefined;
  readonly until: number;
}

export function verifiedTokens(sources: readonly TokenSource[], { clock }: { clock: Clock }): Authenticator {
  const entries = new Map<string, Entry>();
  const running = new Map<string, Promise<TokenUser | undefined>>();

  async function ask(token: string): Promise<TokenUser | undefined> {
    let refusal: unknown;
    for (const source of sources) {
      try {
        const found = await source.authenticate(token);
        if (found !== undefined) return found;
      } catch (error) {
        refusal ??= error;
      }
    }
    if (refusal !== undefined && !(isStatusError(refusal) && refusal.code === 401)) throw refusal;
    return undefined;
  }

  async function verify(digest: string, token: string): Promise<UserInfo | undefined> {
    let verification = running.get(digest);
    if (verification === undefined) {
      verification = ask(token).finally(() => running.delete(digest));
      running.set(digest, verification);
    }
    const found = await verification;
    const now = clock.now();
    entries.delete(digest);
    if (entries.size >= keptEntries) entries.delete(entries.keys().next().value!);
    const until = found === undefined ? now + failureMs : Math.min(now + successMs, found.expires ?? Infinity);
    entries.set(digest, { found, until });
    return found?.user;
  }

  return {
    async authenticate(credentials) {
      const bearer = bearerOf(credentials);
      if (bearer === undefined) return undefined;
      const entry = entries.get(bearer.digest);
      if (entry !== undefined && clock.now() < entry.until) {
        if (entry.found === undefined) return undefined;
        if (entry.found.holds?.() !== false) return entry.found.user;
      }
      return verify(bearer.digest, bearer.token);
    },
  };
}
