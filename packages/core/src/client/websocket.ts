/**
 * A WebSocket as a client opens it on an API server: exec, attach, port-forward.
 *
 * - A refused handshake throws the server's own answer as StatusError.
 * - Messages are handed out as they come; while nobody reads, the socket is paused.
 * - A connection that ends without the closing handshake is an error of the reader; a clean close ends the messages.
 * - `send` never waits: beyond 64 MiB that the server does not take, the socket is closed with an error. Await `drain()`
 *   to stay below.
 */
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '../clock/clock.js';
import { StatusError } from '../errors/status-error.js';
import { connectionError, type TlsOptions } from './http-transport.js';
import { errorOfAnswer } from './request-json.js';
import type { TransportSocket } from './transport.js';
import { encodeFrame, type Frame, frameDecoder, opcodes } from './websocket-frames.js';

export interface WebSocketOptions {
  url: URL;
  protocols: readonly string[];
  /** Names and values in turn. */
  headers: readonly string[];
  tls?: TlsOptions;
  signal: AbortSignal;
  /** Bound on the handshake. */
  timeoutMs: number;
  clock: Clock;
}

const longestMessage = 32 * 1024 * 1024;
const mostUnsent = 64 * 1024 * 1024;
/** Unread bytes at which the socket is paused. */
const mostUnread = 1024 * 1024;
const longestRefusal = 64 * 1024;
const closeGraceMs = 2_000;
/** RFC 6455, 1.3. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export async function connectWebSocket(options: WebSocketOptions): Promise<TransportSocket> {
  const { url, protocols, signal, timeoutMs, clock } = options;
  const key = randomBytes(16).toString('base64');
  const headers = [
    ...options.headers,
    'host',
    url.host,
    'connection',
    'Upgrade',
    'upgrade',
    'websocket',
    'sec-websocket-version',
    '13',
    'sec-websocket-key',
    key,
    ...(protocols.length > 0 ? ['sec-websocket-protocol', protocols.join(', ')] : []),
  ];
  const where = `GET ${url.origin}${url.pathname}`;
  const call = {
    method: 'GET',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    path: url.pathname + url.search,
    headers,
    agent: false as const,
  };
  const outgoing = url.protocol === 'https:' ? httpsRequest({ ...call, ...options.tls }) : httpRequest(call);

  const { answer, socket, head } = await new Promise<{ answer: IncomingMessage; socket?: Socket; head?: Buffer }>(
    (resolve, reject) => {
      const timer = clock.setTimer(timeoutMs, () => {
        outgoing.destroy();
        reject(
          new StatusError('Timeout', `${where}: no answer to the WebSocket handshake within ${timeoutMs / 1_000} s`),
        );
      });
      const onAbort = () => {
        outgoing.destroy();
        reject(signal.reason);
      };
      const settled = () => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      outgoing.on('error', error => {
        settled();
        reject(connectionError(error, url, where));
      });
      outgoing.on('upgrade', (incoming, upgraded, first) => {
        settled();
        resolve({ answer: incoming, socket: upgraded as Socket, head: first });
      });
      outgoing.on('response', incoming => {
        settled();
        resolve({ answer: incoming });
      });
      outgoing.end();
    },
  );

  if (!socket) throw await refusal(answer, url, clock);
  const protocol = answer.headers['sec-websocket-protocol'] ?? '';
  const accepted = createHash('sha1')
    .update(key + acceptGuid)
    .digest('base64');
  const offered = protocol === '' ? protocols.length === 0 : protocols.includes(protocol);
  if (answer.headers['sec-websocket-accept'] !== accepted || !offered) {
    socket.destroy();
    const why = offered
      ? 'a wrong Sec-WebSocket-Accept'
      : `the subprotocol "${protocol}", offered were ${protocols.join(', ')}`;
    throw new StatusError('InternalError', `${where}: the server answered the WebSocket handshake with ${why}`);
  }
  return messageSocket(socket, head ?? Buffer.alloc(0), protocol, where, signal, clock);
}

/** The server's answer to a handshake that it refused. */
async function refusal(answer: IncomingMessage, url: URL, clock: Clock): Promise<StatusError> {
  const parts: Buffer[] = [];
  let length = 0;
  const timer = clock.setTimer(5_000, () => answer.destroy());
  try {
    for await (const chunk of answer) {
      parts.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > longestRefusal) break;
    }
  } catch {
    // What came is enough to say something.
  } finally {
    timer.cancel();
    answer.destroy();
  }
  const retryAfter = answer.headers['retry-after'];
  return errorOfAnswer(
    answer.statusCode ?? 500,
    retryAfter ? { 'retry-after': retryAfter } : {},
    Buffer.concat(parts),
    {
      method: 'GET',
      path: url.pathname,
    },
  );
}

function messageSocket(
  socket: Socket,
  head: Buffer,
  protocol: string,
  where: string,
  signal: AbortSignal,
  clock: Clock,
): TransportSocket {
  const decode = frameDecoder(longestMessage);
  const unread: Buffer[] = [];
  let unreadBytes = 0;
  let fragments: Buffer[] = [];
  let fragmentBytes = 0;
  let ended = false;
  let failure: unknown;
  let closeSent = false;
  let wakeReader: (() => void) | undefined;
  let wakeDrain: (() => void)[] = [];
  let closing: { cancel(): void } | undefined;

  const wake = () => {
    wakeReader?.();
    wakeReader = undefined;
  };
  function end(error?: unknown): void {
    if (ended) return;
    ended = true;
    failure = error;
    closing?.cancel();
    signal.removeEventListener('abort', onAbort);
    // A clean end lets the closing frame out first.
    if (error === undefined) socket.destroySoon();
    else socket.destroy();
    for (const resolve of wakeDrain) resolve();
    wakeDrain = [];
    wake();
  }
  const onAbort = () => end(signal.reason);
  const broken = (message: string, cause?: unknown) =>
    new StatusError('ServiceUnavailable', `${where}: ${message}`, { cause });

  function write(opcode: number, payload: Uint8Array): void {
    if (ended || closeSent) return;
    socket.write(encodeFrame(opcode, payload));
    if (socket.writableLength > mostUnsent) end(broken(`the server does not read; ${mostUnsent} bytes are waiting`));
  }
  function sendClose(code: number): void {
    if (ended || closeSent) return;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    write(opcodes.close, payload);
    closeSent = true;
    // A server that does not answer the closing handshake in time is left behind.
    closing = clock.setTimer(closeGraceMs, () => end());
  }

  function deliver(message: Buffer): void {
    unread.push(message);
    unreadBytes += message.length;
    if (unreadBytes > mostUnread) socket.pause();
    wake();
  }

  function take({ opcode, final, payload }: Frame): void {
    switch (opcode) {
      case opcodes.ping:
        write(opcodes.pong, payload);
        return;
      case opcodes.pong:
        return;
      case opcodes.close:
        sendClose(1000);
        end();
        return;
    }
    if (opcode !== opcodes.continuation && fragments.length > 0) throw broken('a message began inside another one');
    fragmentBytes += payload.length;
    if (fragmentBytes > longestMessage) throw broken(`a message is over the bound of ${longestMessage} bytes`);
    fragments.push(payload);
    if (!final) return;
    const message = fragments.length === 1 ? payload : Buffer.concat(fragments);
    fragments = [];
    fragmentBytes = 0;
    deliver(message);
  }

  function onData(bytes: Buffer): void {
    if (ended) return;
    try {
      for (const frame of decode(bytes)) take(frame);
    } catch (error) {
      end(error instanceof StatusError ? error : broken((error as Error).message, error));
    }
  }

  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.on('data', onData);
  socket.on('error', error => end(broken(error.message, error)));
  socket.on('close', () => end(closeSent ? undefined : broken('the connection was lost')));
  socket.on('drain', () => {
    for (const resolve of wakeDrain) resolve();
    wakeDrain = [];
  });
  if (signal.aborted) onAbort();
  else if (head.length > 0) onData(head);
  socket.resume();

  async function* messages(): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const next = unread.shift();
        if (next !== undefined) {
          unreadBytes -= next.length;
          if (unreadBytes <= mostUnread / 2 && socket.isPaused()) socket.resume();
          yield next;
        } else if (ended) {
          if (failure !== undefined) throw failure;
          return;
        } else {
          await new Promise<void>(resolve => {
            wakeReader = resolve;
          });
        }
      }
    } finally {
      sendClose(1000);
    }
  }

  return {
    protocol,
    messages: { [Symbol.asyncIterator]: messages },
    send: message => write(opcodes.binary, message),
    drain: () =>
      ended || !socket.writableNeedDrain
        ? Promise.resolve()
        : new Promise(resolve => {
            wakeDrain.push(resolve);
          }),
    close: () => sendClose(1000),
  };
}
