/** Whether the daemon answers at all. Bounded: one that took the connection and says nothing counts as one that is not there. */
import type Docker from 'dockerode';
import { translated } from './errors.js';

/** Long for a local socket, short for a person who waits, and below the 10 s between a node's status reports. */
const answerMs = 5_000;

/** What dockerode keeps of `$DOCKER_HOST` or the options; its types leave it out. */
interface Modem {
  /** A function looks for the socket of Docker Desktop first. */
  socketPath?: string | (() => Promise<string>);
  host?: string;
  port?: string | number;
}

async function addressOf(docker: Docker): Promise<{ address?: string; port?: number }> {
  const { socketPath, host, port } = docker.modem as unknown as Modem;
  if (host !== undefined) return { address: host, ...(port ? { port: Number(port) } : {}) };
  const address = typeof socketPath === 'function' ? await socketPath() : socketPath;
  return address === undefined ? {} : { address };
}

/** @throws RuntimeError `Unavailable` that names the socket: at once when nobody listens there, else after `limitMs`. */
export async function daemonVersion(docker: Docker, limitMs = answerMs): Promise<string> {
  const limit = AbortSignal.timeout(limitMs);
  const version = docker.version as unknown as (options: { abortSignal: AbortSignal }) => Promise<{ Version: string }>;
  try {
    return (await version.call(docker, { abortSignal: limit })).Version;
  } catch (error) {
    const refusal = limit.aborted
      ? Object.assign(new Error(`no answer within ${limitMs / 1_000} s`), {
          code: 'ETIMEDOUT',
          ...(await addressOf(docker)),
        })
      : error;
    throw translated(refusal, 'Unavailable', 'the Docker daemon');
  }
}
