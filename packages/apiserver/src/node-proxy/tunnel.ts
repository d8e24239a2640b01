/**
 * Opens tunnels: asks the backend to leave HTTP with the client's own handshake headers, and joins the two connections when it agrees.
 * Bytes pass untouched in both directions with back-pressure; when one side has gone, so does the other once it has taken what was sent.
 */
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ApiRequest } from '../http/exchange.js';
import type { Tunnel } from './backend.js';
import { type BackendUpgrade, upgradeBackend } from './backend-request.js';
import { failureOf } from './pod-log.js';
import { passedHeaders } from './reverse-proxy.js';

/** @throws StatusError with the backend's answer when it refuses. */
export async function openTunnel(tunnel: Tunnel, request: ApiRequest): Promise<BackendUpgrade> {
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

/** Within which one side takes what is left after the other has gone. */
const farewellMs = 5_000;
const keepAliveMs = 30_000;

/** Joins two connections until both are closed; resolves then. What arrived before one side's end still reaches the other. */
export function join(client: Duplex, backend: Duplex): Promise<void> {
  return new Promise(resolve => {
    let open = 2;
    const link = (from: Duplex, to: Duplex) => {
      // A peer whose machine vanished says nothing more.
      if (from instanceof Socket) from.setKeepAlive(true, keepAliveMs);
      from.on('error', () => from.destroy());
      from.once('close', () => {
        if (--open === 0) return resolve();
        // It takes what is left and answers the end with its own. What it still says is read: closing over unread bytes would cut both ways.
        to.end();
        to.unpipe(from);
        to.resume();
        to.once('end', () => to.destroy());
        const timer = setTimeout(() => to.destroy(), farewellMs);
        to.once('close', () => clearTimeout(timer));
      });
      from.pipe(to);
    };
    link(client, backend);
    link(backend, client);
  });
}
