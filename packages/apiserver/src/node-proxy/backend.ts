/**
 * A connection to what stands behind the API server: a node's agent over TLS with a pinned certificate, or a pod's port.
 *
 * The agent's certificate is self-signed; who it is says its Node object, in an annotation that only the agent may write. The server
 * compares the SHA-256 of the certificate before it sends a byte, and proves itself with a client certificate of the cluster's authority.
 */
import { createHash } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { StatusError } from '@orbitkit/core';

export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Backend {
  /** For messages: `node n1`. */
  readonly what: string;
  readonly host: string;
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: {
    /**
     * Hex of the SHA-256 of the DER certificate that must be presented; several, with commas between, while an agent renews its own.
     * Absent: any (a pod's own).
     */
    readonly sha256?: string;
    readonly client?: ClientCertificate;
  };
}

/** A request that leaves HTTP on its way through the server. */
export interface Tunnel {
  readonly backend: Backend;
  readonly method: string;
  /** With query, as the backend is asked. */
  readonly path: string;
}

const connectTimeoutMs = 10_000;

export function unreachable(backend: Backend, why: string): StatusError {
  return new StatusError(
    'ServiceUnavailable',
    `${backend.what} cannot be reached at ${backend.host}:${backend.port}: ${why}`,
  );
}

/** @throws StatusError ServiceUnavailable; the socket is the caller's. */
export function connectTo(backend: Backend, signal: AbortSignal): Promise<Socket> {
  const { host, port, tls } = backend;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket: Socket = tls
      ? connectTls({
          host,
          port,
          // Identity is the pin: there is no authority to ask and no name to compare.
          rejectUnauthorized: false,
          minVersion: 'TLSv1.2',
          ...(tls.client ? { cert: tls.client.certificate, key: tls.client.key } : {}),
        })
      : connectTcp({ host, port });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const fail = (error: unknown) => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error) => fail(unreachable(backend, error.message));
    const onAbort = () => fail(signal.reason);
    const timer = setTimeout(
      () => fail(unreachable(backend, `no connection within ${connectTimeoutMs / 1000} s`)),
      connectTimeoutMs,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', onError);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      if (tls?.sha256 !== undefined) {
        const { raw } = (socket as import('node:tls').TLSSocket).getPeerCertificate();
        const presented = raw ? createHash('sha256').update(raw).digest('hex') : 'none';
        if (!tls.sha256.toLowerCase().split(',').includes(presented))
          return fail(
            unreachable(
              backend,
              `its certificate (SHA-256 ${presented}) is not the one that its Node object names (${tls.sha256})`,
            ),
          );
      }
      settle();
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}
