/** One request of the HTTP door, as the handler sees it. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { badRequest, type UserInfo } from '@orbitkit/core';
import type { Credentials } from '../authentication/authenticator.js';
import { entityTooLarge } from './body.js';
import type { ApiRequest } from './exchange.js';
import { type Query, splitTarget } from './query.js';

/** The reason with which a request's signal aborts when all is well. */
export const ended = new Error('the request has ended');

/** By connection: node makes an object of the whole certificate each time it is asked. */
const certificates = new WeakMap<object, Buffer>();

/** DER of the client's certificate when TLS verified it; renegotiation, which could change it, is not offered. */
function verifiedCertificate(of: object): Buffer | undefined {
  const socket = of as Partial<TLSSocket>;
  if (!socket.authorized) return undefined;
  let certificate = certificates.get(of);
  if (certificate === undefined) {
    certificate = socket.getPeerCertificate?.().raw;
    if (certificate !== undefined) certificates.set(of, certificate);
  }
  return certificate;
}

export class HttpExchange implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly upgrade: boolean;
  readonly #controller = new AbortController();
  /** A whole answer was handed to the socket: nothing works for this request any more. */
  answered = false;
  #stopped = false;
  #streaming = false;

  constructor(
    readonly incoming: IncomingMessage,
    private readonly who: (credentials: Credentials) => Promise<UserInfo>,
  ) {
    const { path, query } = splitTarget(incoming.url ?? '/');
    this.method = incoming.method ?? 'GET';
    this.path = path;
    this.query = query;
    this.headers = incoming.headers as Record<string, string | undefined>;
    this.upgrade = incoming.headers.upgrade !== undefined;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get remoteAddress(): string {
    return this.incoming.socket.remoteAddress ?? '';
  }

  identify(): Promise<UserInfo> {
    const certificate = verifiedCertificate(this.incoming.socket);
    return this.who({ headers: this.headers, certificate });
  }

  /** The server stops: a stream ends now, another answer may finish. */
  stop(): void {
    this.#stopped = true;
    if (this.#streaming) this.abort(ended);
  }

  /** The answer turned out to be a stream. */
  startStream(): void {
    this.#streaming = true;
    if (this.#stopped) this.abort(ended);
  }

  abort(reason: unknown): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  async readBody(limit: number): Promise<Buffer> {
    const { incoming } = this;
    const announced = Number(incoming.headers['content-length'] ?? 0);
    if (announced > limit) throw entityTooLarge(limit);
    if (announced === 0 && incoming.headers['transfer-encoding'] === undefined) return Buffer.alloc(0);
    const encoding = incoming.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw badRequest(`a body with content-encoding ${encoding} cannot be read; send it as it is`);
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of incoming.iterator({ destroyOnReturn: false })) {
        size += (part as Buffer).length;
        if (size > limit) throw entityTooLarge(limit);
        parts.push(part as Buffer);
      }
    } catch (error) {
      if (size > limit) throw error;
      throw badRequest(`the request's body broke off: ${(error as Error).message}`);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}
