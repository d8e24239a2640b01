/**
 * The token with which a list goes on: Kubernetes' own form, base64url of `{"v","rv","start"}`, with `start` relative to the listed
 * prefix and ending in NUL ("after this key"). A revision of -1 goes on inconsistently, with what there is now.
 */
import { badRequest } from '@orbitkit/core';

export interface ContinueToken {
  /** -1: whatever is newest. */
  readonly revision: bigint;
  /** The last path that was seen, relative to the listed prefix. */
  readonly after: string;
}

const version = 'meta.k8s.io/v1';

export function encodeContinue({ revision, after }: ContinueToken): string {
  return Buffer.from(`{"v":"${version}","rv":${revision},"start":${JSON.stringify(`${after}\0`)}}`).toString(
    'base64url',
  );
}

/** @throws StatusError BadRequest */
export function decodeContinue(token: string): ContinueToken {
  let content: unknown;
  try {
    if (!/^[A-Za-z0-9_-]+=*$/.test(token)) throw new Error('it is not base64');
    content = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch (error) {
    throw badRequest(`continue key is not valid: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { v, rv, start } = (content ?? {}) as { v?: unknown; rv?: unknown; start?: unknown };
  if (v !== version)
    throw badRequest(`continue key is not valid: server does not recognize this encoded version ${JSON.stringify(v)}`);
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0 || rv < -1) {
    throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  if (typeof start !== 'string' || start === '') {
    throw badRequest('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  }
  return { revision: BigInt(rv), after: start.endsWith('\0') ? start.slice(0, -1) : start };
}
