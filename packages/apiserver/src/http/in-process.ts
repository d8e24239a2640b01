/**
 * The door for components in the same process: a `Transport` that takes requests to the same handler, for an identity that was given
 * when it was made. Authorization, admission, validation and bytes are those of the HTTP door; only the sockets are missing.
 *
 * - Streams end cleanly when the server stops, as they do over HTTP; later requests fail with ServiceUnavailable.
 * - An aborted request rejects, and its body throws, with the reason of the caller's signal.
 * - Bodies of answers are the server's shared buffers: read only.
 */
import {
  type Clock,
  errorOfAnswer,
  StatusError,
  systemClock,
  type Transport,
  type TransportRequest,
  type TransportResponse,
  type TransportSocket,
  type UserInfo,
} from '@orbitkit/core';
import { authenticated } from '../authentication/authenticator.js';
import { connectThrough } from '../node-proxy/tunnel-socket.js';
import { entityTooLarge } from './body.js';
import type { ApiHandler, ApiRequest, ApiResponse, ApiUpgrade } from './exchange.js';
import { isUpgrade } from './exchange.js';
import { type Query, splitTarget } from './query.js';
import { RequestSignal } from './request-signal.js';
import { turnTaker } from './turn-taker.js';

export interface InProcessOptions {
  readonly handler: ApiHandler;
  /** Aborts when the server stops: every stream ends then, and later requests fail. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

const defaultTimeoutMs = 60_000;

/** The reasons with which a request's signal aborts when nothing is wrong with the request. */
const ended = new Error('the request has ended');
/** The whole answer is there: nothing is left to release, and aborting would cost more than the request did. */
const answered = new Error('the request was answered');
const stopping = new StatusError('ServiceUnavailable', 'the API server is stopping');
const closed = new StatusError('ServiceUnavailable', 'the connection to the API server was closed by this program');

export function inProcessTransport(options: InProcessOptions, user: UserInfo): Transport {
  const { handler, signal: serverSignal, clock = systemClock } = options;
  const takeTurn = turnTaker();
  const acting = authenticated(user);
  const userAgent = `${user.username.replace(/[^\w.-]+/g, '-')}/in-process`;
  const open = new Set<Exchange>();
  let refusal: StatusError | undefined;

  function refuse(reason: StatusError): void {
    refusal ??= reason;
    for (const exchange of open) exchange.cancel(reason);
  }
  const onStop = () => refuse(stopping);
  if (serverSignal.aborted) refusal = stopping;
  else serverSignal.addEventListener('abort', onStop, { once: true });

  function begin(asked: Pick<TransportRequest, 'method' | 'path' | 'headers' | 'body' | 'signal'>, upgrade: boolean) {
    if (refusal) throw refusal;
    asked.signal?.throwIfAborted();
    const exchange = new Exchange(asked, acting, { 'user-agent': userAgent, ...asked.headers }, upgrade, () =>
      open.delete(exchange),
    );
    open.add(exchange);
    return exchange;
  }

  async function request(asked: TransportRequest): Promise<TransportResponse> {
    await takeTurn();
    const exchange = begin(asked, false);
    const timeoutMs = asked.timeoutMs ?? defaultTimeoutMs;
    const timer = clock.setTimer(timeoutMs, () =>
      exchange.cancel(
        new StatusError('Timeout', `no answer to ${asked.method} ${exchange.path} within ${timeoutMs / 1000} s`),
      ),
    );
    let answer: ApiResponse;
    try {
      const outcome = await exchange.through(handler);
      if (isUpgrade(outcome))
        throw new StatusError('BadRequest', `${exchange.path} needs a two-way stream: use connect()`);
      answer = outcome;
    } catch (error) {
      timer.cancel();
      exchange.end(error);
      throw error;
    }
    if (asked.stream && answer.status < 400) timer.cancel();
    return toResponse(answer, asked.method === 'HEAD', exchange.signal, reason => {
      timer.cancel();
      exchange.end(reason);
    });
  }

  async function connect(
    path: string,
    { protocols, signal }: { protocols: readonly string[]; signal?: AbortSignal },
  ): Promise<TransportSocket> {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-protocol': protocols.join(', '),
    };
    const exchange = begin({ method: 'GET', path, headers, ...(signal ? { signal } : {}) }, true);
    try {
      const outcome = await exchange.through(handler);
      if (!isUpgrade(outcome)) throw await errorOf(outcome, path);
      return await connectThrough(outcome.tunnel, protocols, {
        signal: exchange.signal,
        abort: reason => exchange.end(reason),
      });
    } catch (error) {
      exchange.end(error);
      throw error;
    }
  }

  return {
    request,
    connect,
    async close() {
      serverSignal.removeEventListener('abort', onStop);
      refuse(closed);
    },
  };
}

class Exchange implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly remoteAddress = 'in-process';
  readonly #signal = new RequestSignal();
  readonly #body: TransportRequest['body'];
  readonly #caller: AbortSignal | undefined;
  readonly #onAbort = () => this.cancel(this.#caller!.reason);
  #reject: ((reason: unknown) => void) | undefined;

  constructor(
    asked: Pick<TransportRequest, 'method' | 'path' | 'body' | 'signal'>,
    private readonly user: UserInfo,
    readonly headers: Readonly<Record<string, string | undefined>>,
    readonly upgrade: boolean,
    private readonly onEnd: () => void,
  ) {
    const { path, query } = splitTarget(asked.path);
    this.method = asked.method;
    this.path = path;
    this.query = query;
    this.#body = asked.body;
    this.#caller = asked.signal;
    this.#caller?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  async identify(): Promise<UserInfo> {
    return this.user;
  }

  async readBody(limit: number): Promise<Buffer> {
    const body = this.#body;
    if (body === undefined) return Buffer.alloc(0);
    const bytes =
      typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (bytes.length > limit) throw entityTooLarge(limit);
    return bytes;
  }

  /** The handler's answer; rejects as soon as the request is cancelled. */
  through(handler: ApiHandler): Promise<ApiResponse | ApiUpgrade> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      handler.handle(this).then(resolve, reject);
    });
  }

  abort(reason: unknown): void {
    this.#signal.abort(reason);
  }

  /** The caller, the transport or the server gives the request up. */
  cancel(reason: unknown): void {
    this.#reject?.(reason);
    this.abort(reason);
    this.end(reason);
  }

  /** It is over; a stream's resources are released by the abort. Twice is harmless. */
  end(reason: unknown): void {
    this.#caller?.removeEventListener('abort', this.#onAbort);
    this.onEnd();
    if (reason === answered) this.#signal.release();
    else this.abort(reason);
  }
}

function toResponse(
  answer: ApiResponse,
  headOnly: boolean,
  signal: AbortSignal,
  end: (reason: Error) => void,
): TransportResponse {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers))
    headers[name] = typeof value === 'string' ? value : value.join(', ');
  const warning = answer.headers['warning'];
  const { body } = answer;
  const whole = Buffer.isBuffer(body);
  if (whole) end(answered);
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    if (whole) {
      if (body.length > 0 && !headOnly) yield body;
      return;
    }
    if (headOnly) return end(ended);
    try {
      for await (const piece of body) {
        yield piece;
        if (signal.aborted) break;
      }
      if (signal.aborted && signal.reason !== ended && !(answer.stream && signal.reason === stopping))
        throw signal.reason;
    } finally {
      end(ended);
    }
  };
  return {
    status: answer.status,
    headers,
    warnings: warning === undefined ? [] : typeof warning === 'string' ? [warning] : warning,
    body: { [Symbol.asyncIterator]: chunks },
    async bytes() {
      if (whole) return headOnly ? Buffer.alloc(0) : body;
      const parts: Uint8Array[] = [];
      for await (const part of chunks()) parts.push(part);
      return Buffer.concat(parts);
    },
  };
}

async function errorOf(answer: ApiResponse, path: string): Promise<StatusError> {
  const parts: Uint8Array[] = [];
  if (Buffer.isBuffer(answer.body)) parts.push(answer.body);
  else for await (const part of answer.body) parts.push(part);
  return errorOfAnswer(answer.status, {}, Buffer.concat(parts), { method: 'GET', path });
}
