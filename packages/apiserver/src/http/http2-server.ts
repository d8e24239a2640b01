/**
 * HTTP/2 on the door (clients that offer `h2` in ALPN: kubectl and every Go client). Each stream is one request; upgrades (exec, attach,
 * port-forward) stay on HTTP/1.1, as they do in Kubernetes.
 *
 * Bounds of one connection, beside those of nghttp2 (CONTINUATION, empty DATA and unacknowledged-frame floods):
 * - 100 streams at once (kube-apiserver's since CVE-2023-44487), 64 KiB of headers in at most 200 fields, 256 KiB in flight a stream and
 *   1 MiB a connection, and 128 MiB that it may leave untaken (as many lists as it has streams);
 * - streams that the client resets before they are answered (rapid reset), pings and settings: a bucket each of 200 that refills with
 *   20 a second. Who empties one gets GOAWAY with ENHANCE_YOUR_CALM, and the connection is closed;
 * - its settings must come within `headersTimeoutMs`, and it is closed when it has carried no stream for `idleMs`.
 * - every 30 s it is asked whether it is still there (PING), and closed when it does not answer within 10 s: after a broken frame Node's
 *   session neither ends nor reads on, and would not see its client go.
 * A stream whose client opens no window is a client that takes nothing: it is reset after the door's `stalledMs`.
 */
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { writePieces } from './answer-writer.js';
import type { Connection } from './connections.js';
import type { DoorContext } from './door-context.js';
import type { ApiResponse } from './exchange.js';
import { isUpgrade } from './exchange.js';
import { Http2Exchange } from './http-exchange.js';

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const maxStreams = 100;
const sessionOptions = {
  maxHeaderListPairs: 200,
  maxSessionMemory: 128,
  maxSettings: 32,
  settings: {
    maxConcurrentStreams: maxStreams,
    maxHeaderListSize: 64 * 1024,
    initialWindowSize: 256 * 1024,
    enablePush: false,
    enableConnectProtocol: false,
  },
};
const connectionWindowBytes = 1024 * 1024;
const bucketSize = 200;
const bucketPerSecond = 20;

export interface Http2Sessions {
  accept(socket: TLSSocket): void;
  /** Closes connections that did not begin in time, or carry nothing. */
  sweep(): void;
  /** No new streams; running ones may finish. */
  goAway(): void;
  readonly size: number;
}

export interface Http2Bounds {
  readonly headersTimeoutMs: number;
  readonly idleMs: number;
}

/** Fields that belong to one HTTP/1.1 connection and have no place in HTTP/2 (RFC 9113 8.2.2). */
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te']);

/** Lets so many through at once, and refills with time. */
class Bucket {
  #left = bucketSize;
  #at = performance.now();

  take(): boolean {
    if (this.#left < 1) {
      const now = performance.now();
      this.#left = Math.min(bucketSize, this.#left + ((now - this.#at) / 1_000) * bucketPerSecond);
      this.#at = now;
      if (this.#left < 1) return false;
    }
    this.#left -= 1;
    return true;
  }
}

interface Session {
  readonly session: ServerHttp2Session;
  readonly socket: TLSSocket;
  readonly connection: Connection;
  readonly resets: Bucket;
  settled: boolean;
  streams: number;
  /** Since when it carries no stream. */
  idleSince: number;
  /** When it last answered a ping, and whether one is on its way. */
  heardAt: number;
  pinged: boolean;
}

export function http2Sessions(door: DoorContext, bounds: Http2Bounds): Http2Sessions {
  const { handler, log } = door;
  const sessions = new Set<Session>();
  const pingMs = 3 * bounds.headersTimeoutMs;

  function accept(socket: TLSSocket): void {
    const connection = door.connections.of(socket);
    if (connection === undefined || door.closing) return void socket.destroy();
    // HTTP/1.1 clients may close their side and still read; of HTTP/2 nothing is left then.
    socket.allowHalfOpen = false;
    const session = performServerHandshake(socket, sessionOptions) as ServerHttp2Session;
    const state: Session = {
      session,
      socket,
      connection,
      resets: new Bucket(),
      settled: false,
      streams: 0,
      idleSince: performance.now(),
      heardAt: performance.now(),
      pinged: false,
    };
    sessions.add(state);
    session.setLocalWindowSize(connectionWindowBytes);
    const pings = new Bucket();
    const settings = new Bucket();
    session.on('ping', () => {
      if (!pings.take()) calm(state, 'pings');
    });
    session.on('remoteSettings', () => {
      state.settled = true;
      if (!settings.take()) calm(state, 'settings');
    });
    // A broken connection ends its streams, which end their requests.
    session.on('error', () => undefined);
    session.on('frameError', () => undefined);
    session.on('close', () => {
      sessions.delete(state);
      socket.destroy();
      connection.socket.destroy();
    });
    session.on('stream', (stream, headers, flags) => void onStream(state, stream, headers, flags));
  }

  function drop(state: Session): void {
    sessions.delete(state);
    state.session.destroy();
    state.socket.destroy();
    state.connection.socket.destroy();
  }

  function calm(state: Session, what: string): void {
    const { session, connection } = state;
    if (session.destroyed || !sessions.delete(state)) return;
    log.warn('a connection was closed: too many of its frames ask for nothing', {
      what,
      address: connection.remoteAddress,
    });
    // In the next turn, for the reason that `Http2Exchange.cutOff` gives.
    setImmediate(() => session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM));
  }

  async function onStream(
    state: Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
  ): Promise<void> {
    stream.on('error', () => undefined);
    if (door.closing) return stream.close(NGHTTP2_REFUSED_STREAM);
    state.connection.spoken();
    state.streams += 1;
    const fields = headers as Record<string, string | undefined>;
    fields['host'] ??= fields[':authority'];
    const exchange = new Http2Exchange(stream, fields, flags, state.connection, door.tick, door.identify);
    door.exchanges.add(exchange);
    stream.once('close', () => {
      door.exchanges.delete(exchange);
      state.streams -= 1;
      state.idleSince = performance.now();
      // The client took it back before it was answered.
      const { rstCode } = stream;
      if (!exchange.answered && !exchange.delivering && rstCode !== NGHTTP2_NO_ERROR && !state.resets.take())
        calm(state, 'resets');
      exchange.end();
    });
    try {
      if (fields['expect']?.toLowerCase() === '100-continue') stream.additionalHeaders({ ':status': 100 });
      const answer = await handler.handle(exchange);
      // Nobody can leave HTTP from a stream.
      if (isUpgrade(answer)) return stream.close(NGHTTP2_CANCEL);
      await write(stream, answer, exchange);
    } catch (error) {
      if (!exchange.aborted && !stream.destroyed)
        log.warn('an answer broke off', {
          path: exchange.path,
          error: error instanceof Error ? error.message : String(error),
        });
      stream.destroy();
    }
  }

  async function write(stream: ServerHttp2Stream, answer: ApiResponse, exchange: Http2Exchange): Promise<void> {
    if (stream.destroyed || stream.closed) return;
    const { body, status } = answer;
    // The answer is this request's own, and so are its headers.
    const headers = answer.headers as OutgoingHttpHeaders;
    headers[':status'] = status;
    if (Buffer.isBuffer(body)) {
      if (status !== 304) headers['content-length'] = body.length;
      const empty = body.length === 0 || exchange.method === 'HEAD' || status === 304 || status === 204;
      exchange.answered = true;
      exchange.answerBytes = body.length;
      exchange.waitingSince = door.tick;
      stream.respond(headers, { endStream: empty });
      if (!empty) stream.end(body);
      // What is left of the body nobody wants (RFC 9113 8.1).
      if (exchange.incomplete) stream.resume();
      return;
    }
    // What a backend has said of its own connection.
    for (const name in headers) if (hopByHop.has(name)) delete headers[name];
    stream.respond(headers);
    if (exchange.method === 'HEAD') return void stream.end();
    exchange.delivering = true;
    if (answer.stream) exchange.startStream();
    await writePieces(stream, body, door.stalledMs, () => exchange.cutOff());
  }

  return {
    accept,
    sweep() {
      const now = performance.now();
      for (const state of sessions) {
        const { session, socket, streams, settled, idleSince } = state;
        const silentFor = now - state.heardAt;
        if (session.destroyed || socket.destroyed) drop(state);
        else if (state.pinged ? silentFor > pingMs + bounds.headersTimeoutMs : false) drop(state);
        else if (streams === 0 && now - idleSince > (settled ? bounds.idleMs : bounds.headersTimeoutMs)) {
          if (settled && !session.closed) session.close();
          else drop(state);
        } else if (!state.pinged && silentFor > pingMs) {
          state.pinged = true;
          session.ping(() => {
            state.pinged = false;
            state.heardAt = performance.now();
          });
        }
      }
    },
    goAway() {
      for (const { session } of sessions) if (!session.closed) session.close();
    },
    get size() {
      return sessions.size;
    },
  };
}
