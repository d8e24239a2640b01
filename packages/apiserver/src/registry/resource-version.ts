/**
 * The resourceVersion of queries, and what is answered when it cannot be served (kube-wire.md 6, 7).
 */
import { StatusError } from '@orbitkit/core';

const uint64 = (1n << 64n) - 1n;

/** `undefined` when absent or empty. @throws StatusError 500 without reason, as Kubernetes answers what is not a number. */
export function parseResourceVersion(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,20}$/.test(text)) {
    const revision = BigInt(text);
    if (revision <= uint64) return revision;
  }
  const why = /^\d+$/.test(text) ? 'value out of range' : 'invalid syntax';
  throw new StatusError(
    '',
    `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`,
    { code: 500 },
  );
}

export function tooLarge(requested: bigint, current: bigint): StatusError {
  return new StatusError('Timeout', `Too large resource version: ${requested}, current: ${current}`, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** What a list answers for a version that is compacted. */
export function listExpired(continueToken?: string): StatusError {
  return new StatusError(
    'Expired',
    continueToken === undefined
      ? 'The resourceVersion for the provided list is too old.'
      : 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    continueToken === undefined ? {} : { continue: continueToken },
  );
}

/** The ERROR event of a watch that starts before the window. */
export function watchExpired(requested: bigint, oldest: bigint): StatusError {
  return new StatusError('Expired', `too old resource version: ${requested} (${oldest})`);
}

/** How long a read waits for a version from the future (kube-apiserver: 3 s). */
export const futureWaitMs = 3_000;
