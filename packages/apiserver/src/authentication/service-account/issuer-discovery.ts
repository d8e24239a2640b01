/** What others need to verify service-account tokens: `/.well-known/openid-configuration` and the key set that it names. */
import type { KeyObject } from 'node:crypto';
import { bytesAnswer } from '../../http/answers.js';
import type { ApiResponse } from '../../http/exchange.js';
import { algorithmOf } from '../json-web-token.js';
import type { SigningKeys } from './signing-keys.js';

const configurationPath = '/.well-known/openid-configuration';
const keySetPath = '/openid/v1/jwks';

/** By path. */
export function issuerDiscovery(
  issuer: string,
  keys: SigningKeys,
  keySetUrl: () => string | undefined,
): Readonly<Record<string, () => Promise<ApiResponse>>> {
  const answer = (body: object, type: string): ApiResponse => {
    const made = bytesAnswer(200, Buffer.from(JSON.stringify(body)), type);
    made.headers['cache-control'] = 'public, max-age=3600';
    return made;
  };
  return {
    [configurationPath]: async () =>
      answer(
        {
          issuer,
          jwks_uri: keySetUrl() ?? `${issuer}${keySetPath}`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: await algorithmsOf(keys),
        },
        'application/json',
      ),
    [keySetPath]: async () =>
      answer(
        {
          keys: (await keys.verification()).map(({ id, key }) => ({
            use: 'sig',
            alg: algorithmOf(key),
            kid: id,
            ...publicJwk(key),
          })),
        },
        'application/jwk-set+json',
      ),
  };
}

const algorithmsOf = async (keys: SigningKeys): Promise<unknown[]> => [
  ...new Set((await keys.verification()).map(({ key }) => algorithmOf(key))),
];

const publicJwk = (key: KeyObject) => key.export({ format: 'jwk' });
