/**
 * A tunnel as WebSocket messages, for callers in the same process: what the HTTP door does with raw bytes is done here by a WebSocket
 * client at the backend. Messages wait for their reader within a bound, at which the socket is paused; `send` beyond its bound breaks the
 * stream with an error.
 */
import type { IncomingMessage } from 'node:http';
import { isStatusError, StatusError, type TransportSocket } from '@orbitkit/core';
import { WebSocket } from 'ws';
import { connectTo, type Tunnel } from './backend.js';
import { failureOf } from './pod-log.js';

const mostUnread = 1024 * 1024;
const mostUnsent = 64 * 1024 * 1024;
const longestMessage = 32 * 1024 * 1024;
const handshakeMs = 30_000;

/** @param request ends with the socket: it is aborted when the socket closes, and closes the socket when it aborts. */
export async function connectThrough(
  tunnel: Tunnel,
  protocols: readonly string[],
  request: Pick<AbortController, 'signal' | 'abort'>,
): Promise<TransportSocket> {
  const { backend } = tunnel;
  const connection = await connectTo(backend, request.signal);
  const scheme = backend.tls ? 'wss' : 'ws';
  const host = backend.host.includes(':') ? `[${backend.host}]` : backend.host;
  const socket = new WebSocket(`${scheme}://${host}:${backend.port}${tunnel.path}`, [...protocols], {
    createConnection: () => connection,
    perMessageDeflate: false,
    maxPayload: longestMessage,
    handshakeTimeout: handshakeMs,
    followRedirects: false,
  });
  socket.binaryType = 'nodebuffer';
  const onAbort = () => socket.terminate();
  request.signal.addEventListener('abort', onAbort, { once: true });

  const unread: Buffer[] = [];
  let unreadBytes = 0;
  let ended = false;
  let failure: unknown;
  let wake: () => void = () => undefined;
  let drains: (() => void)[] = [];
  const broken = (why: string) =>
    new StatusError('ServiceUnavailable', `the stream with ${backend.what} broke: ${why}`);
  const finish = (error?: unknown) => {
    if (ended) return;
    ended = true;
    failure = error;
    for (const resolve of drains) resolve();
    drains = [];
    wake();
    if (!request.signal.aborted) request.abort(error ?? new Error('the stream has ended'));
  };

  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      ended = true;
      socket.terminate();
      reject(error);
    };
    socket.once('open', resolve);
    socket.once('unexpected-response', (_request: unknown, answer: IncomingMessage) => {
      failureOf(answer.statusCode ?? 500, answer, backend.what).then(fail, fail);
    });
    // Stays: an error of a socket that is already given up must not be unhandled.
    socket.on('error', error => {
      const aborted = request.signal.aborted;
      if (ended) return;
      const why = isStatusError(error) ? error : aborted ? request.signal.reason : broken(error.message);
      if (socket.readyState === WebSocket.CONNECTING) fail(why);
      else finish(why);
    });
  });

  socket.on('message', (data: Buffer) => {
    unread.push(data);
    unreadBytes += data.length;
    if (unreadBytes > mostUnread) socket.pause();
    wake();
  });
  socket.once('close', code =>
    finish(
      code === 1006 ? (request.signal.aborted ? request.signal.reason : broken('the connection was lost')) : undefined,
    ),
  );

  async function* messages(): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const next = unread.shift();
        if (next !== undefined) {
          unreadBytes -= next.length;
          if (unreadBytes <= mostUnread / 2 && socket.isPaused) socket.resume();
          yield next;
        } else if (ended) {
          if (failure !== undefined) throw failure;
          return;
        } else {
          await new Promise<void>(resolve => {
            wake = resolve;
          });
        }
      }
    } finally {
      socket.close(1000);
    }
  }

  return {
    protocol: socket.protocol,
    messages: { [Symbol.asyncIterator]: messages },
    send(message) {
      if (ended) return;
      if (socket.bufferedAmount + message.length > mostUnsent) {
        socket.terminate();
        return finish(broken(`more than ${mostUnsent} bytes wait to be sent`));
      }
      socket.send(message, { binary: true }, () => {
        if (socket.bufferedAmount > 0) return;
        for (const resolve of drains) resolve();
        drains = [];
      });
    },
    drain: () =>
      ended || socket.bufferedAmount === 0 ? Promise.resolve() : new Promise(resolve => drains.push(resolve)),
    close: () => socket.close(1000),
  };
}
