/**
 * The public keys of an OpenID Connect issuer: its discovery document, then the key set that it names, over HTTPS with an authority of
 * one's own if need be. Kept for an hour; a key id that is not known is looked for again, at most once in ten seconds, so that a
 * stranger's tokens cannot make this server call the issuer for each of them. Answers are bounded in size and time.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { get } from 'node:https';
import type { Clock } from '@orbitkit/core';

const keptMs = 60 * 60_000;
const againMs = 10_000;
const timeoutMs = 10_000;
const answerBytes = 1024 * 1024;

export interface IssuerKeys {
  /** Candidates for a token: the key of this id, or all when the token names none. @throws Error when the issuer cannot be reached. */
  forKeyId(id: string | undefined): Promise<readonly KeyObject[]>;
}

interface KeySet {
  readonly at: number;
  readonly keys: readonly { readonly id: string | undefined; readonly key: KeyObject }[];
}

export function issuerKeys(options: { issuer: string; ca?: string | undefined; clock: Clock }): IssuerKeys {
  const { issuer, ca, clock } = options;
  let known: KeySet | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<KeySet> | undefined;
  let failure: unknown;

  async function fetched(): Promise<KeySet> {
    const where = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = (await fetchJson(where, ca)) as { issuer?: unknown; jwks_uri?: unknown };
    if (document.issuer !== issuer)
      throw new Error(`${where} speaks for ${JSON.stringify(document.issuer)}, not for ${JSON.stringify(issuer)}`);
    if (typeof document.jwks_uri !== 'string') throw new Error(`${where} names no jwks_uri`);
    const set = (await fetchJson(document.jwks_uri, ca)) as { keys?: unknown };
    if (!Array.isArray(set.keys)) throw new Error(`${document.jwks_uri} is not a set of keys`);
    const keys = set.keys.flatMap((jwk: Record<string, unknown>) => {
      if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return [];
      try {
        const id = typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined;
        return [{ id, key: createPublicKey({ key: jwk as never, format: 'jwk' }) }];
      } catch {
        // A key of a type that this server does not know stands beside others that it does.
        return [];
      }
    });
    return { at: clock.now(), keys };
  }

  async function refreshed(): Promise<KeySet | undefined> {
    if (running === undefined) {
      if (clock.now() - triedAt < againMs) {
        if (known === undefined) throw failure;
        return known;
      }
      triedAt = clock.now();
      running = fetched().finally(() => {
        running = undefined;
      });
    }
    try {
      known = await running;
      return known;
    } catch (error) {
      failure = error;
      // Older keys are better than none: the issuer may be away for a while.
      if (known === undefined) throw error;
      return known;
    }
  }

  return {
    async forKeyId(id) {
      const matching = (set: KeySet | undefined) =>
        (set?.keys ?? [])
          .filter(each => id === undefined || each.id === undefined || each.id === id)
          .map(({ key }) => key);
      const fresh = known !== undefined && clock.now() - known.at < keptMs;
      const found = fresh ? matching(known) : [];
      return found.length > 0 ? found : matching(await refreshed());
    },
  };
}

function fetchJson(url: string, ca: string | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${url}: ${why}`));
    if (!url.startsWith('https://')) return fail('only https is asked for keys');
    const request = get(
      url,
      {
        ...(ca === undefined ? {} : { ca }),
        signal: AbortSignal.timeout(timeoutMs),
        headers: { accept: 'application/json' },
      },
      response => {
        if (response.statusCode !== 200) {
          response.resume();
          return fail(`it answered ${response.statusCode}`);
        }
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > answerBytes) request.destroy(new Error(`the answer is larger than ${answerBytes} bytes`));
          else parts.push(part);
        });
        response.on('error', error => fail(error.message));
        response.on('end', () => {
          try {
            resolve(JSON.parse(Buffer.concat(parts).toString()));
          } catch {
            fail('the answer is not JSON');
          }
        });
      },
    );
    request.on('error', error =>
      fail(error.name === 'TimeoutError' ? `no answer within ${timeoutMs / 1000} s` : error.message),
    );
  });
}
