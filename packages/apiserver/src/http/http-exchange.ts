/**
 * One request of the HTTP door, as the handler sees it: over HTTP/1.1 or as a stream of an HTTP/2 connection.
 *
 * Bodies are bounded while they arrive. `ticks` are the door's coarse time: who does not finish sending a body, or does not take its
 * answer, is found by the door's regular look at all exchanges, so that a request needs no timer of its own.
 */
import type { IncomingMessage } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import { badRequest, type UserInfo } from '@orbitkit/core';
import type { Credentials } from '../authentication/authenticator.js';
import { entityTooLarge } from './body.js';
import type { Connection } from './connections.js';
import type { ApiRequest } from './exchange.js';
import { type Query, splitTarget } from './query.js';
import { RequestSignal } from './request-signal.js';

/** The reason with which a request's signal aborts when all is well. */
export const ended = new Error('the request has ended');

type Headers = Readonly<Record<string, string | undefined>>;
const noBytes = Buffer.alloc(0);

export abstract class HttpExchange implements ApiRequest {
  readonly path: string;
  readonly query: Query;
  readonly #signal = new RequestSignal();
  /** A whole answer was handed to the socket: nothing works for this request any more. */
  answered = false;
  /** Bytes of that answer. */
  answerBytes = 0;
  /** An answer goes out piece by piece, each bounded by itself. */
  delivering = false;
  /** Since when the exchange waits for its client: for the rest of the body, or for the answer to be taken. */
  waitingSince: number;
  #stopped = false;
  #streaming = false;

  protected constructor(
    readonly connection: Connection,
    readonly method: string,
    target: string,
    readonly headers: Headers,
    readonly upgrade: boolean,
    tick: number,
    private readonly who: (credentials: Credentials) => Promise<UserInfo>,
  ) {
    const { path, query } = splitTarget(target);
    this.path = path;
    this.query = query;
    this.waitingSince = tick;
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  identify(): Promise<UserInfo> {
    return this.who({ headers: this.headers, certificate: this.connection.certificate });
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
    this.#signal.abort(reason);
  }

  /** The client has its answer, or has gone. */
  end(): void {
    if (this.answered) this.#signal.release();
    else this.#signal.abort(ended);
  }

  /** Gives the client up: it sends or takes nothing. */
  abstract cutOff(): void;
  /** The client still owes a part of its body. */
  abstract readonly incomplete: boolean;
  protected abstract readonly source: Readable;
  protected abstract readonly bodyless: boolean;

  readBody(limit: number): Promise<Buffer> {
    const { headers } = this;
    const length = headers['content-length'];
    if (this.bodyless || length === '0') return Promise.resolve(noBytes);
    if (length !== undefined && Number(length) > limit) return Promise.reject(entityTooLarge(limit));
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      return Promise.reject(badRequest(`a body with content-encoding ${encoding} cannot be read; send it as it is`));
    return collect(this.source, limit);
  }

  bodyStream(): Readable | undefined {
    return this.bodyless || this.headers['content-length'] === '0' ? undefined : this.source;
  }
}

/** All bytes of a source. Beyond the limit it rejects at once, and the rest is left in the source. */
function collect(source: Readable, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (source.destroyed) return reject(badRequest("the request's body broke off"));
    let parts: Buffer[] | undefined;
    let only: Buffer | undefined;
    let size = 0;
    const onData = (part: Buffer) => {
      size += part.length;
      if (size > limit) {
        settle();
        source.pause();
        return reject(entityTooLarge(limit));
      }
      if (only === undefined) only = part;
      else if (parts === undefined) parts = [only, part];
      else parts.push(part);
    };
    const onEnd = () => {
      settle();
      resolve(parts === undefined ? (only ?? noBytes) : Buffer.concat(parts, size));
    };
    const onBroken = (error?: Error) => {
      settle();
      reject(badRequest(`the request's body broke off${error === undefined ? '' : `: ${error.message}`}`));
    };
    const onClose = () => onBroken();
    const settle = () => {
      source.off('data', onData);
      source.off('end', onEnd);
      source.off('error', onBroken);
      source.off('close', onClose);
    };
    source.on('data', onData);
    source.on('end', onEnd);
    source.on('error', onBroken);
    source.on('close', onClose);
  });
}

export class Http1Exchange extends HttpExchange {
  constructor(
    readonly incoming: IncomingMessage,
    connection: Connection,
    tick: number,
    who: (credentials: Credentials) => Promise<UserInfo>,
  ) {
    const { headers } = incoming;
    super(
      connection,
      incoming.method ?? 'GET',
      incoming.url ?? '/',
      headers as Headers,
      headers.upgrade !== undefined,
      tick,
      who,
    );
  }

  protected get source(): Readable {
    return this.incoming;
  }
  protected get bodyless(): boolean {
    const { headers } = this.incoming;
    return headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
  }
  get incomplete(): boolean {
    return !this.incoming.complete;
  }
  cutOff(): void {
    this.incoming.socket.destroy();
  }
}

/** END_STREAM on the frame of the headers (RFC 9113 6.2). */
const endStream = 0x1;

export class Http2Exchange extends HttpExchange {
  readonly #whole: boolean;

  constructor(
    readonly stream: ServerHttp2Stream,
    headers: Headers,
    flags: number,
    connection: Connection,
    tick: number,
    who: (credentials: Credentials) => Promise<UserInfo>,
  ) {
    super(connection, headers[':method'] ?? 'GET', headers[':path'] ?? '/', headers, false, tick, who);
    this.#whole = (flags & endStream) !== 0;
  }

  protected get source(): Readable {
    return this.stream;
  }
  protected get bodyless(): boolean {
    return this.#whole;
  }
  get incomplete(): boolean {
    return !this.#whole && !this.stream.readableEnded;
  }
  cutOff(): void {
    this.stream.close(constants.NGHTTP2_CANCEL);
    // Closing waits for what was written, and nobody takes it. Not in this turn: while frames are handed over, the reset is sent only
    // afterwards, and Node.js forgets it when the stream is gone by then (nodejs/node#52952).
    setImmediate(() => this.stream.destroy());
  }
}
