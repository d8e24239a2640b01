/**
 * A plain reverse proxy: method, path, body and end-to-end headers pass, credentials for this server do not. Bodies and answers of any size
 * pass as they come, with back-pressure; how long a body may take to arrive is the door's to say. An upgrade passes as a tunnel.
 */
import type { Readable } from 'node:stream';
import { maxBodyBytes } from '../http/body.js';
import type { ApiRequest, ApiResponse, ApiUpgrade } from '../http/exchange.js';
import type { Backend } from './backend.js';
import { requestBackend } from './backend-request.js';

/** Headers that belong to one connection (RFC 9110 7.6.1), or that were meant for this server. */
const notPassed = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'authorization',
  'content-length',
  'expect',
  'http2-settings',
  'impersonate-user',
  'impersonate-group',
  'impersonate-uid',
]);

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What `Connection` names belongs to the connection as well, whatever it is. */
export function passedHeaders(headers: Headers): Record<string, string | readonly string[]> {
  const named = headers['connection'];
  const own = new Set(
    (typeof named === 'string' ? named : (named ?? []).join(',')).split(',').map(name => name.trim().toLowerCase()),
  );
  const passed: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || notPassed.has(name) || own.has(name) || name.startsWith('impersonate-extra-')) continue;
    // HTTP/2 has the request line among its headers.
    if (name.startsWith(':')) continue;
    passed[name] = value;
  }
  return passed;
}

async function bodyOf(request: ApiRequest): Promise<Buffer | Readable | undefined> {
  if (request.bodyStream) return request.bodyStream();
  const whole = await request.readBody(maxBodyBytes);
  return whole.length > 0 ? whole : undefined;
}

/** Where the path goes on at the backend: as data, so that neither `..` nor an encoded slash is read here. */
export async function proxyThrough(
  backend: Backend,
  request: ApiRequest,
  rest: string,
): Promise<ApiResponse | ApiUpgrade> {
  const path = `/${rest}${request.query.text === '' ? '' : `?${request.query.text}`}`;
  if (request.upgrade) return { tunnel: { backend, method: request.method, path } };
  const body = await bodyOf(request);
  const length = Buffer.isBuffer(body) ? String(body.length) : request.headers['content-length'];
  const answer = await requestBackend(backend, {
    method: request.method,
    path,
    headers: {
      ...passedHeaders(request.headers),
      ...(body && length !== undefined ? { 'content-length': length } : {}),
    },
    ...(body ? { body } : {}),
    signal: request.signal,
  });
  const headers = passedHeaders(answer.headers);
  // Of a body that comes as it is; node:http has checked that there is not both.
  const answered = answer.headers['content-length'];
  if (answered !== undefined && answer.headers['transfer-encoding'] === undefined) headers['content-length'] = answered;
  return { status: answer.status, headers, body: answer.body, stream: true };
}
