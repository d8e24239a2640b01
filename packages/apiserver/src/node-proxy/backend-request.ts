/**
 * One HTTP request to a backend over a connection of its own; the answer's body is a stream with back-pressure. Aborting the signal, or
 * leaving the body early, closes the connection.
 */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { type Backend, connectTo, unreachable } from './backend.js';

export interface BackendRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** A stream is passed on as it comes. */
  readonly body?: Buffer | Readable;
  readonly signal: AbortSignal;
  /** Bound on the time to the answer's headers; counted anew with every piece of a streamed body. Default 60 s. */
  readonly headersTimeoutMs?: number;
}

export interface BackendAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Buffer>;
}

/** The backend agreed to leave HTTP. */
export interface BackendUpgrade {
  readonly answer: IncomingMessage;
  readonly socket: Socket;
  /** What came behind the answer's headers already. */
  readonly head: Buffer;
}

/** @throws StatusError ServiceUnavailable */
export async function requestBackend(backend: Backend, ask: BackendRequest): Promise<BackendAnswer> {
  const outcome = await exchange(backend, ask);
  if ('socket' in outcome) {
    outcome.socket.destroy();
    throw unreachable(backend, 'it changed the protocol without being asked to');
  }
  return outcome;
}

/** As `requestBackend`, for requests whose headers ask for another protocol. */
export async function upgradeBackend(backend: Backend, ask: BackendRequest): Promise<BackendAnswer | BackendUpgrade> {
  return exchange(backend, ask);
}

async function exchange(backend: Backend, ask: BackendRequest): Promise<BackendAnswer | BackendUpgrade> {
  const socket = await connectTo(backend, ask.signal);
  const timeoutMs = ask.headersTimeoutMs ?? 60_000;
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      method: ask.method,
      path: ask.path,
      headers: { host: `${backend.host}:${backend.port}`, ...(ask.headers as Record<string, string | string[]>) },
      createConnection: () => socket,
    });
    const settle = () => clearTimeout(timer);
    const onAbort = () => {
      outgoing.destroy();
      socket.destroy();
      settle();
      reject(ask.signal.reason);
    };
    const timer = setTimeout(() => {
      outgoing.destroy();
      reject(unreachable(backend, `it did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    // An answer may come before the body has ended: what it says counts, and the rest of the body is nobody's.
    const passOn = (body: Readable) => {
      body.on('data', () => timer.refresh());
      body.on('error', () => outgoing.destroy(new Error("the request's body broke off")));
      body.pipe(outgoing);
    };
    ask.signal.addEventListener('abort', onAbort, { once: true });
    // The listener stays: a late error of a destroyed request must not be unhandled.
    outgoing.on('error', error => {
      settle();
      reject(unreachable(backend, error.message));
    });
    socket.once('close', () => ask.signal.removeEventListener('abort', onAbort));
    outgoing.once('response', answer => {
      settle();
      resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: pieces(answer, socket) });
    });
    outgoing.once('upgrade', (answer, upgraded, head) => {
      settle();
      upgraded.on('error', () => undefined);
      resolve({ answer, socket: upgraded as Socket, head });
    });
    if (ask.body === undefined || Buffer.isBuffer(ask.body)) outgoing.end(ask.body);
    else passOn(ask.body);
  });
}

async function* pieces(answer: IncomingMessage, socket: Socket): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer) yield chunk as Buffer;
  } finally {
    answer.on('error', () => undefined);
    socket.destroy();
  }
}
