/**
 * One request over undici and its answer, by undici's low-level handler: its `request()` makes a stream, a signal and two promises more for each,
 * which cost as much as the rest together.
 *
 * - Its bound on time, its caller's signal and `fail` end it at any moment, also while it waits in line for a connection, and free the connection.
 * - What arrives before it is read waits; beyond 256 KiB the server waits too. What arrived before the connection broke is still read, and then the
 *   error is thrown; after the caller's own signal nothing is.
 */
import { setMaxListeners } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Clock } from '../clock/clock.js';
import { StatusError } from '../errors/status-error.js';
import type { TransportRequest, TransportResponse } from './transport.js';

/** Bytes of an answer that wait for their reader before the connection is paused. */
const mostWaiting = 256 * 1024;

export interface HttpCallOptions {
  request: TransportRequest;
  /** Names and values in turn. */
  headers: string[];
  /** `http://host:port`, and the whole path. */
  origin: string;
  path: string;
  timeoutMs: number;
  clock: Clock;
  /** The error to throw for what went wrong below HTTP. */
  explain(error: unknown): unknown;
  /** Called once, when nothing more comes. */
  onOver(call: HttpCall): void;
}

export class HttpCall implements Dispatcher.DispatchHandler, TransportResponse {
  status = 0;
  headers: Record<string, string> = {};
  warnings: readonly string[] = [];
  readonly #options: HttpCallOptions;
  #dispatcher: Dispatcher | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** Reading again does no harm when a kept connection was closed at that moment (Go's HTTP client does too). */
  #mayRepeat: boolean;
  #timer: ReturnType<Clock['setTimer']> | undefined;
  #start: { resolve(response: TransportResponse): void; reject(reason: unknown): void } | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #most = mostWaiting;
  #over = false;
  #failure: { reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: HttpCallOptions) {
    this.#options = options;
    this.#mayRepeat = options.request.method === 'GET';
  }

  /** Resolves with the head of the answer. To be called once. */
  send(dispatcher: Dispatcher): Promise<TransportResponse> {
    const { request, clock, timeoutMs } = this.#options;
    this.#dispatcher = dispatcher;
    return new Promise((resolve, reject) => {
      this.#start = { resolve, reject };
      this.#timer = clock.setTimer(timeoutMs, () => this.fail(this.#late()));
      if (request.signal) {
        // Many requests of one component wait on its one signal; that is no leak to warn of.
        setMaxListeners(0, request.signal);
        request.signal.addEventListener('abort', this.#onAbort, { once: true });
      }
      this.#dispatch();
    });
  }

  /** Ends it with this error. Harmless when it is over. */
  fail(reason: unknown): void {
    if (this.#over) return;
    this.#failure = { reason };
    this.#settle();
    this.#start?.reject(reason);
    this.#start = undefined;
    this.#controller?.abort(reason instanceof Error ? reason : new Error(String(reason)));
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#chunks() };
  }

  async bytes(): Promise<Uint8Array> {
    this.#most = Number.POSITIVE_INFINITY;
    this.#controller?.resume();
    while (!this.#over) await this.#news();
    if (this.#failure) throw this.#failure.reason;
    const parts = this.#waiting;
    this.#waiting = [];
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('the request was given up'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#over || status < 200) return;
    this.status = status;
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) this.headers[name] = Array.isArray(value) ? value.join(', ') : value;
    }
    const { warning } = headers as { warning?: string | string[] };
    if (warning !== undefined) this.warnings = Array.isArray(warning) ? warning : [warning];
    if (this.#options.request.stream === true && status < 400) this.#timer?.cancel();
    this.#start?.resolve(this);
    this.#start = undefined;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#over) return;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > this.#most) controller.pause();
    if (this.#most === mostWaiting) this.#wake?.();
  }

  onResponseEnd(): void {
    if (!this.#over) this.#settle();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#over) return;
    if (this.#mayRepeat && this.status === 0 && isLost(error)) {
      this.#mayRepeat = false;
      this.#controller = undefined;
      this.#dispatch();
      return;
    }
    this.fail(this.#options.explain(error));
  }

  #dispatch(): void {
    const { request, headers, origin, path } = this.#options;
    const body = request.body ?? null;
    this.#dispatcher!.dispatch({ origin, path, method: request.method, headers, body }, this);
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const chunks = this.#waiting;
        if (chunks.length > 0 && !this.#abandoned) {
          this.#waiting = [];
          this.#waitingBytes = 0;
          for (const chunk of chunks) {
            yield chunk;
            if (this.#abandoned) break;
          }
          this.#controller?.resume();
        } else if (this.#failure) throw this.#failure.reason;
        else if (this.#over) return;
        else await this.#news();
      }
    } finally {
      // Left early: nobody reads the rest.
      this.fail(new Error('the reader of the answer left'));
    }
  }

  get #abandoned(): boolean {
    return this.#options.request.signal?.aborted === true;
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #settle(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#options.request.signal?.removeEventListener('abort', this.#onAbort);
    this.#options.onOver(this);
    this.#wake?.();
  }

  readonly #onAbort = (): void => this.fail(this.#options.request.signal!.reason);

  #late(): StatusError {
    const { request, origin, timeoutMs } = this.#options;
    const seconds = timeoutMs / 1_000;
    return new StatusError('Timeout', `${request.method} ${origin}${request.path}: no answer within ${seconds} s`);
  }
}

const isLost = (error: unknown): boolean =>
  ['ECONNRESET', 'UND_ERR_SOCKET'].includes((error as { code?: string }).code ?? '');
