/** For the tests of this folder: the whole request path over the memory store, without authentication, behind both doors. */
import {
  builtinKinds,
  type Clock,
  createClient,
  type KindRegistry,
  kindRegistry,
  metrics,
  silentLogger,
  systemClock,
  type Transport,
  type TransportRequest,
  type UserInfo,
} from '@orbitkit/core';
import type { RunningResources } from '../registry/contract.js';
import { createResources, type ResourcesOptions } from '../registry/resources.js';
import { type RequestHandlerOptions, requestHandler } from '../server/request-handler.js';
import { memoryStore } from '../storage/memory.js';
import type { ApiHandler } from './exchange.js';
import { type HttpDoor, type HttpDoorOptions, httpDoor } from './http-door.js';
import { inProcessTransport } from './in-process.js';

const admin: UserInfo = { username: 'admin', groups: ['system:masters'] };

export interface TestServerOptions {
  clock?: Clock;
  kinds?: KindRegistry;
  resources?: Partial<ResourcesOptions>;
  /** Wraps the resources, to make them slow or broken. */
  around?: (resources: RunningResources) => RunningResources;
  handler?: Partial<RequestHandlerOptions>;
  door?: Partial<HttpDoorOptions>;
}

export interface TestServer extends AsyncDisposable {
  readonly handler: ApiHandler;
  readonly resources: RunningResources;
  readonly metrics: ReturnType<typeof metrics>;
  readonly transport: Transport;
  readonly client: ReturnType<typeof createClient>;
  readonly door: HttpDoor;
  readonly port: number;
  readonly url: string;
  /** A request through the in-process door, its answer read as JSON. */
  json(
    path: string,
    request?: Partial<TransportRequest>,
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: any }>;
  stop(): Promise<void>;
}

export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const store = await memoryStore()();
  const clock = options.clock ?? systemClock;
  const running = createResources({ store, clock, log: silentLogger, ...options.resources });
  const resources = options.around ? options.around(running) : running;
  const stopping = new AbortController();
  const run = running.run({ signal: stopping.signal });
  const counted = metrics();
  const handler = requestHandler({
    kinds: options.kinds ?? kindRegistry(builtinKinds),
    resources,
    access: request => request.identify(),
    health: [{ name: 'readyz', checks: [{ name: 'ping', check: () => undefined }] }],
    clock,
    log: silentLogger,
    metrics: counted,
    ...options.handler,
  });
  const door = httpDoor({ handler, identify: async () => admin, log: silentLogger, ...options.door });
  const { port } = await door.listen('127.0.0.1', 0);
  const transport = inProcessTransport({ handler, signal: stopping.signal }, admin);
  while (!running.ready()) await new Promise(resolve => setTimeout(resolve, 1));

  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= (async () => {
      await door.close(2_000);
      stopping.abort(new Error('the test is over'));
      await run;
      await store.close();
    })();
    return stopped;
  };
  return {
    handler,
    resources,
    metrics: counted,
    transport,
    client: createClient(transport),
    door,
    port,
    url: `http://127.0.0.1:${port}`,
    async json(path, request = {}) {
      const answer = await transport.request({ method: 'GET', path, ...request });
      const text = Buffer.from(await answer.bytes()).toString();
      return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
