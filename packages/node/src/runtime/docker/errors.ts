/** What the Docker daemon answers, as errors of the runtime contract. */
import { RuntimeError, type RuntimeErrorReason } from '../contract.js';

interface DaemonError extends Error {
  statusCode?: number;
  json?: { message?: string };
  reason?: string;
  code?: string;
  /** Of Node's own connection errors: the host, or the path of the socket. */
  address?: string;
  port?: number;
}

export const statusOf = (error: unknown): number | undefined => (error as DaemonError)?.statusCode;

/** The daemon's own words, without dockerode's frame. */
function wordsOf(error: unknown): string {
  const { json, message } = error as DaemonError;
  return json?.message ?? message?.replace(/^\(HTTP code \d+\) [^-]+ - /, '').trim() ?? String(error);
}

const unreachable = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** @throws RuntimeError: `Unavailable` when the daemon cannot be reached, `NotFound` for 404, else the reason given. */
export function translated(error: unknown, reason: RuntimeErrorReason, what: string): RuntimeError {
  const { code, address, port } = error as DaemonError;
  if (code && unreachable.has(code)) {
    const where = address ? ` at ${address}${port ? `:${port}` : ''}` : '';
    return new RuntimeError(
      'Unavailable',
      `the Docker daemon${where} does not answer (${code}): is dockerd running, and may this user use its socket?`,
      { cause: error },
    );
  }
  return new RuntimeError(
    statusOf(error) === 404 && reason !== 'ImagePullFailed' ? 'NotFound' : reason,
    `${what}: ${wordsOf(error)}`,
    { cause: error },
  );
}
