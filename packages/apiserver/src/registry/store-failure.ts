/** What the store's failures are on the wire. A StatusError passes through; so does what an aborted request rejects with. */
import { isStatusError, StatusError } from '@orbitkit/core';
import { isCompacted, isFutureRevision, isStoreUnavailable } from '../storage/contract.js';
import { listExpired, tooLarge } from './resource-version.js';

export function storeFailure(error: unknown, signal?: AbortSignal): unknown {
  if (isStatusError(error) || (signal?.aborted && error === signal.reason)) return error;
  if (isCompacted(error)) return listExpired();
  if (isFutureRevision(error)) return tooLarge(error.requested, error.current);
  if (isStoreUnavailable(error)) {
    return new StatusError('ServiceUnavailable', `the store cannot be used: ${error.message}`, {
      cause: error,
      details: { retryAfterSeconds: 1 },
    });
  }
  return new StatusError(
    'InternalError',
    `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  );
}
