/**
 * Opens tunnels: asks the backend to leave HTTP with the client's own handshake headers, and joins the two connections when it agrees.
 * Bytes pass untouched in both directions with back-pressure; when one side ends or breaks, so does the other.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { isStatusError } from '@orbitkit/core';
import type { ApiRequest } from '../http/exchange.js';
import type { Tunnel } from './backend.js';
import { type BackendUpgrade, upgradeBackend } from './backend-request.js';
import { failureOf } from './pod-log.js';
import { passedHeaders } from './reverse-proxy.js';

/** @throws StatusError with the backend's answer when it refuses. */
export async function openTunnel(tunnel: Tunnel, request: ApiRequest): Promise<BackendUpgrade> {
  try {
    return await handshake(tunnel, request);
  } catch (error) {
    if (isStatusError(error)) tunnel.refused?.(error);
    throw error;
  }
}

async function handshake(tunnel: Tunnel, request: ApiRequest): Promise<BackendUpgrade> {
  const outcome = await upgradeBackend(tunnel.backend, {
    method: tunnel.method,
    path: tunnel.path,
    headers: {
      ...passedHeaders(request.headers),
      connection: 'Upgrade',
      upgrade: request.headers['upgrade'] ?? 'websocket',
    },
    signal: request.signal,
    headersTimeoutMs: 30_000,
  });
  if ('socket' in outcome) return outcome;
  throw await failureOf(outcome.status, outcome.body, tunnel.backend.what);
}

/** The backend's 101, as it goes to the client. */
export function switchingProtocols(answer: IncomingMessage): Buffer {
  let text = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2)
    text += `${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** Joins two connections until both have ended; resolves then. */
export function join(client: Duplex, backend: Duplex): Promise<void> {
  return new Promise(resolve => {
    let open = 2;
    const closed = (other: Duplex) => () => {
      other.destroy();
      if (--open === 0) resolve();
    };
    client.on('error', () => client.destroy());
    backend.on('error', () => backend.destroy());
    client.once('close', closed(backend));
    backend.once('close', closed(client));
    client.pipe(backend);
    backend.pipe(client);
  });
}
