/**
 * The door for HTTP: takes requests from a node:http or node:https server to the handler and writes its answers.
 *
 * Bounds: headers within 10 s, a whole request within 60 s (both against slow clients), bodies as the handler says. Streams: headers go out
 * at once (clients wait for them), one write a piece, and the next piece is asked for only when the socket has drained; a client that
 * takes nothing for `stalledMs` is cut off. `close` lets running answers finish, ends streams cleanly, and then closes what is left.
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger, UserInfo } from '@orbitkit/core';
import type { Credentials } from '../authentication/authenticator.js';
import { join, openTunnel, switchingProtocols } from '../node-proxy/tunnel.js';
import { errorAnswer } from './answers.js';
import type { ApiHandler, ApiResponse } from './exchange.js';
import { isUpgrade } from './exchange.js';
import { ended, HttpExchange } from './http-exchange.js';

export interface HttpDoorOptions {
  readonly handler: ApiHandler;
  /** @throws StatusError Unauthorized */
  readonly identify: (credentials: Credentials) => Promise<UserInfo>;
  readonly log: Logger;
  /** Absent: plain HTTP. */
  readonly tls?: ServingIdentity | undefined;
  /** A stream whose client takes nothing for so long is cut off. Default 30 s. */
  readonly stalledMs?: number;
  /** Time for a request's headers to arrive. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** Time for a whole request to arrive. Default 60 s. */
  readonly requestTimeoutMs?: number;
}

export interface ServingIdentity {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the authority that signs clients' certificates. */
  readonly clientAuthority: string;
}

export interface HttpDoor {
  listen(host: string, port: number): Promise<AddressInfo>;
  /** For connections from now on. */
  renew(identity: ServingIdentity): void;
  /** Ends streams, waits for answers up to `graceMs`, then closes every connection. Twice is harmless. */
  close(graceMs: number): Promise<void>;
}

const maxHeaderBytes = 64 * 1024;

export function httpDoor(options: HttpDoorOptions): HttpDoor {
  const { handler, tls, log } = options;
  const stalledMs = options.stalledMs ?? 30_000;
  const headersTimeout = options.headersTimeoutMs ?? 10_000;
  const settings = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout,
    requestTimeout: options.requestTimeoutMs ?? 60_000,
    keepAliveTimeout: 90_000,
    connectionsCheckingInterval: Math.min(5_000, headersTimeout / 2),
    noDelay: true,
  };
  const server: Server = tls
    ? createHttpsServer({
        ...settings,
        ...secureContext(tls),
        requestCert: true,
        // Clients without a certificate, or with one that this authority did not sign, may still have a token.
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['http/1.1'],
      })
    : createHttpServer(settings);

  const exchanges = new Set<HttpExchange>();
  const sockets = new Set<Socket>();
  let closing = false;

  const begin = (incoming: IncomingMessage): HttpExchange => {
    const exchange = new HttpExchange(incoming, options.identify);
    exchanges.add(exchange);
    return exchange;
  };
  const end = (exchange: HttpExchange) => {
    exchanges.delete(exchange);
    if (!exchange.answered) exchange.abort(ended);
    // A kept connection would outlive the stop: its client does not know of it.
    if (closing) exchange.incoming.socket.destroySoon();
  };

  server.on('connection', socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (socket.writable && error.code !== 'ECONNRESET') {
      const status =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
            ? '408 Request Timeout'
            : '400 Bad Request';
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    } else socket.destroy();
  });

  async function onRequest(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = begin(incoming);
    response.once('close', () => end(exchange));
    try {
      const answer = await handler.handle(exchange);
      // An upgrade cannot come out of a request that did not ask for one.
      if (isUpgrade(answer)) return void response.destroy();
      if (closing) response.setHeader('connection', 'close');
      await write(response, incoming.method === 'HEAD', answer, exchange);
    } catch (error) {
      if (!exchange.signal.aborted)
        log.warn('an answer broke off', {
          path: exchange.path,
          error: error instanceof Error ? error.message : String(error),
        });
      response.destroy();
    }
  }

  async function write(
    response: ServerResponse,
    headOnly: boolean,
    answer: ApiResponse,
    exchange: HttpExchange,
  ): Promise<void> {
    const { body } = answer;
    if (response.destroyed) return;
    if (Buffer.isBuffer(body)) {
      if (answer.status !== 304) response.setHeader('content-length', body.length);
      response.writeHead(answer.status, answer.headers as Record<string, string | string[]>);
      exchange.answered = true;
      if (headOnly || answer.status === 304) response.end();
      else response.end(body);
      return discardRest(exchange.incoming);
    }
    response.writeHead(answer.status, answer.headers as Record<string, string | string[]>);
    if (headOnly) {
      response.end();
      return;
    }
    if (answer.stream) {
      response.flushHeaders();
      exchange.startStream();
    }
    for await (const piece of body) {
      if (response.destroyed) break;
      if (piece.length > 0 && !response.write(piece)) await drained(response, stalledMs);
    }
    response.end();
  }

  /** Upgrades come with a bare socket; refusals are written to it as ordinary answers. */
  async function onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const exchange = begin(incoming);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => end(exchange));
    let answer: ApiResponse;
    try {
      const outcome = await handler.handle(exchange);
      if (isUpgrade(outcome)) {
        const upgraded = await openTunnel(outcome.tunnel, exchange);
        if (socket.destroyed) return void upgraded.socket.destroy();
        exchange.startStream();
        socket.write(switchingProtocols(upgraded.answer));
        if (upgraded.head.length > 0) socket.write(upgraded.head);
        if (head.length > 0) upgraded.socket.write(head);
        exchange.signal.addEventListener('abort', () => upgraded.socket.destroy(), { once: true });
        await join(socket, upgraded.socket);
        return;
      }
      answer = outcome;
    } catch (error) {
      if (exchange.signal.aborted) return void socket.destroy();
      answer = errorAnswer(error, 'upgrade', log);
    }
    const response = new ServerResponse(incoming);
    response.assignSocket(socket as Socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.end());
    await write(response, false, answer, exchange).catch(() => undefined);
  }

  server.on('request', (incoming, response) => void onRequest(incoming, response));
  server.on('upgrade', (incoming, socket, head) => {
    onUpgrade(incoming, socket, head).catch(error => {
      log.warn('an upgrade broke off', { error: String(error) });
      socket.destroy();
    });
  });

  let closed: Promise<void> | undefined;
  return {
    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          server.on('error', error => log.error('the server socket failed', { error: error.message }));
          resolve(server.address() as AddressInfo);
        });
      });
    },
    renew(identity) {
      if ('setSecureContext' in server) (server as HttpsServer).setSecureContext(secureContext(identity));
    },
    close(graceMs) {
      closed ??= (async () => {
        closing = true;
        if (!server.listening) return;
        const stopped = new Promise<void>(resolve => server.close(() => resolve()));
        for (const exchange of exchanges) exchange.stop();
        server.closeIdleConnections();
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        await stopped;
        clearTimeout(timer);
        for (const socket of sockets) socket.destroy();
      })();
      return closed;
    },
  };
}

const secureContext = ({ certificate, key, clientAuthority }: ServingIdentity) => ({
  cert: certificate,
  key,
  ca: clientAuthority,
});

/** Resolves when the response can take more or is gone. */
function drained(response: ServerResponse, stalledMs: number): Promise<void> {
  return new Promise(resolve => {
    const settle = () => {
      clearTimeout(timer);
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    const timer = setTimeout(() => response.destroy(), stalledMs);
    response.once('drain', settle);
    response.once('close', settle);
  });
}

/** An answer that came before its request's body was read (413, 401) must not leave the rest of the body in the connection. */
function discardRest(incoming: IncomingMessage): void {
  if (!incoming.complete) incoming.resume();
}
