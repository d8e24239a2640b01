/**
 * One request whose answer is JSON, over any transport: a success is parsed, anything else is thrown as StatusError.
 *
 * A server that says when to come back (`Retry-After` with 429 or 5xx) is asked again, a bounded number of times and
 * within the request's own bound, as client-go does.
 */
import { type Clock, systemClock } from '../clock/clock.js';
import { codeOfReason, StatusError, type StatusReason } from '../errors/status-error.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';

/** A request with a body that is serialised here. */
export interface JsonRequest extends Omit<TransportRequest, 'body' | 'stream'> {
  /** Serialised as JSON when it is not text or bytes. */
  body?: object | string | Uint8Array;
}

/** How often it is tried again, and how the answer is read. */
export interface JsonRequestOptions {
  clock?: Clock;
  /** Default 10, client-go's. 0 switches it off. */
  maxRetries?: number;
  onResponse?: (response: TransportResponse, request: TransportRequest) => void;
  /** Reads a success, instead of JSON.parse. A SyntaxError means that it is not JSON. */
  parse?: (answer: Uint8Array) => Promise<any>;
}

/** The default bound of a request. */
export const defaultTimeoutMs = 60_000;

const decoder = new TextDecoder();
const longestText = 1_024;

/**
 * The parsed answer of one request.
 * @throws StatusError for every answer but a success, for an answer that is no JSON, and when no server answers.
 */
export async function requestJson<T = any>(
  transport: Transport,
  request: JsonRequest,
  options: JsonRequestOptions = {},
): Promise<T> {
  const { clock = systemClock, maxRetries = 10 } = options;
  const body = request.body;
  const raw: TransportRequest = {
    ...request,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
    },
    body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  } as TransportRequest;
  const deadline = clock.now() + (request.timeoutMs ?? defaultTimeoutMs);

  for (let attempt = 0; ; attempt++) {
    const response = await transport.request(
      attempt === 0 ? raw : { ...raw, timeoutMs: Math.max(1, deadline - clock.now()) },
    );
    options.onResponse?.(response, raw);
    const bytes = await response.bytes();
    if (response.status >= 200 && response.status < 300) return parseAnswer<T>(bytes, request, options.parse);
    const error = errorOfAnswer(response.status, response.headers, bytes, request);
    const waitSeconds =
      response.status === 429 || response.status >= 500 ? Number(response.headers['retry-after']) : Number.NaN;
    if (!(waitSeconds >= 0) || attempt >= maxRetries || clock.now() + waitSeconds * 1_000 >= deadline) throw error;
    await clock.sleep(waitSeconds * 1_000, request.signal);
  }
}

async function parseAnswer<T>(
  bytes: Uint8Array,
  { method, path }: { method: string; path: string },
  parse: JsonRequestOptions['parse'],
): Promise<T> {
  try {
    return parse ? await parse(bytes) : JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new StatusError(
      'InternalError',
      `${method} ${path}: the answer is not JSON: ${shorten(decoder.decode(bytes))}`,
      { cause },
    );
  }
}

const shorten = (text: string): string => (text.length > longestText ? `${text.slice(0, longestText)}…` : text);

/** Reasons by code, for servers and proxies that answer without a Status (apimachinery `NewGenericServerResponse`). */
const reasonOfCode = new Map<number, StatusReason>(
  (Object.keys(codeOfReason) as StatusReason[])
    .filter(reason => !['AlreadyExists', 'Expired', 'ServerTimeout'].includes(reason))
    .map(reason => [codeOfReason[reason], reason]),
);

/** The error that an answer stands for: its Status object, or one made of its code and text. */
export function errorOfAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  bytes: Uint8Array,
  request: { method: string; path: string },
): StatusError {
  const text = decoder.decode(bytes);
  const retryAfterSeconds = Number(headers['retry-after']);
  if (text.startsWith('{')) {
    try {
      const body = JSON.parse(text);
      if (body.kind === 'Status') return StatusError.fromStatus(body, status);
    } catch {
      // Not JSON after all: the text stands for itself.
    }
  }
  const said = shorten(text.trim());
  return new StatusError(
    reasonOfCode.get(status) ?? '',
    `${request.method} ${request.path}: the server answered ${status}${said ? `: ${said}` : ''}`,
    {
      code: status,
      ...(retryAfterSeconds >= 0 ? { details: { retryAfterSeconds } } : {}),
    },
  );
}

/** The text of a warning header: `299 - "unknown field \"x\""` is `unknown field "x"`. */
export function warningText(header: string): string {
  const match = /^\d{3}\s+\S+\s+"((?:[^"\\]|\\.)*)"/.exec(header);
  return match ? match[1]!.replace(/\\(.)/g, '$1') : header;
}
