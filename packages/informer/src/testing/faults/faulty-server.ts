/**
 * The ConfigMaps of one namespace behind real sockets, with every fault that a scenario asks for. It lists whole, in pages and as a stream, watches
 * from a version, and forgets its history when told. For the fault matrix; it is not an API server.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { testCertificate } from './test-certificate.js';

export interface ServedObject {
  name: string;
  value: string;
  uid: string;
  version: number;
}
interface ServedEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: ServedObject;
}

/** A streamed list is a list. */
export interface Asked {
  kind: 'list' | 'watch';
  /** How many of this kind came before. */
  index: number;
  /** A page that is not the first. */
  continued: boolean;
  /** The version that a watch continues from. */
  from: number | undefined;
}
export type Fault =
  | { status: number; retryAfter?: number }
  /** Closed with a reset before an answer; in the middle of the answer; an answer that ends at once; one that stays open and silent. */
  | 'reset'
  | 'truncate'
  | 'end'
  | 'silent';

const path = '/api/v1/namespaces/default/configmaps';
const textOf = ({ name, value, uid, version }: ServedObject) => ({
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: {
    name,
    namespace: 'default',
    uid,
    resourceVersion: String(version),
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  data: { value },
});
const lineOf = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;

export class FaultyServer {
  readonly objects = new Map<string, ServedObject>();
  readonly asked: (Asked & { at: number })[] = [];
  readonly watches = new Set<ServerResponse>();
  readonly sockets = new Set<Socket>();
  /** What goes wrong with a request. */
  fault: (asked: Asked) => Fault | undefined = () => undefined;
  /** How an event is written. Default: as one line at once. */
  send: (response: ServerResponse, line: string) => void = (response, line) => void response.write(line);
  #history: ServedEvent[] = [];
  #compactedTo = 0;
  #version = 100;
  #uids = 0;
  #server: Server | undefined;
  #port = 0;
  readonly #counts = { list: 0, watch: 0 };

  constructor(private readonly tls = false) {}

  get url(): string {
    return `${this.tls ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  /** Finds a port, on which nobody listens after that. */
  async reserve(): Promise<void> {
    await this.#listen(createTcpServer());
    await this.close();
  }

  async listen(): Promise<void> {
    const handle: RequestListener = (request, response) => this.#answer(request, response);
    await this.#listen(this.tls ? createTlsServer(testCertificate, handle) : createServer(handle));
  }

  /** Listens, and answers every connection with what is not what the client expects. */
  async listenForNonsense(): Promise<void> {
    await this.#listen(createTcpServer(socket => socket.on('error', () => {}).end('nonsense\r\n')));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise(resolve => server.close(resolve));
  }

  put(name: string, value: string, silently = false): void {
    const before = this.objects.get(name);
    const object = { name, value, uid: before?.uid ?? `uid-${++this.#uids}`, version: ++this.#version };
    this.objects.set(name, object);
    this.#publish({ type: before ? 'MODIFIED' : 'ADDED', object }, silently);
  }

  remove(name: string, silently = false): void {
    const before = this.objects.get(name);
    if (!before) return;
    this.objects.delete(name);
    this.#publish({ type: 'DELETED', object: { ...before, version: ++this.#version } }, silently);
  }

  /** Writes to the watches that are open, whatever it is. */
  write(text: string): void {
    for (const watch of this.watches) watch.write(text);
  }

  writeEvent(type: string, object: ServedObject): void {
    for (const watch of this.watches) this.send(watch, lineOf(type, textOf(object)));
  }

  writeError(code: number, reason: string): void {
    this.write(lineOf('ERROR', { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: reason }));
  }

  bookmark(): void {
    this.write(this.#bookmark());
  }

  compact(): void {
    this.#compactedTo = this.#version;
    this.#history = [];
  }

  /** Forgets what was asked and what happened so far, of which watches that are open need nothing. */
  forget(): void {
    this.asked.length = 0;
    this.#history = [];
  }

  /** The store of some time ago: other objects, lower versions, no history. */
  restore(values: Record<string, string>): void {
    this.objects.clear();
    this.#version = 20;
    this.compact();
    for (const [name, value] of Object.entries(values)) this.put(name, value, true);
  }

  endWatches(how: 'end' | 'reset'): void {
    for (const watch of this.watches) {
      if (how === 'end') watch.end();
      else watch.socket?.resetAndDestroy();
    }
    this.watches.clear();
  }

  #bookmark(annotations = {}): string {
    return lineOf('BOOKMARK', {
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: String(this.#version), annotations },
    });
  }

  #publish(event: ServedEvent, silently: boolean): void {
    this.#history.push(event);
    if (!silently) this.writeEvent(event.type, event.object);
  }

  async #listen(server: Server): Promise<void> {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {}).once('close', () => this.sockets.delete(socket));
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://server');
    if (url.pathname !== path) {
      response.writeHead(404).end();
      return;
    }
    const isWatch = ['true', '1'].includes(url.searchParams.get('watch') ?? '');
    const streamed = isWatch && url.searchParams.get('sendInitialEvents') === 'true';
    const kind = isWatch && !streamed ? 'watch' : 'list';
    const continued = url.searchParams.has('continue');
    const from = kind === 'watch' ? Number(url.searchParams.get('resourceVersion') ?? 0) : undefined;
    const asked = { kind, index: this.#counts[kind]++, continued, from } as const;
    this.asked.push({ ...asked, at: performance.now() });
    const fault = this.fault(asked);
    response.setHeader('content-type', 'application/json');
    if (fault === 'reset') request.socket.resetAndDestroy();
    else if (typeof fault === 'object') this.#refuse(response, fault);
    else if (isWatch) this.#watch(response, streamed, from ?? 0, fault);
    else if (fault !== 'silent') this.#list(response, url, fault);
  }

  #refuse(response: ServerResponse, { status, retryAfter }: { status: number; retryAfter?: number }): void {
    if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
    const reason = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound', 410: 'Expired', 429: 'TooManyRequests' }[
      status
    ];
    const body = {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code: status,
      reason: reason ?? 'InternalError',
      message: `fault ${status}`,
    };
    response.writeHead(status).end(JSON.stringify(body));
  }

  #list(response: ServerResponse, url: URL, fault: Fault | undefined): void {
    const all = [...this.objects.values()];
    const from = Number(url.searchParams.get('continue') ?? 0);
    const to = Math.min(all.length, from + Number(url.searchParams.get('limit') ?? all.length));
    const metadata = { resourceVersion: String(this.#version), ...(to < all.length ? { continue: String(to) } : {}) };
    const text = JSON.stringify({
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata,
      items: all.slice(from, to).map(textOf),
    });
    if (fault === 'truncate') response.end(text.slice(0, text.length - 20));
    else response.end(text);
  }

  #watch(response: ServerResponse, streamed: boolean, from: number, fault: Fault | undefined): void {
    response.flushHeaders();
    if (fault === 'end') {
      response.end();
      return;
    }
    if (fault === 'silent') return;
    if (streamed) {
      for (const object of this.objects.values()) {
        const line = lineOf('ADDED', textOf(object));
        if (fault === 'truncate') {
          response.write(line.slice(0, 40), () => response.socket?.resetAndDestroy());
          return;
        }
        this.send(response, line);
      }
      response.write(this.#bookmark({ 'k8s.io/initial-events-end': 'true' }));
    } else if (from < this.#compactedTo) {
      response.end(
        lineOf('ERROR', {
          kind: 'Status',
          apiVersion: 'v1',
          status: 'Failure',
          code: 410,
          reason: 'Expired',
          message: `too old resource version: ${from}`,
        }),
      );
      return;
    } else {
      for (const { type, object } of this.#history)
        if (object.version > from) this.send(response, lineOf(type, textOf(object)));
    }
    this.watches.add(response);
    response.once('close', () => this.watches.delete(response));
  }
}
