/**
 * What administrators do with the store of a running server, on paths beside the API (allowed like any non-resource path: to
 * `system:masters`, and to whom a role names the path):
 *
 *     GET  /orbitkit/snapshot            the store as of now, streamed; what `orbit snapshot restore` reads
 *     POST /orbitkit/encryption/rewrite  brings every entry to the form that the encryption configuration asks for
 */
import { StatusError } from '@orbitkit/core';
import { jsonAnswer, methodNotAllowed } from '../http/answers.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';
import type { Store } from '../storage/contract.js';
import { isEncryptedStore } from '../storage/encryption/index.js';
import { saveSnapshot } from '../storage/snapshot/index.js';

export type StorageOperations = Readonly<Record<string, (request: ApiRequest) => Promise<ApiResponse>>>;

export function storageOperations(store: Store): StorageOperations {
  return {
    async '/orbitkit/snapshot'({ method, signal }) {
      if (method !== 'GET') throw methodNotAllowed();
      return {
        status: 200,
        headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' },
        body: saveSnapshot(store, { signal }),
        // As long as it takes; a reader that stops reading holds no writer up.
        stream: true,
      };
    },
    async '/orbitkit/encryption/rewrite'({ method, signal }) {
      if (method !== 'POST') throw methodNotAllowed();
      if (!isEncryptedStore(store))
        throw new StatusError('BadRequest', 'this server has no encryption configuration: there is nothing to rewrite');
      return jsonAnswer(200, await store.rewrite({ signal }));
    },
  };
}
