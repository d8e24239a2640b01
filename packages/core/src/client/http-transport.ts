/**
 * HTTP to any Kubernetes API, over connections that are kept and shared by this transport alone.
 *
 * - TLS with a CA of its own, client certificates, bearer tokens (from a file: read again every minute, as client-go does,
 *   since mounted tokens are renewed). Plain HTTP only when the URL says `http:`.
 * - Refused connections, TLS failures and timeouts are `StatusError`s that say which server and why; an aborted request
 *   rejects with the reason of its signal.
 * - A silent peer is noticed by TCP keep-alive (30 s, as client-go's dialer; then ten probes a second apart).
 * - Proxies from the environment are not used.
 *
 * HTTP/1.1: a watch holds a connection of its own. undici is loaded with the first request.
 */
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Agent } from 'undici';
import { type Clock, systemClock } from '../clock/clock.js';
import type { Metrics } from '../component/metrics.js';
import { StatusError } from '../errors/status-error.js';
import { HttpCall } from './http-call.js';
import { defaultTimeoutMs } from './request-json.js';
import { measuredTransport } from './request-metrics.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';
import { connectWebSocket } from './websocket.js';

/** Where the server is, how it is trusted and as whom it is spoken to. PEM stands in the value, or in the file beside it (`…File`). */
export interface HttpTransportOptions {
  /** `https://127.0.0.1:6443`; a path is a prefix of every request. */
  server: string;
  /** PEM. Default: the system's authorities. */
  ca?: string | Uint8Array;
  caFile?: string;
  /** Client certificate, PEM. */
  cert?: string | Uint8Array;
  certFile?: string;
  key?: string | Uint8Array;
  keyFile?: string;
  token?: string;
  /** Read again every minute. `token` wins. */
  tokenFile?: string;
  username?: string;
  password?: string;
  /** Accepts any certificate: whoever is on the way can read and change everything. */
  insecureSkipTlsVerify?: boolean;
  /** The name that the certificate must have. Default: the host of `server`. */
  tlsServerName?: string;
  /** Acts as this user; the authenticated one needs the right to impersonate. */
  impersonate?: { username: string; groups?: readonly string[]; uid?: string };
  userAgent?: string;
  /** Counts and times requests as client-go does (request-metrics). Default: nothing is measured. */
  metrics?: Metrics;
  clock?: Clock;
}

const keepAliveMs = 30_000;
/** Requests at one time; more wait in line, within their bounds. */
const mostConnections = 64;
/** Idle connections are closed before most servers and proxies do it (Node servers: 5 s without a hint). */
const idleMs = 4_000;
const tokenLifeMs = 60_000;
const defaultUserAgent = 'orbitkit';

export interface TlsOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  rejectUnauthorized: boolean;
  servername?: string;
}

/**
 * @throws StatusError BadRequest when `server` is not an http or https URL, or when credentials would go over plain HTTP to
 * another machine.
 */
export function httpTransport(options: HttpTransportOptions): Transport {
  const base = serverUrl(options.server);
  refuseOpenCredentials(base, options);
  const prefix = base.pathname.replace(/\/+$/, '');
  const { clock = systemClock } = options;
  const closed = new AbortController();
  setMaxListeners(0, closed.signal);
  const calls = new Set<HttpCall>();
  const onOver = (call: HttpCall) => calls.delete(call);
  const pools: { requests?: Agent; streams?: Agent } = {};
  const opening: { requests?: Promise<Agent>; streams?: Promise<Agent> } = {};
  let tls: Promise<TlsOptions> | undefined;
  let fileToken: { text: string; readAt: number } | undefined;

  const tlsOptions = (): Promise<TlsOptions> => {
    tls ??= readTls(options).catch(error => {
      tls = undefined;
      throw error;
    });
    return tls;
  };

  /** Streams have connections of their own, so that any number of watches leaves room for requests. */
  function openPool(use: 'requests' | 'streams'): Promise<Agent> {
    opening[use] ??= (async () => {
      const [{ Agent }, connect] = await Promise.all([
        import('undici'),
        base.protocol === 'https:' ? tlsOptions() : {},
      ]);
      refuseWhenClosed();
      pools[use] = new Agent({
        connect: { ...connect, keepAlive: true, keepAliveInitialDelay: keepAliveMs, timeout: 30_000 },
        ...(use === 'requests' ? { connections: mostConnections } : {}),
        keepAliveTimeout: idleMs,
        // Bounds are set by each request.
        headersTimeout: 0,
        bodyTimeout: 0,
        pipelining: 1,
      });
      return pools[use];
    })().catch(error => {
      delete opening[use];
      throw error;
    });
    return opening[use];
  }

  async function bearer(): Promise<string | undefined> {
    if (options.token) return options.token;
    if (!options.tokenFile) return undefined;
    if (!fileToken || clock.now() - fileToken.readAt > tokenLifeMs) {
      fileToken = { text: (await readRequired(options.tokenFile, 'token')).trim(), readAt: clock.now() };
    }
    return fileToken.text;
  }

  let keptIdentity: readonly string[] | undefined;

  /** Names and values in turn: a header such as Impersonate-Group may come several times. */
  async function identity(): Promise<string[]> {
    const headers = ['user-agent', options.userAgent ?? defaultUserAgent];
    const token = await bearer();
    if (token) headers.push('authorization', `Bearer ${token}`);
    else if (options.username !== undefined) {
      const pair = Buffer.from(`${options.username}:${options.password ?? ''}`).toString('base64');
      headers.push('authorization', `Basic ${pair}`);
    }
    if (options.impersonate) {
      const { username, groups = [], uid } = options.impersonate;
      headers.push('impersonate-user', username);
      if (uid) headers.push('impersonate-uid', uid);
      for (const group of groups) headers.push('impersonate-group', group);
    }
    if (options.token || !options.tokenFile) keptIdentity = [...headers];
    return headers;
  }

  function refuseWhenClosed(): void {
    if (closed.signal.aborted)
      throw new StatusError('ServiceUnavailable', `the connection to ${base.origin} was closed by this program`);
  }

  async function request(call: TransportRequest): Promise<TransportResponse> {
    refuseWhenClosed();
    call.signal?.throwIfAborted();
    const use = call.stream ? 'streams' : 'requests';
    const pool = pools[use] ?? (await openPool(use));
    const headers = keptIdentity ? [...keptIdentity] : await identity();
    refuseWhenClosed();
    call.signal?.throwIfAborted();
    for (const name in call.headers) headers.push(name, call.headers[name]!);
    const sent = new HttpCall({
      request: call,
      headers,
      origin: base.origin,
      path: prefix + call.path,
      timeoutMs: call.timeoutMs ?? defaultTimeoutMs,
      clock,
      explain: error => connectionError(error, base, `${call.method} ${base.origin}${call.path}`),
      onOver,
    });
    calls.add(sent);
    return sent.send(pool);
  }

  const transport: Transport = {
    request,
    async connect(path, { protocols, signal }) {
      refuseWhenClosed();
      signal?.throwIfAborted();
      const [headers, connectTls] = await Promise.all([
        identity(),
        base.protocol === 'https:' ? tlsOptions() : undefined,
      ]);
      return connectWebSocket({
        url: new URL(prefix + path, base),
        protocols,
        headers,
        ...(connectTls ? { tls: connectTls } : {}),
        signal: signal ? AbortSignal.any([signal, closed.signal]) : closed.signal,
        timeoutMs: 30_000,
        clock,
      });
    },
    async close() {
      if (closed.signal.aborted) return;
      closed.abort(
        new StatusError('ServiceUnavailable', `the connection to ${base.origin} was closed by this program`),
      );
      for (const call of calls) call.fail(closed.signal.reason);
      await Promise.all(Object.values(pools).map(pool => pool.destroy()));
    },
  };
  const { metrics } = options;
  return metrics ? measuredTransport(transport, { metrics, host: base.host, clock }) : transport;
}

function serverUrl(server: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(server);
  } catch {
    // Reported below.
  }
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new StatusError('BadRequest', `"${server}" is not the URL of an API server; write https://host:port`);
  }
  return url;
}

function refuseOpenCredentials(base: URL, { token, tokenFile, password }: HttpTransportOptions): void {
  if (base.protocol === 'https:' || !(token || tokenFile || password)) return;
  if (/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(base.hostname)) return;
  throw new StatusError('BadRequest', `credentials are not sent over plain HTTP to ${base.host}; use https`);
}

async function readRequired(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new StatusError('Unauthorized', `cannot read the ${what} file ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function readTls(options: HttpTransportOptions): Promise<TlsOptions> {
  const pem = async (given: string | Uint8Array | undefined, file: string | undefined, what: string) =>
    given !== undefined
      ? typeof given === 'string'
        ? given
        : Buffer.from(given)
      : file
        ? await readRequired(file, what)
        : undefined;
  const [ca, cert, key] = await Promise.all([
    pem(options.ca, options.caFile, 'certificate authority'),
    pem(options.cert, options.certFile, 'client certificate'),
    pem(options.key, options.keyFile, 'client key'),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(options.tlsServerName ? { servername: options.tlsServerName } : {}),
    rejectUnauthorized: !options.insecureSkipTlsVerify,
  };
}

const tlsHint = ' (is this the right certificate authority? A kubeconfig carries the one of its cluster)';

/** A StatusError for a failure below HTTP. */
export function connectionError(error: unknown, base: URL, where: string): unknown {
  if (error instanceof StatusError) return error;
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  if (code === 'ECONNREFUSED') {
    return new StatusError('ServiceUnavailable', `nothing listens on ${base.host}: is the API server running?`, {
      cause: error,
    });
  }
  const untrusted = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_TLS/.test(code);
  return new StatusError('ServiceUnavailable', `${where}: ${message}${untrusted ? tlsHint : ''}`, { cause: error });
}
