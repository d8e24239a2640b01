/** Makers of whole answers: JSON, text, and `Status` for every failure. */
import { isStatusError, type Logger, StatusError } from '@orbitkit/core';
import type { ApiResponse } from './exchange.js';

export function bytesAnswer(status: number, body: Buffer, contentType = 'application/json'): ApiResponse {
  return { status, headers: { 'content-type': contentType }, body };
}

export function jsonAnswer(status: number, value: unknown, contentType?: string): ApiResponse {
  return bytesAnswer(status, Buffer.from(JSON.stringify(value)), contentType);
}

export function textAnswer(status: number, text: string): ApiResponse {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: Buffer.from(text),
  };
}

/** What a path outside every known group and version answers: plain text, as Go's mux does; clients see both forms. */
export const pageNotFound = (): ApiResponse => textAnswer(404, '404 page not found\n');

/** An unknown resource inside a known group version. */
export const resourceNotFound = () => new StatusError('NotFound', 'the server could not find the requested resource');

export const methodNotAllowed = () =>
  new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource');

/**
 * The answer to a failure. What is not a StatusError is a bug or a broken back end: it is logged with the request's id, and the
 * client is told so without its inside.
 */
export function errorAnswer(error: unknown, requestId: string, log: Logger): ApiResponse {
  let status: StatusError;
  if (isStatusError(error)) status = error;
  else {
    log.error('a request failed unexpectedly', {
      requestId,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    const text = error instanceof Error ? error.message : String(error);
    status = new StatusError('InternalError', `Internal error occurred: ${text} (request ${requestId})`);
  }
  const answer = jsonAnswer(status.code, status.toStatus());
  const retryAfter = status.details.retryAfterSeconds;
  if (retryAfter) answer.headers['retry-after'] = String(retryAfter);
  return answer;
}
