/**
 * gRPC to an etcd cluster over `node:http2`: one connection at a time, to one member; when it fails, the next member is asked.
 *
 * - A call has a time limit and ends with its signal. Calls in flight are bounded; more of them wait.
 * - A connection that answers no ping while something is under way is given up, so a peer that went silent costs seconds, not
 *   minutes. While there is none, attempts are spaced out (50 ms to 2 s) and go round the members.
 * - A call that cannot have reached etcd is tried again within its time. One whose fate is unknown is tried again only when the
 *   caller says that it may be; otherwise it fails with `sent: true`.
 */
import http2 from 'node:http2';
import { type Backoff, backoff, type Clock } from '@orbitkit/core';
import { GrpcError, grpcCodes, readMessages } from './grpc-messages.js';

export interface ChannelTls {
  /** PEM of the authorities. Default: those that Node.js knows. */
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

export interface ChannelOptions {
  /** `http://127.0.0.1:2379`, in the order in which they are tried. */
  readonly hosts: readonly string[];
  readonly tls?: ChannelTls | undefined;
  readonly clock: Clock;
  /** The token of an authenticated user; asked again after etcd refused one. */
  readonly token?: ((refused: string | undefined) => Promise<string>) | undefined;
  /** Longest time of a call, its attempts included. Default 10 s. */
  readonly callTimeoutMs?: number;
  /** Longest time to connect to one member. Default 3 s. */
  readonly connectTimeoutMs?: number;
  /** A connection is asked for a sign of life this often while calls are under way… Default 5 s. */
  readonly pingMs?: number;
  /** …and given up when none comes for so long. Default 3 s. */
  readonly pongMs?: number;
  /** Calls in flight. Default 512. */
  readonly inFlight?: number;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Doing it twice does no harm. */
  readonly repeatable: boolean;
}

/** A stream in both directions. */
export interface Duplex {
  /** A framed message. */
  send(message: Buffer): void;
  end(): void;
}

export interface DuplexHandler {
  message(message: Buffer): void;
  /** Once, and never after `end`. */
  closed(error: GrpcError): void;
}

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

export class Channel {
  readonly #options: ChannelOptions;
  readonly #retry: Backoff;
  #session: http2.ClientHttp2Session | undefined;
  #connecting: Promise<http2.ClientHttp2Session> | undefined;
  #host = 0;
  /** Why the last attempt to connect failed. */
  #lastFailure: string | undefined;
  #token: string | undefined;
  #streams = 0;
  #inFlight = 0;
  readonly #waiting: (() => void)[] = [];
  #ping: { cancel(): void } | undefined;
  readonly #stop = new AbortController();

  constructor(options: ChannelOptions) {
    if (options.hosts.length === 0) throw new TypeError('etcd: at least one host is needed');
    this.#options = options;
    this.#retry = backoff({ initialMs: 50, maxMs: 2_000, jitter: 0.5, clock: options.clock });
  }

  /** The member that is asked now, for messages. */
  get host(): string {
    return this.#options.hosts[this.#host % this.#options.hosts.length]!;
  }

  /** One framed message there, one message back. @throws GrpcError, the signal's reason */
  async call(path: string, message: Buffer, { signal, repeatable }: CallOptions): Promise<Buffer> {
    signal?.throwIfAborted();
    if (this.#inFlight >= (this.#options.inFlight ?? 512)) await this.#room(signal);
    this.#inFlight++;
    try {
      const until = performance.now() + (this.#options.callTimeoutMs ?? 10_000);
      let renewed = false;
      for (;;) {
        try {
          return await this.#attempt(path, message, signal, until);
        } catch (error) {
          if (!(error instanceof GrpcError)) throw error;
          if (error.code === grpcCodes.unauthenticated && this.#options.token !== undefined && !renewed) {
            renewed = true;
            continue;
          }
          const again = error.code === grpcCodes.unavailable && (repeatable || !error.sent);
          if (!again || this.#stop.signal.aborted || performance.now() >= until) throw error;
          await this.#options.clock.sleep(this.#retry.next(), anySignal(this.#stop.signal, signal)).catch(() => {
            signal?.throwIfAborted();
            throw error;
          });
        }
      }
    } finally {
      this.#inFlight--;
      this.#waiting.shift()?.();
    }
  }

  /** Opens a stream; it ends when the handler is told so, or by `end`. Never tried again. @throws GrpcError */
  async duplex(path: string, handler: DuplexHandler, signal: AbortSignal): Promise<Duplex> {
    const until = performance.now() + (this.#options.connectTimeoutMs ?? 3_000) * 2;
    const session = await this.#connected(signal, until);
    const token = await this.#currentToken();
    const stream = this.#request(session, path, token, true);
    let open = true;
    const finish = (error: GrpcError): void => {
      if (!open) return;
      open = false;
      signal.removeEventListener('abort', abort);
      stream.close(NGHTTP2_CANCEL);
      handler.closed(error);
    };
    const abort = (): void => finish(new GrpcError(grpcCodes.cancelled, 'the stream was ended here', true));
    signal.addEventListener('abort', abort, { once: true });
    readMessages(stream, message => {
      if (open) handler.message(message);
    }).then(
      trailers =>
        finish(
          this.#failureOf(stream, trailers) ?? new GrpcError(grpcCodes.unavailable, 'etcd ended the stream', true),
        ),
      error => finish(error instanceof GrpcError ? error : this.#broken(stream, error)),
    );
    return {
      send: message => {
        if (open) stream.write(message);
      },
      end: () => {
        if (!open) return;
        open = false;
        signal.removeEventListener('abort', abort);
        stream.close(NGHTTP2_CANCEL);
      },
    };
  }

  /** Gives the connection up: the next call connects to the next member. */
  renew(): void {
    this.#drop(this.#session);
  }

  async close(): Promise<void> {
    this.#stop.abort(new GrpcError(grpcCodes.cancelled, 'the connection to etcd is closed', false));
    for (const go of this.#waiting.splice(0)) go();
    this.#ping?.cancel();
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined && !session.destroyed) {
      await new Promise<void>(resolve => {
        session.once('close', () => resolve());
        destroyLater(session);
      });
    }
    await this.#connecting?.catch(() => undefined);
  }

  async #attempt(path: string, message: Buffer, signal: AbortSignal | undefined, until: number): Promise<Buffer> {
    const session = await this.#connected(signal, until);
    const token = await this.#currentToken();
    const stream = this.#request(session, path, token, false);
    let cause: GrpcError | undefined;
    const end = (error: GrpcError): void => {
      cause ??= error;
      stream.close(NGHTTP2_CANCEL);
    };
    const timer = setTimeout(
      () => {
        end(new GrpcError(grpcCodes.deadlineExceeded, `etcd at ${this.host} did not answer in time`, true));
        // A member that does not answer is not asked again at once.
        if (this.#options.hosts.length > 1) this.#drop(session);
      },
      Math.max(1, until - performance.now()),
    );
    const abort = (): void => end(new GrpcError(grpcCodes.cancelled, 'the call was ended here', true));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      stream.end(message);
      let answer: Buffer | undefined;
      const trailers = await readMessages(stream, part => {
        answer ??= part;
      });
      const failed = cause ?? this.#failureOf(stream, trailers);
      if (failed !== undefined) throw failed;
      if (answer === undefined) throw new GrpcError(grpcCodes.unknown, `etcd answered ${path} with nothing`, true);
      this.#retry.reset();
      return answer;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const failure = cause ?? (error instanceof GrpcError ? error : this.#broken(stream, error));
      if (failure.code === grpcCodes.unauthenticated && this.#token === token) this.#refused = token;
      throw failure;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #refused: string | undefined;
  async #currentToken(): Promise<string | undefined> {
    const { token } = this.#options;
    if (token === undefined) return undefined;
    if (this.#token === undefined || this.#token === this.#refused) this.#token = await token(this.#refused);
    return this.#token;
  }
  /** The token is not good any more. */
  forgetToken(): void {
    this.#refused = this.#token;
  }

  #request(session: http2.ClientHttp2Session, path: string, token: string | undefined, watches: boolean) {
    let stream: http2.ClientHttp2Stream;
    try {
      stream = session.request({
        [HTTP2_HEADER_METHOD]: 'POST',
        [HTTP2_HEADER_PATH]: path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(token === undefined ? {} : { token }),
        // A member that has lost its leader ends such a stream, and tells nothing old.
        ...(watches ? { hasleader: 'true' } : {}),
      });
    } catch (error) {
      this.#drop(session);
      throw new GrpcError(grpcCodes.unavailable, `the connection to etcd at ${this.host} is gone`, false, {
        cause: error,
      });
    }
    this.#streams++;
    stream.once('close', () => {
      this.#streams--;
    });
    this.#armPing(session);
    return stream;
  }

  #failureOf(
    { rstCode }: http2.ClientHttp2Stream,
    trailers: http2.IncomingHttpHeaders | undefined,
  ): GrpcError | undefined {
    const status = trailers?.['grpc-status'];
    if (status === '0') return undefined;
    if (typeof status === 'string') {
      const code = Number(status);
      const text = decodeURIComponent(String(trailers!['grpc-message'] ?? ''));
      // etcd answers these before it proposes anything.
      const refused = code === grpcCodes.unavailable && /no leader|not capable|too many requests/.test(text);
      const rejected = code === grpcCodes.unauthenticated;
      return new GrpcError(code, text, !refused && !rejected);
    }
    if (rstCode === NGHTTP2_REFUSED_STREAM)
      return new GrpcError(grpcCodes.unavailable, `etcd at ${this.host} refused the stream`, false);
    return new GrpcError(grpcCodes.unavailable, `the connection to etcd at ${this.host} broke off`, true);
  }

  #broken(stream: http2.ClientHttp2Stream, error: unknown): GrpcError {
    const unsent = stream.rstCode === NGHTTP2_REFUSED_STREAM;
    const text = error instanceof Error ? error.message : String(error);
    return new GrpcError(grpcCodes.unavailable, `the connection to etcd at ${this.host} broke off: ${text}`, !unsent, {
      cause: error,
    });
  }

  async #connected(signal: AbortSignal | undefined, until: number): Promise<http2.ClientHttp2Session> {
    this.#stop.signal.throwIfAborted();
    if (this.#session !== undefined) return this.#session;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    const connecting = this.#connecting;
    const left = until - performance.now();
    let cancel: (() => void) | undefined;
    try {
      return await Promise.race([
        connecting,
        new Promise<never>((_, reject) => {
          const timer = setTimeout(
            () =>
              reject(
                new GrpcError(
                  grpcCodes.unavailable,
                  this.#lastFailure ?? `no connection to etcd at ${this.host} in time`,
                  false,
                ),
              ),
            Math.max(1, left),
          );
          const onAbort = (): void => reject(signal!.reason);
          signal?.addEventListener('abort', onAbort, { once: true });
          cancel = () => {
            clearTimeout(timer);
            signal?.removeEventListener('abort', onAbort);
          };
        }),
      ]);
    } finally {
      cancel?.();
    }
  }

  async #connect(): Promise<http2.ClientHttp2Session> {
    const { tls, connectTimeoutMs = 3_000 } = this.#options;
    const host = this.host;
    const session = http2.connect(host, {
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls?.key === undefined ? {} : { key: tls.key }),
    });
    // Long lists must not wait for window updates of 64 KiB.
    session.once('connect', () => session.setLocalWindowSize(16 * 1024 * 1024));
    return new Promise((resolve, reject) => {
      // Up, or failed: an error is followed by a close.
      let settled = false;
      const fail = (error: unknown): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', onStop);
        this.#host++;
        session.destroy();
        const text = error instanceof Error ? error.message : String(error);
        this.#lastFailure = `cannot connect to etcd at ${host}: ${text}`;
        reject(new GrpcError(grpcCodes.unavailable, this.#lastFailure, false));
      };
      const onStop = (): void => fail(this.#stop.signal.reason);
      const timer = setTimeout(() => fail(new Error(`no connection within ${connectTimeoutMs} ms`)), connectTimeoutMs);
      this.#stop.signal.addEventListener('abort', onStop, { once: true });
      session.on('error', fail);
      session.on('goaway', () => this.#drop(session, false));
      session.on('close', () => {
        fail(new Error('the connection was closed'));
        this.#drop(session);
      });
      session.once('remoteSettings', () => {
        if (settled) return;
        settled = true;
        this.#lastFailure = undefined;
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', onStop);
        this.#session = session;
        resolve(session);
      });
    });
  }

  /** Streams of a connection that says goodbye may still end; all others are cut. */
  #drop(session: http2.ClientHttp2Session | undefined, cut = true): void {
    if (session === undefined) return;
    if (this.#session === session) {
      this.#session = undefined;
      this.#host++;
      this.#ping?.cancel();
      this.#ping = undefined;
    }
    if (cut) destroyLater(session);
    else session.close();
  }

  #armPing(session: http2.ClientHttp2Session): void {
    if (this.#ping !== undefined) return;
    const { clock, pingMs = 5_000, pongMs = 3_000 } = this.#options;
    this.#ping = clock.setTimer(pingMs, () => {
      this.#ping = undefined;
      if (session.destroyed || this.#session !== session) return;
      if (this.#streams === 0) return;
      const pong = setTimeout(() => this.#drop(session), pongMs);
      try {
        session.ping(error => {
          clearTimeout(pong);
          if (!error && this.#session === session) this.#armPing(session);
        });
      } catch {
        clearTimeout(pong);
        this.#drop(session);
      }
    });
  }

  async #room(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(go);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal!.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(go);
    });
    this.#stop.signal.throwIfAborted();
  }
}

/**
 * In the next turn, never while the connection hands over what it received: a stream that is cancelled there is reset when the hand-over
 * is done, and when it has been destroyed by then, Node.js 20 forgets to; the next write of the session then makes empty frames of that
 * stream for ever (nodejs/node#52952 shows the same stack).
 */
function destroyLater(session: http2.ClientHttp2Session): void {
  setImmediate(() => session.destroy());
}

function anySignal(first: AbortSignal, second: AbortSignal | undefined): AbortSignal {
  return second === undefined ? first : AbortSignal.any([first, second]);
}
