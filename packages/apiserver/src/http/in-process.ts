/**
 * The door for components in the same process: a `Transport` that takes requests to the same handler, for an identity that was given
 * when it was made. Authorization, admission, validation and bytes are those of the HTTP door; only the sockets are missing.
 *
 * Bodies of answers are the server's shared buffers: read only.
 */
import {
  errorOfAnswer,
  StatusError,
  type Transport,
  type TransportRequest,
  type TransportResponse,
  type TransportSocket,
  type UserInfo,
} from '@orbitkit/core';
import { connectThrough } from '../node-proxy/tunnel-socket.js';
import { entityTooLarge } from './body.js';
import type { ApiHandler, ApiRequest, ApiResponse } from './exchange.js';
import { isUpgrade } from './exchange.js';
import { splitTarget } from './query.js';

export interface InProcessOptions {
  readonly handler: ApiHandler;
  /** Aborts when the server stops: every stream ends then, and later requests fail. */
  readonly signal: AbortSignal;
}

const defaultTimeoutMs = 60_000;

/** Longest turn of callers that never wait for anything outside of the process. */
const longestTurnMs = 8;

/**
 * Over the memory store a request is nothing but promises: a caller in a loop would never let timers and sockets have their turn. Resolves at
 * once while the turn is young, after the others' turn otherwise.
 */
function turns(): () => Promise<void> | undefined {
  let startedAt: number | undefined;
  return () => {
    if (startedAt === undefined) {
      startedAt = performance.now();
      setImmediate(() => {
        startedAt = undefined;
      });
      return undefined;
    }
    if (performance.now() - startedAt < longestTurnMs) return undefined;
    return new Promise(resolve => setImmediate(resolve));
  };
}

/** The reason with which a request's signal aborts when all is well. */
const ended = new Error('the request has ended');
const stopping = new StatusError('ServiceUnavailable', 'the API server is stopping');

export function inProcessTransport({ handler, signal: serverSignal }: InProcessOptions, user: UserInfo): Transport {
  const closing = new AbortController();
  const turn = turns();
  const userAgent = `${user.username.replace(/[^\w.-]+/g, '-')}/in-process`;

  function open(request: Pick<TransportRequest, 'method' | 'path' | 'headers' | 'body' | 'signal'>, upgrade: boolean) {
    if (closing.signal.aborted) throw new Error('the transport is closed');
    if (serverSignal.aborted) throw stopping;
    request.signal?.throwIfAborted();
    const controller = new AbortController();
    const causes = [request.signal, closing.signal, serverSignal].filter(cause => cause !== undefined);
    const abort = (event: Event) =>
      controller.abort(event.target === serverSignal ? stopping : (event.target as AbortSignal).reason);
    for (const cause of causes) cause.addEventListener('abort', abort, { once: true });
    controller.signal.addEventListener(
      'abort',
      () => {
        for (const cause of causes) cause.removeEventListener('abort', abort);
      },
      { once: true },
    );
    const body =
      typeof request.body === 'string'
        ? Buffer.from(request.body)
        : request.body === undefined
          ? Buffer.alloc(0)
          : Buffer.from(request.body);
    const exchange: ApiRequest = {
      ...splitTarget(request.path),
      method: request.method,
      headers: { 'user-agent': userAgent, ...request.headers },
      upgrade,
      signal: controller.signal,
      remoteAddress: 'in-process',
      identify: async () => user,
      readBody: async limit => {
        if (body.length > limit) throw entityTooLarge(limit);
        return body;
      },
    };
    return { exchange, controller };
  }

  async function request(asked: TransportRequest): Promise<TransportResponse> {
    await turn();
    const { exchange, controller } = open(asked, false);
    const timeoutMs = asked.timeoutMs ?? defaultTimeoutMs;
    const late = () =>
      controller.abort(
        new StatusError('Timeout', `no answer to ${asked.method} ${exchange.path} within ${timeoutMs / 1000} s`),
      );
    const timer = setTimeout(late, timeoutMs);
    let answer: ApiResponse;
    try {
      const outcome = await untilAborted(handler.handle(exchange), controller.signal);
      if (isUpgrade(outcome))
        throw new StatusError('BadRequest', `${exchange.path} needs a two-way stream: use connect()`);
      answer = outcome;
    } catch (error) {
      clearTimeout(timer);
      controller.abort(error);
      throw error;
    }
    const end = () => {
      clearTimeout(timer);
      if (!controller.signal.aborted) controller.abort(ended);
    };
    if (asked.stream) clearTimeout(timer);
    return toResponse(answer, asked.method === 'HEAD', controller.signal, end);
  }

  async function connect(
    path: string,
    options: { protocols: readonly string[]; signal?: AbortSignal },
  ): Promise<TransportSocket> {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-protocol': options.protocols.join(', '),
    };
    const { exchange, controller } = open(
      { method: 'GET', path, headers, ...(options.signal ? { signal: options.signal } : {}) },
      true,
    );
    try {
      const outcome = await handler.handle(exchange);
      if (!isUpgrade(outcome)) throw await errorOf(outcome);
      return await connectThrough(outcome.tunnel, options.protocols, controller);
    } catch (error) {
      controller.abort(error);
      throw error;
    }
  }

  return {
    request,
    connect,
    async close() {
      closing.abort(new Error('the transport is closed'));
    },
  };
}

/** Rejects with the signal's reason when it aborts first. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function toResponse(answer: ApiResponse, headOnly: boolean, signal: AbortSignal, end: () => void): TransportResponse {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers))
    headers[name] = typeof value === 'string' ? value : value.join(', ');
  const warning = answer.headers['warning'];
  const { body } = answer;
  const whole = Buffer.isBuffer(body);
  if (whole) end();
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    if (headOnly) return end();
    if (whole) {
      if (body.length > 0) yield body;
      return;
    }
    try {
      for await (const piece of body) {
        yield piece;
        if (signal.aborted) break;
      }
      if (signal.aborted && signal.reason !== ended && !(answer.stream && signal.reason === stopping))
        throw signal.reason;
    } finally {
      end();
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

async function errorOf(answer: ApiResponse): Promise<StatusError> {
  const parts: Uint8Array[] = [];
  if (Buffer.isBuffer(answer.body)) parts.push(answer.body);
  else for await (const part of answer.body) parts.push(part);
  return errorOfAnswer(answer.status, {}, Buffer.concat(parts), { method: 'GET', path: 'the stream' });
}
