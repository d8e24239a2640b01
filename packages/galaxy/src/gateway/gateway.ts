/**
 * The gateway: HTTP for clients, gRPC inward.
 *
 * `POST /v1/instances` answers 201 when the instance runs (with its id, node, address and each hop's time), or the truthful error: 400 bad request, 503 no
 * room or nobody to ask, 504 too late, 502 the start failed or the outcome is not known. `Idempotency-Key` names a create: a retry
 * finds its instance where the same node is asked.
 * `GET` and `DELETE /v1/instances/{id}` go straight to the node that the id names. The original's `/create` and `/getGatewayList` answer as well.
 * Every request needs the bearer token, when one is set.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Component } from '@orbitkit/core';
import { liveAsMember } from '../membership/member-life.js';
import { joinMembers } from '../membership/members.js';
import { type Credentials, client } from '../protocol/channel.js';
import { failed, type Link, link } from '../protocol/link.js';
import type { Create, Created, ErrorCode, InstanceStatus, Member } from '../protocol/schema.js';
import { createOf, legacyCreateOf, RequestError } from './requests.js';

/** Addresses are host:port. */
export interface GatewayOptions {
  name: string;
  /** host:port of the HTTP server. */
  http: string;
  coordinators: readonly string[];
  credentials: Credentials;
  /** Clients must send `Authorization: Bearer <token>`. `null` lets everybody in: for tests. */
  token: string | null;
  /** Bound on a create that names none. Default 30 s. */
  timeoutMs?: number;
  onListening?(url: string): void;
}

const bodyLimit = 64 * 1024;

const httpCodeOf: Readonly<Record<ErrorCode, number>> = {
  '': 201,
  Refused: 400,
  NoCapacity: 503,
  Unavailable: 503,
  Overloaded: 503,
  DeadlineExceeded: 504,
  StartFailed: 502,
  Lost: 502,
  Fenced: 502,
};

/** A gateway as a component. Ready when it listens. */
export function gateway(options: GatewayOptions): Component {
  return {
    name: options.name,
    async run({ signal, clock, log, metrics, ready }) {
      const dispatchers = new Map<string, { address: string; link: Link; close(): void }>();
      const requests = metrics.counter('galaxy_gateway_creates_total', 'Creates by outcome', ['outcome']);
      const duration = metrics.histogram('galaxy_gateway_create_seconds', 'Seconds of a create', ['outcome']);
      let turn = 0;

      function settleMembership(): void {
        const wanted = new Map(members.of('dispatcher').map(member => [member.name, member.address]));
        for (const [name, connection] of dispatchers) {
          if (wanted.get(name) === connection.address) continue;
          dispatchers.delete(name);
          connection.close();
        }
        for (const [name, address] of wanted) {
          if (dispatchers.has(name)) continue;
          const rpc = client('Dispatcher', address, options.credentials);
          const opened = link({ clock, open: () => rpc.Dispatch() });
          dispatchers.set(name, {
            address,
            link: opened,
            close() {
              opened.close();
              rpc.close();
            },
          });
        }
      }

      async function create(request: Create): Promise<Created> {
        const began = performance.now();
        let created = failed(request, 'Unavailable', 'no dispatcher is a member of the cluster');
        const all = [...dispatchers.values()];
        turn += 1;
        for (let i = 0; i < Math.min(3, all.length); i++) {
          const chosen = all[(turn + i) % all.length]!;
          created = await chosen.link.call(request);
          // A dispatcher that went away may have started the instance: the key makes a second try find it.
          if (created.errorCode !== 'Lost' && created.errorCode !== 'Unavailable' && created.errorCode !== 'Overloaded')
            break;
        }
        const outcome = created.errorCode || 'Created';
        requests.inc({ outcome });
        duration.observe((performance.now() - began) / 1000, { outcome });
        return {
          ...created,
          hops: [...created.hops, { role: 'gateway', name: options.name, millis: performance.now() - began }],
        };
      }

      /** Asks the node that the id names. */
      function onNode(method: 'Status' | 'Delete', id: string): Promise<InstanceStatus | undefined> {
        const node = members.get('node', id.slice(0, Math.max(0, id.indexOf('~'))));
        if (!node) return Promise.resolve(undefined);
        const rpc = client('Node', node.address, options.credentials);
        return new Promise((resolve, reject) => {
          rpc[method](
            { id },
            { deadline: Date.now() + 30_000 },
            (error: (Error & { code?: number }) | null, reply: InstanceStatus) => {
              rpc.close();
              if (!error) resolve(reply);
              else if (error.code === 5) resolve(undefined);
              else reject(error);
            },
          );
        });
      }

      /** What every node has; a node that does not answer is named, not passed over in silence. */
      async function listAll(name: string): Promise<{ items: InstanceStatus[]; unanswered: string[] }> {
        const unanswered: string[] = [];
        const ask = (node: Member) =>
          new Promise<InstanceStatus[]>(resolve => {
            const rpc = client('Node', node.address, options.credentials);
            const answered = (error: Error | null, reply: { items: InstanceStatus[] }) => {
              rpc.close();
              if (error) unanswered.push(node.name);
              resolve(error ? [] : reply.items);
            };
            rpc.List({ function: name }, { deadline: Date.now() + 10_000 }, answered);
          });
        const answers = await Promise.all(members.of('node').map(ask));
        return { items: answers.flat(), unanswered };
      }

      const expected =
        options.token === null ? undefined : createHash('sha256').update(`Bearer ${options.token}`).digest();
      const allowed = (request: IncomingMessage): boolean =>
        !expected ||
        timingSafeEqual(
          createHash('sha256')
            .update(request.headers.authorization ?? '')
            .digest(),
          expected,
        );

      async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const url = new URL(request.url ?? '/', 'http://gateway');
        if (url.pathname === '/healthz') return json(response, 200, { status: 'ok' });
        if (!allowed(request)) return json(response, 401, { error: 'a bearer token is required' });
        const defaults = {
          key: header(request, 'idempotency-key'),
          timeoutMs: options.timeoutMs ?? 30_000,
          now: clock.now(),
        };
        if (url.pathname === '/v1/instances' && request.method === 'POST') {
          const created = await create(createOf(await bodyOf(request), defaults));
          const { errorCode, ...rest } = created;
          return json(response, httpCodeOf[errorCode] ?? 500, errorCode ? { ...rest, code: errorCode } : rest);
        }
        const id = /^\/v1\/instances\/([^/]+)$/.exec(url.pathname)?.[1];
        if (id && (request.method === 'GET' || request.method === 'DELETE')) {
          const status = await onNode(request.method === 'GET' ? 'Status' : 'Delete', decodeURIComponent(id));
          return status
            ? json(response, 200, status)
            : json(response, 404, {
                error: `no instance "${decodeURIComponent(id)}" is known to a node of this cluster`,
              });
        }
        if (url.pathname === '/v1/instances' && request.method === 'GET') {
          return json(response, 200, await listAll(url.searchParams.get('function') ?? ''));
        }
        if (url.pathname === '/v1/members' && request.method === 'GET') {
          const kinds = ['gateway', 'dispatcher', 'scheduler', 'node'] as const;
          return json(response, 200, { members: kinds.flatMap(kind => members.of(kind)) });
        }
        if (url.pathname === '/metrics' && request.method === 'GET') {
          return plain(response, 200, await metrics.text());
        }
        if (/^\/getgatewaylist$/i.test(url.pathname)) {
          return json(
            response,
            200,
            Object.fromEntries(members.of('gateway').map(each => [each.name, new URL(each.httpAddress).host])),
          );
        }
        if (url.pathname === '/create') {
          let wish: Create;
          try {
            wish = legacyCreateOf(url.searchParams, defaults);
          } catch (error) {
            if (error instanceof RequestError) return plain(response, 400, error.message);
            throw error;
          }
          const created = await create(wish);
          if (created.errorCode)
            return plain(response, httpCodeOf[created.errorCode] ?? 500, `${created.errorCode}: ${created.error}`);
          response.setHeader('x-instance-id', created.id);
          return plain(response, 200, 'create success.');
        }
        return json(response, 404, { error: `no such route: ${request.method} ${url.pathname}` });
      }

      const server = createServer(
        { requestTimeout: 60_000, headersTimeout: 10_000, keepAliveTimeout: 60_000 },
        (request, response) => {
          handle(request, response).catch(error => {
            if (response.headersSent) return response.destroy();
            if (error instanceof RequestError) return json(response, 400, { error: error.message });
            log.error('a request failed', { url: request.url, error: String(error?.message ?? error) });
            return json(response, 502, { error: String(error?.message ?? error) });
          });
        },
      );
      const at = options.http.lastIndexOf(':');
      const host = options.http.slice(0, at);
      await new Promise<void>((resolve, reject) => {
        server.once('error', error =>
          reject(new Error(`cannot listen on ${options.http}: ${error.message}`, { cause: error })),
        );
        server.listen(Number(options.http.slice(at + 1)), host, resolve);
      });
      const bound = server.address() as { port: number };
      const url = `http://${host}:${bound.port}`;
      options.onListening?.(url);
      const members = joinMembers({
        ...options,
        self: { kind: 'gateway', name: options.name, address: '', httpAddress: url },
        clock,
        log,
        signal,
      });
      await liveAsMember(
        members,
        { signal, ready },
        {
          onChange: settleMembership,
          async release() {
            for (const connection of dispatchers.values()) connection.close();
            const closed = new Promise(resolve => server.close(resolve));
            server.closeAllConnections();
            await closed;
          },
        },
      );
    },
  };
}

function json(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function plain(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new RequestError(`the body: at most ${bodyLimit} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new RequestError(`the body: not JSON: ${(error as Error).message}`);
  }
}
