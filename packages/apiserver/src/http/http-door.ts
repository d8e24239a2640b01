/**
 * The door for HTTP: takes requests from a listening socket to the handler and writes its answers. With TLS, HTTP/2 and HTTP/1.1 share the
 * port and ALPN decides; plain HTTP is 1.1.
 *
 * Bounds: headers within 10 s, a whole request within 60 s (both against slow clients), bodies as the handler says, connections as
 * `connections.ts` and streams as `http2-server.ts` say. Streams: headers go out at once (clients wait for them). Who takes nothing of
 * an answer for `stalledMs` (longer for a large one: 16 KiB/s are enough) is cut off. `close` lets running answers finish, ends streams
 * cleanly, and then closes what is left.
 */
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Logger, UserInfo } from '@orbitkit/core';
import type { Credentials } from '../authentication/authenticator.js';
import { type ConnectionBounds, Connections, keepAliveProbeMs } from './connections.js';
import type { DoorContext } from './door-context.js';
import type { ApiHandler } from './exchange.js';
import { ended, type HttpExchange } from './http-exchange.js';
import { serveHttp1 } from './http1-server.js';
import { http2Sessions } from './http2-server.js';

export interface HttpDoorOptions extends ConnectionBounds {
  readonly handler: ApiHandler;
  /** @throws StatusError Unauthorized */
  readonly identify: (credentials: Credentials) => Promise<UserInfo>;
  readonly log: Logger;
  /** Absent: plain HTTP. */
  readonly tls?: ServingIdentity | undefined;
  /** A stream whose client takes nothing for so long is cut off. Default 30 s. */
  readonly stalledMs?: number;
  /** Time for the TLS handshake, and for a request's headers to arrive. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** Time for a whole request to arrive. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** A kept connection without requests is closed after so long. Default 90 s (kube-apiserver's). */
  readonly idleMs?: number;
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
  /** For connections from now on; those that are open stay as they are. */
  renew(identity: ServingIdentity): void;
  /** How many are open. */
  readonly connections: number;
  /** Ends streams, waits for answers up to `graceMs`, then closes every connection. Twice is harmless. */
  close(graceMs: number): Promise<void>;
}

const maxHeaderBytes = 64 * 1024;
/** Slowest client that gets a large answer. */
const slowestBytesPerMs = 16;

export function httpDoor(options: HttpDoorOptions): HttpDoor {
  const { handler, tls, log, identify } = options;
  const stalledMs = options.stalledMs ?? 30_000;
  const headersTimeout = options.headersTimeoutMs ?? 10_000;
  const requestTimeout = options.requestTimeoutMs ?? 60_000;
  const idleMs = options.idleMs ?? 90_000;
  const sweepMs = Math.min(5_000, headersTimeout / 2, requestTimeout / 2, stalledMs / 2, idleMs / 2);
  const settings = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout,
    requestTimeout,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: sweepMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveProbeMs,
  };
  const server: Server = tls
    ? createHttpsServer({
        ...settings,
        ...secureContext(tls),
        requestCert: true,
        // Clients without a certificate, or with one that this authority did not sign, may still have a token.
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        handshakeTimeout: headersTimeout,
        ALPNProtocols: ['h2', 'http/1.1'],
      })
    : createHttpServer(settings);

  const connections = new Connections(options);
  const exchanges = new Set<HttpExchange>();
  let closing = false;
  let tick = performance.now();
  const door: DoorContext = {
    handler,
    identify,
    log,
    stalledMs,
    connections,
    exchanges,
    get tick() {
      return tick;
    },
    get closing() {
      return closing;
    },
  };
  const http2 = http2Sessions(door, { headersTimeoutMs: headersTimeout, idleMs });
  serveHttp1(server, door);

  // What is not admitted is closed before TLS or HTTP see it.
  before<Socket>(server, 'connection', socket => connections.admit(socket));
  if (tls) {
    before<TLSSocket>(server, 'secureConnection', socket => {
      if (connections.secured(socket) === undefined) return void socket.destroy();
      if (socket.alpnProtocol !== 'h2') return true;
      http2.accept(socket);
    });
  }

  /** Looks for clients that neither send nor take. */
  function sweep(): void {
    tick = performance.now();
    for (const exchange of exchanges) {
      const waited = tick - exchange.waitingSince;
      if (exchange.answered) {
        if (waited > stalledMs + exchange.answerBytes / slowestBytesPerMs) exchange.cutOff();
      } else if (!exchange.delivering && waited > requestTimeout + 2 * sweepMs && exchange.incomplete) {
        // node:http answers 408 before that; HTTP/2 knows no such bound.
        exchange.cutOff();
      }
    }
    http2.sweep();
  }
  let sweeper: NodeJS.Timeout | undefined;

  let closed: Promise<void> | undefined;
  return {
    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          server.on('error', error => log.error('the server socket failed', { error: error.message }));
          sweeper = setInterval(sweep, sweepMs);
          sweeper.unref();
          resolve(server.address() as AddressInfo);
        });
      });
    },
    renew(identity) {
      if ('setSecureContext' in server) (server as HttpsServer).setSecureContext(secureContext(identity));
    },
    get connections() {
      return connections.size;
    },
    close(graceMs) {
      closed ??= (async () => {
        closing = true;
        if (!server.listening) return;
        const stopped = new Promise<void>(resolve => server.close(() => resolve()));
        for (const exchange of exchanges) exchange.stop();
        server.closeIdleConnections();
        http2.goAway();
        const timer = setTimeout(() => connections.destroyAll(), graceMs);
        await stopped;
        clearTimeout(timer);
        clearInterval(sweeper);
        for (const exchange of exchanges) exchange.abort(ended);
        connections.destroyAll();
      })();
      return closed;
    },
  };
}

/** The listeners that are there are called only for what passes. */
function before<T>(server: Server, event: string, passes: (value: T) => boolean | undefined | void): void {
  const listeners = server.listeners(event) as ((value: T) => void)[];
  server.removeAllListeners(event);
  server.on(event, (value: T) => {
    if (passes(value)) for (const listener of listeners) listener.call(server, value);
  });
}

const secureContext = ({ certificate, key, clientAuthority }: ServingIdentity) => ({
  cert: certificate,
  key,
  ca: clientAuthority,
});
