/**
 * One request and its answer, free of any transport: the HTTPS server and the in-process transport are two doors to the
 * same handler and exchange these values with it.
 *
 * Promises: header names are lower-case; `handle` never rejects; a streamed body ends when the request's signal aborts.
 * Not promised: that a streamed body may be read twice, or that a Buffer body is the reader's own (objects are shared bytes).
 */
import type { Readable } from 'node:stream';
import type { UserInfo } from '@orbitkit/core';
import type { Tunnel } from '../node-proxy/backend.js';
import type { Query } from './query.js';

export interface ApiRequest {
  /** Upper-case. */
  readonly method: string;
  /** Percent-encoded, without the query. */
  readonly path: string;
  readonly query: Query;
  /** Lower-case names; a header that came several times is joined with ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The client asks to leave HTTP (`Connection: Upgrade`); only the doors can do that. */
  readonly upgrade: boolean;
  /**
   * Aborted when the client has gone, when the server stops, and when a streamed answer is complete: doors abort it after every stream,
   * however it ended.
   */
  readonly signal: AbortSignal;
  /** Aborts `signal`: what works for this request stops. */
  abort(reason: unknown): void;
  /** Where the request came from, for the audit trail. */
  readonly remoteAddress: string;
  /** Who asks. @throws StatusError Unauthorized */
  identify(): Promise<UserInfo>;
  /** The whole body. @throws StatusError RequestEntityTooLarge beyond `limit` bytes, BadRequest when the client broke off. */
  readBody(limit: number): Promise<Buffer>;
  /**
   * The body as it comes and of whatever size, for who passes it on; undefined when there is none. Instead of `readBody`, and once.
   * Absent where bodies are whole from the start.
   */
  bodyStream?(): Readable | undefined;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Record<string, string | readonly string[]>;
  readonly body: Buffer | AsyncIterable<Uint8Array>;
  /** The body has no end of its own: headers go out at once, no time limit holds. */
  readonly stream?: boolean;
}

/** The request leaves HTTP: bytes are passed between the client and a backend from here on. */
export interface ApiUpgrade {
  readonly tunnel: Tunnel;
}

export function isUpgrade(answer: ApiResponse | ApiUpgrade): answer is ApiUpgrade {
  return 'tunnel' in answer;
}

export interface ApiHandler {
  handle(request: ApiRequest): Promise<ApiResponse | ApiUpgrade>;
}
