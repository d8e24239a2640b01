/**
 * HTTP/1.1 on the door: requests, upgrades, and what is no HTTP at all.
 *
 * An answer that comes before its request's body was read (401, 413, 429) leaves the connection usable when the rest of the body is small;
 * otherwise the connection is closed after the answer, with a moment for the client to read it (Go's `rstAvoidanceDelay`).
 */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { join, openTunnel, switchingProtocols } from '../node-proxy/tunnel.js';
import { writePieces } from './answer-writer.js';
import { errorAnswer } from './answers.js';
import { chunkedSink } from './chunked-sink.js';
import type { DoorContext } from './door-context.js';
import type { ApiResponse } from './exchange.js';
import { isUpgrade } from './exchange.js';
import { Http1Exchange } from './http-exchange.js';

/** Rest of an unread body up to which the connection is kept (net/http reads as much). */
const discardedBytes = 256 * 1024;
const readAnswerMs = 500;

/** Leaves the client a moment to read its answer: closing with unread bytes resets the connection. */
function closeGently(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), readAnswerMs);
  socket.once('close', () => clearTimeout(timer));
}

export function serveHttp1(server: Server, door: DoorContext): void {
  const { handler, log } = door;

  function begin(incoming: IncomingMessage): Http1Exchange | undefined {
    const connection = door.connections.of(incoming.socket);
    if (connection === undefined) return void incoming.socket.destroy();
    connection.spoken();
    const exchange = new Http1Exchange(incoming, connection, door.tick, door.identify);
    door.exchanges.add(exchange);
    return exchange;
  }
  function end(exchange: Http1Exchange): void {
    door.exchanges.delete(exchange);
    exchange.end();
    // A kept connection would outlive the stop: its client does not know of it.
    if (door.closing) exchange.incoming.socket.destroySoon();
  }

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || error.code === 'ECONNRESET' || !error.code?.match(/^(?:HPE_|ERR_HTTP_)/))
      return void socket.destroy();
    const status =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });

  async function onRequest(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = begin(incoming);
    if (!exchange) return;
    response.once('close', () => end(exchange));
    try {
      const answer = await handler.handle(exchange);
      // An upgrade cannot come out of a request that did not ask for one.
      if (isUpgrade(answer)) return void response.destroy();
      if (door.closing) response.setHeader('connection', 'close');
      await write(response, answer, exchange);
    } catch (error) {
      if (!exchange.aborted)
        log.warn('an answer broke off', {
          path: exchange.path,
          error: error instanceof Error ? error.message : String(error),
        });
      response.destroy();
    }
  }

  async function write(response: ServerResponse, answer: ApiResponse, exchange: Http1Exchange): Promise<void> {
    const { body, status, headers } = answer;
    const headOnly = exchange.method === 'HEAD';
    if (response.destroyed) return;
    if (Buffer.isBuffer(body)) {
      if (status !== 304) headers['content-length'] = String(body.length);
      if (exchange.incomplete) leaveRest(response, exchange);
      response.writeHead(status, headers as Record<string, string | string[]>);
      exchange.answered = true;
      exchange.answerBytes = body.length;
      exchange.waitingSince = door.tick;
      if (headOnly || status === 304) response.end();
      else response.end(body);
      return;
    }
    response.writeHead(status, headers as Record<string, string | string[]>);
    if (headOnly) return void response.end();
    exchange.delivering = true;
    if (answer.stream) {
      response.flushHeaders();
      exchange.startStream();
    }
    await writePieces(answer.stream ? chunkedSink(response) : response, body, door.stalledMs, () => exchange.cutOff());
  }

  function leaveRest(response: ServerResponse, { incoming }: Http1Exchange): void {
    incoming.resume();
    const announced = incoming.headers['content-length'];
    if (announced !== undefined && Number(announced) <= discardedBytes) return;
    const { socket } = incoming;
    response.setHeader('connection', 'close');
    response.shouldKeepAlive = false;
    response.once('finish', () => closeGently(socket));
  }

  /** Upgrades come with a bare socket; refusals are written to it as ordinary answers. */
  async function onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const exchange = begin(incoming);
    if (!exchange) return;
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
      if (exchange.aborted) return void socket.destroy();
      answer = errorAnswer(error, 'upgrade', log);
    }
    const response = new ServerResponse(incoming);
    response.assignSocket(socket as Socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => {
      socket.end();
      // Nobody reads what a client goes on to send, and unread it would hide that the client has gone.
      socket.resume();
      closeGently(socket);
    });
    await write(response, answer, exchange).catch(() => undefined);
  }

  server.on('request', (incoming, response) => void onRequest(incoming, response));
  server.on('upgrade', (incoming, socket, head) => {
    onUpgrade(incoming, socket, head).catch(error => {
      log.warn('an upgrade broke off', { error: String(error) });
      socket.destroy();
    });
  });
}
