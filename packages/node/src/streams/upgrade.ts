/**
 * Leaving HTTP: which protocol a client is given, and the handshake.
 *
 * A client offers one of: a WebSocket with channel subprotocols (kubectl since 1.30, client libraries), a WebSocket that carries
 * SPDY/3.1 (`SPDY/3.1+portforward.k8s.io`: kubectl's port-forward since 1.31), or SPDY/3.1 itself with X-Stream-Protocol-Version (kubectl
 * before that, and whenever its WebSocket was refused). What is not understood is refused before the 101, with a Status: kubectl then
 * tries SPDY, and shows what that one is told.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { badRequest, StatusError } from '@orbitkit/core';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { channelProtocols } from './channels.js';
import { portForwardProtocol } from './spdy-port-forward.js';
import { spdyStreamProtocols } from './spdy-streams.js';

export type StreamAction = 'exec' | 'attach' | 'portForward';

export type Agreed =
  | { kind: 'channels' }
  /** `overWebSocket`: the bytes of the connection are its binary messages. */
  | { kind: 'spdy'; protocol: string; overWebSocket: boolean };

export type Upgraded = { kind: 'channels'; socket: WebSocket } | { kind: 'spdy'; protocol: string; socket: Duplex };

const tunnelProtocol = `SPDY/3.1+${portForwardProtocol}`;

const listOf = (header: string | string[] | undefined): string[] =>
  [header ?? []]
    .flat()
    .join(',')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');

/** @throws StatusError BadRequest, Forbidden */
export function agreeOn(request: IncomingMessage, action: StreamAction): Agreed {
  const wanted = request.headers.upgrade?.toLowerCase();
  if (wanted === 'websocket') {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    if (action === 'portForward' && offered.includes(tunnelProtocol))
      return { kind: 'spdy', protocol: portForwardProtocol, overWebSocket: true };
    if (offered.length === 0 || channelProtocols.some(name => offered.includes(name))) return { kind: 'channels' };
    throw badRequest(`unable to upgrade: the client offers the subprotocols ${offered.join(', ')}; ${spoken(action)}`);
  }
  if (wanted !== 'spdy/3.1') throw badRequest('Upgrade request required');
  const offered = listOf(request.headers['x-stream-protocol-version']);
  const accepted = action === 'portForward' ? [portForwardProtocol] : spdyStreamProtocols;
  if (offered.length === 0) return { kind: 'spdy', protocol: accepted.at(-1)!, overWebSocket: false };
  // The client's order is its preference (apimachinery `httpstream.negotiateProtocol`).
  const protocol = offered.find(name => accepted.includes(name));
  if (protocol === undefined) {
    throw new StatusError(
      'Forbidden',
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${accepted.join(' ')}]`,
    );
  }
  return { kind: 'spdy', protocol, overWebSocket: false };
}

const spoken = (action: StreamAction): string =>
  `there are ${[...(action === 'portForward' ? [tunnelProtocol] : []), ...channelProtocols].join(', ')}`;

export interface Upgrader {
  /** Answers 101 and hands over the connection; undefined when the handshake failed, which was answered. */
  upgrade(agreed: Agreed, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Upgraded | undefined>;
  /** Cuts every connection. */
  terminate(): void;
}

/** Longest message of a client: kubectl sends 32 KiB, client libraries up to 64. */
const largestMessage = 8 * 1024 * 1024;
const keepAliveMs = 30_000;

export function upgrader(): Upgrader {
  const spdySockets = new Set<Duplex>();
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: largestMessage,
    handleProtocols: offered => channelProtocols.find(protocol => offered.has(protocol)) ?? false,
  });
  const tunneled = new WeakSet<IncomingMessage>();
  server.on('headers', (headers, request) => {
    if (tunneled.has(request)) headers.push(`Sec-WebSocket-Protocol: ${tunnelProtocol}`);
  });

  const webSocket = (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    new Promise<WebSocket | undefined>(resolve => {
      socket.once('close', () => resolve(undefined));
      server.handleUpgrade(request, socket, head, resolve);
    });

  return {
    async upgrade(agreed, request, socket, head) {
      // A client whose machine vanished says nothing more.
      (socket as Socket).setKeepAlive(true, keepAliveMs);
      if (agreed.kind === 'channels') {
        const own = await webSocket(request, socket, head);
        return own && { kind: 'channels', socket: own };
      }
      const { protocol } = agreed;
      if (agreed.overWebSocket) {
        // The name has a "/", which is no character of a token: ws would refuse it.
        delete request.headers['sec-websocket-protocol'];
        tunneled.add(request);
        const own = await webSocket(request, socket, head);
        return own && { kind: 'spdy', protocol, socket: createWebSocketStream(own) };
      }
      (socket as Socket).setTimeout(0);
      (socket as Socket).setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
      );
      spdySockets.add(socket);
      socket.once('close', () => spdySockets.delete(socket));
      return { kind: 'spdy', protocol, socket };
    },
    terminate() {
      for (const socket of server.clients) socket.terminate();
      for (const socket of spdySockets) socket.destroy();
    },
  };
}
