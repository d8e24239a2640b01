/**
 * What administrators do with the keys that sign service-account tokens, on paths beside the API (allowed like any non-resource path: to
 * `system:masters`, and to whom a role names the path):
 *
 *     GET  /orbitkit/signing-keys                      ids, states and times of the keys; never the keys
 *     POST /orbitkit/signing-keys/rotate[?revoke=true] a new key signs; with `revoke` the tokens of all older ones end
 */
import { formatTime, StatusError } from '@orbitkit/core';
import type { SigningKeys } from '../authentication/index.js';
import { jsonAnswer, methodNotAllowed } from '../http/answers.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';

export function signingKeyOperations(
  keys: SigningKeys,
): Readonly<Record<string, (request: ApiRequest) => Promise<ApiResponse>>> {
  const summary = async (): Promise<ApiResponse> =>
    jsonAnswer(200, {
      keys: (await keys.summary()).map(({ id, state, signsFrom, until }) => ({
        id,
        state,
        ...(signsFrom === undefined ? {} : { signsFrom: formatTime(signsFrom) }),
        ...(until === undefined ? {} : { until: formatTime(until) }),
      })),
    });
  return {
    async '/orbitkit/signing-keys'({ method }) {
      if (method !== 'GET') throw methodNotAllowed();
      return summary();
    },
    async '/orbitkit/signing-keys/rotate'({ method, query }) {
      if (method !== 'POST') throw methodNotAllowed();
      const revoke = query.get('revoke') ?? 'false';
      if (revoke !== 'true' && revoke !== 'false')
        throw new StatusError('BadRequest', `revoke: ${JSON.stringify(revoke)} is neither true nor false`);
      await keys.rotate({ revoke: revoke === 'true' });
      return summary();
    },
  };
}
