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
import type { Agent, Dispatcher } from 'undici';
import { type Clock, systemClock } from '../clock/clock.js';
import type { Metrics } from '../component/metrics.js';
import { StatusError } from '../errors/status-error.js';
import { defaultTimeoutMs } from './request-json.js';
import { measuredTransport } from './request-metrics.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';
import { connectWebSocket } from './websocket.js';

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
  const agents: { requests?: Promise<Agent>; streams?: Promise<Agent> } = {};
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
  function dispatcher(use: 'requests' | 'streams'): Promise<Agent> {
    agents[use] ??= (async () => {
      const [{ Agent }, connect] = await Promise.all([
        import('undici'),
        base.protocol === 'https:' ? tlsOptions() : {},
      ]);
      return new Agent({
        connect: { ...connect, keepAlive: true, keepAliveInitialDelay: keepAliveMs, timeout: 30_000 },
        ...(use === 'requests' ? { connections: mostConnections } : {}),
        keepAliveTimeout: idleMs,
        // Bounds are set by each request.
        headersTimeout: 0,
        bodyTimeout: 0,
        pipelining: 1,
      });
    })().catch(error => {
      delete agents[use];
      throw error;
    });
    return agents[use];
  }

  async function bearer(): Promise<string | undefined> {
    if (options.token) return options.token;
    if (!options.tokenFile) return undefined;
    if (!fileToken || clock.now() - fileToken.readAt > tokenLifeMs) {
      fileToken = { text: (await readRequired(options.tokenFile, 'token')).trim(), readAt: clock.now() };
    }
    return fileToken.text;
  }

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
    return headers;
  }

  function refuseWhenClosed(): void {
    if (closed.signal.aborted)
      throw new StatusError('ServiceUnavailable', `the connection to ${base.origin} was closed by this program`);
  }

  async function send(call: TransportRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const [pool, headers] = await Promise.all([dispatcher(call.stream ? 'streams' : 'requests'), identity()]);
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.push(name, value);
    const { method, path, body = null } = call;
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await pool.request({ origin: base.origin, path: prefix + path, method, headers, body, signal });
      } catch (error) {
        // A kept connection that the server closed at that moment: reading again does no harm (Go's HTTP client does too).
        const lost = ['ECONNRESET', 'UND_ERR_SOCKET'].includes((error as { code?: string }).code ?? '');
        if (!lost || method !== 'GET' || attempt > 0 || signal.aborted) throw error;
      }
    }
  }

  async function request(call: TransportRequest): Promise<TransportResponse> {
    refuseWhenClosed();
    call.signal?.throwIfAborted();
    const { timeoutMs = defaultTimeoutMs } = call;
    const guard = requestGuard(call, timeoutMs, clock, closed.signal, base);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await send(call, guard.signal);
    } catch (error) {
      guard.done();
      throw guard.explain(error);
    }
    const endless = call.stream === true && answer.statusCode < 400;
    if (endless) guard.unbound();
    return responseOf(answer, guard);
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
      const pools = await Promise.all(Object.values(agents).map(agent => agent.catch(() => undefined)));
      await Promise.all(pools.map(pool => pool?.destroy()));
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

interface RequestGuard {
  readonly signal: AbortSignal;
  /** Takes the bound on time away: the body is endless. The caller's signal still counts. */
  unbound(): void;
  done(): void;
  /** The error to throw for what went wrong underneath. */
  explain(error: unknown): unknown;
}

/** Joins the caller's signal, the bound on time and the transport's end, and tells afterwards which one it was. */
function requestGuard(
  call: TransportRequest,
  timeoutMs: number,
  clock: Clock,
  closed: AbortSignal,
  base: URL,
): RequestGuard {
  const controller = new AbortController();
  let timedOut = false;
  const timer = clock.setTimer(timeoutMs, () => {
    timedOut = true;
    controller.abort(new Error('timeout'));
  });
  const onAbort = () => controller.abort(call.signal?.reason);
  const onClosed = () => controller.abort(closed.reason);
  if (call.signal) {
    // Many requests of one component wait on its one signal; that is no leak to warn of.
    setMaxListeners(0, call.signal);
    call.signal.addEventListener('abort', onAbort, { once: true });
  }
  closed.addEventListener('abort', onClosed, { once: true });
  return {
    signal: controller.signal,
    unbound: () => timer.cancel(),
    done() {
      timer.cancel();
      call.signal?.removeEventListener('abort', onAbort);
      closed.removeEventListener('abort', onClosed);
    },
    explain(error) {
      const where = `${call.method} ${base.origin}${call.path}`;
      if (call.signal?.aborted) return call.signal.reason;
      if (closed.aborted) return closed.reason;
      if (timedOut)
        return new StatusError('Timeout', `${where}: no answer within ${timeoutMs / 1_000} s`, { cause: error });
      return connectionError(error, base, where);
    },
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

function responseOf(answer: Dispatcher.ResponseData, guard: RequestGuard): TransportResponse {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  const { warning } = answer.headers;

  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    try {
      for await (const chunk of answer.body) yield chunk as Uint8Array;
    } catch (error) {
      throw guard.explain(error);
    } finally {
      guard.done();
    }
  }
  return {
    status: answer.statusCode,
    headers,
    warnings: warning === undefined ? [] : Array.isArray(warning) ? warning : [warning],
    body: { [Symbol.asyncIterator]: chunks },
    async bytes() {
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks()) parts.push(chunk);
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    },
  };
}
