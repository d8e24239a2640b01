import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryStore, type Store } from '@orbitkit/apiserver/storage';
import { type Component, compose, logger, silentLogger } from '@orbitkit/core';
import { simulatedRuntime } from '@orbitkit/node';
import { afterEach, describe, expect, it } from 'vitest';
import { coordinator } from './coordinator/coordinator.js';
import { dispatcher } from './dispatcher/dispatcher.js';
import { gateway } from './gateway/gateway.js';
import { shardScheduler } from './shard-scheduler/shard-scheduler.js';
import { virtualNode } from './virtual-node/virtual-node.js';

/** Each role is a composition of its own, so that a test can stop one and the others go on. */
interface Running {
  stop(): Promise<void>;
}
const running = new Set<Running>();
const folders: string[] = [];

async function start(component: Component): Promise<Running> {
  const controller = new AbortController();
  const composition = compose({ log: process.env.GALAXY_LOG ? logger() : silentLogger }, component);
  const done = composition.run({ signal: controller.signal });
  await composition.ready;
  const handle: Running = {
    async stop() {
      running.delete(handle);
      controller.abort();
      await done;
    },
  };
  running.add(handle);
  return handle;
}

afterEach(async () => {
  for (const each of [...running].reverse()) await each.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function cluster(
  size: { gateways?: number; dispatchers?: number; schedulers?: number; nodes?: number; cpuMillis?: number } = {},
) {
  const logDirectory = await mkdtemp(join(tmpdir(), 'galaxy-'));
  folders.push(logDirectory);
  const store = await memoryStore()();
  let address = '';
  const startCoordinator = (listen: string) =>
    start(
      coordinator({
        listen,
        credentials: 'insecure',
        leaseMillis: 600,
        store: async () => kept(store),
        onListening: at => {
          address = at;
        },
      }),
    );
  const first = await startCoordinator('127.0.0.1:0');
  const common = { listen: '127.0.0.1:0', credentials: 'insecure' as const, coordinators: [address] };
  const roles = {
    coordinator: first,
    gateways: [] as Running[],
    dispatchers: [] as Running[],
    schedulers: [] as Running[],
    nodes: [] as Running[],
  };
  const runtimes = new Map<string, ReturnType<typeof simulatedRuntime>>();
  const urls: string[] = [];
  const addNode = async (name: string) => {
    const runtime = simulatedRuntime();
    runtimes.set(name, runtime);
    roles.nodes.push(
      await start(
        virtualNode({ ...common, name, runtime, logDirectory, cpuMillis: size.cpuMillis ?? 4_000, relistMs: 100 }),
      ),
    );
  };
  for (let i = 0; i < (size.nodes ?? 3); i++) await addNode(`node-${i}`);
  const addScheduler = async (name: string) => {
    roles.schedulers.push(await start(shardScheduler({ ...common, name })));
  };
  for (let i = 0; i < (size.schedulers ?? 2); i++) await addScheduler(`scheduler-${i}`);
  for (let i = 0; i < (size.dispatchers ?? 2); i++)
    roles.dispatchers.push(await start(dispatcher({ ...common, name: `dispatcher-${i}` })));
  for (let i = 0; i < (size.gateways ?? 1); i++) {
    roles.gateways.push(
      await start(
        gateway({
          ...common,
          name: `gateway-${i}`,
          http: '127.0.0.1:0',
          token: 'secret',
          onListening: url => urls.push(url),
        }),
      ),
    );
  }
  const call = async (path: string, init: RequestInit = {}, gatewayIndex = 0) => {
    const response = await fetch(urls[gatewayIndex] + path, {
      ...init,
      headers: { authorization: 'Bearer secret', ...(init.headers as Record<string, string>) },
    });
    const text = await response.text();
    return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
  const create = (body: object, headers: Record<string, string> = {}, gatewayIndex = 0) =>
    call(
      '/v1/instances',
      { method: 'POST', body: JSON.stringify({ timeoutMs: 5_000, ...body }), headers },
      gatewayIndex,
    );
  return { roles, runtimes, urls, call, create, addNode, addScheduler, address: () => address, startCoordinator };
}

/** The store outlives a coordinator that closes it, as a data directory would. */
const kept = (store: Store): Store =>
  new Proxy(store, {
    get(target, key) {
      if (key === 'close') return async () => {};
      const value = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

async function eventually<T>(look: () => Promise<T>, good: (value: T) => boolean, boundMs = 8_000): Promise<T> {
  const deadline = Date.now() + boundMs;
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    if (Date.now() > deadline) throw new Error(`not within ${boundMs} ms; last: ${JSON.stringify(value)}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

describe('a galaxy', () => {
  it('creates an instance through every role, and tells its state and each hop', async () => {
    const { create, call } = await cluster();
    const made = await create({ function: 'hello', cpuMillis: 500, memoryBytes: 1024 });
    expect(made.status).toBe(201);
    expect(made.body.hops.map((hop: any) => hop.role)).toEqual(['node', 'scheduler', 'dispatcher', 'gateway']);
    const times = made.body.hops.map((hop: any) => hop.millis);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    const id = encodeURIComponent(made.body.id);
    expect((await call(`/v1/instances/${id}`)).body).toMatchObject({
      state: 'running',
      function: 'hello',
      node: made.body.node,
    });
    expect((await call(`/v1/instances/${id}`, { method: 'DELETE' })).body).toMatchObject({ state: 'deleted' });
    expect((await call(`/v1/instances/${id}`)).body).toMatchObject({ state: 'deleted' });
    expect((await call('/v1/instances/nowhere~x')).status).toBe(404);
  });

  it('spreads over the nodes, refuses truthfully when full, and gives room back', async () => {
    const { create, call } = await cluster({ nodes: 2, cpuMillis: 2_000 });
    const made = [];
    for (let i = 0; i < 4; i++) made.push(await create({ function: `f${i}`, cpuMillis: 1_000 }));
    expect(made.map(each => each.status)).toEqual([201, 201, 201, 201]);
    expect(new Set(made.map(each => each.body.node)).size).toBe(2);
    const refused = await create({ function: 'more', cpuMillis: 1_000 });
    expect(refused).toMatchObject({ status: 503, body: { code: 'NoCapacity' } });
    await call(`/v1/instances/${encodeURIComponent(made[0]!.body.id)}`, { method: 'DELETE' });
    await eventually(
      () => create({ function: 'more', cpuMillis: 1_000 }),
      answer => answer.status === 201,
    );
  });

  it('frees the room of an instance that ends by itself, and remembers its exit code', async () => {
    const { create, call, runtimes } = await cluster({ nodes: 1, cpuMillis: 1_000 });
    const made = await create({ function: 'brief', cpuMillis: 1_000 });
    const runtime = runtimes.get(made.body.node)!;
    const [container] = await runtime.listContainers();
    runtime.exit(container!.id, 3);
    const status = await eventually(
      () => call(`/v1/instances/${encodeURIComponent(made.body.id)}`),
      answer => answer.body.state === 'exited',
    );
    expect(status.body.exitCode).toBe(3);
    expect((await create({ function: 'next', cpuMillis: 1_000 })).status).toBe(201);
  });

  it('makes one instance for one idempotency key', async () => {
    const { create, runtimes } = await cluster({ nodes: 1, schedulers: 1 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => create({ function: 'once' }, { 'idempotency-key': 'k1' })),
    );
    expect(new Set(answers.map(answer => answer.body.id)).size).toBe(1);
    expect(await runtimes.get('node-0')!.listContainers()).toHaveLength(1);
  });

  it('answers 400 with the field and creates nothing', async () => {
    const { create, call, runtimes } = await cluster({ nodes: 1 });
    expect(await create({})).toMatchObject({ status: 400, body: { error: 'function: a text is required' } });
    expect((await create({ function: '--privileged' })).body.error).toContain('is not a name');
    expect((await create({ function: 'a', cpuMillis: -1 })).body.error).toBe('cpuMillis: -1 is negative');
    expect((await create({ function: 'a', colour: 'red' })).body.error).toBe('colour: unknown field');
    expect((await call('/create?funcName=a')).text).toBe('lack cpu and mem value');
    expect((await call('/create?funcName=a&requireCpu=x&requireMem=1')).status).toBe(400);
    expect((await call('/create?funcName=a&requireCpu=1000&requireMem=1')).status).toBe(503);
    expect((await fetch(`${(await cluster({ nodes: 0 })).urls[0]}/create`)).status).toBe(401);
    expect(await runtimes.get('node-0')!.listContainers()).toHaveLength(0);
  });

  it("answers the original's requests", async () => {
    const { call, urls } = await cluster({ gateways: 2 });
    expect(await call('/create?funcName=busy&requireCpu=1&requireMem=64')).toMatchObject({
      status: 200,
      text: 'create success.',
    });
    const hosts = urls.map(url => new URL(url).host);
    const list = await eventually(
      () => call('/getGatewayList'),
      answer => Object.keys(answer.body).length === 2,
    );
    expect(list.body).toEqual({ 'gateway-0': hosts[0], 'gateway-1': hosts[1] });
  });

  it.each(['schedulers', 'dispatchers', 'nodes', 'gateways', 'coordinator'] as const)(
    'creates again after one of its %s has gone',
    async kind => {
      const { roles, create } = await cluster({ gateways: 2 });
      const gone = kind === 'coordinator' ? roles.coordinator : roles[kind][0]!;
      await gone.stop();
      const answer = await create({ function: 'after' }, {}, 1);
      expect(answer).toMatchObject({ status: 201 });
    },
  );

  it('lets members join again through a coordinator that came back, and drops those that do not', async () => {
    const { roles, call, create, address, startCoordinator } = await cluster();
    const at = address();
    await roles.coordinator.stop();
    await roles.nodes[0]!.stop();
    await startCoordinator(at);
    const members = await eventually(
      () => call('/v1/members'),
      answer => answer.body.members.filter((each: any) => each.kind === 'node').length === 2,
    );
    expect(members.body.members.map((each: any) => each.name).sort()).toEqual([
      'dispatcher-0',
      'dispatcher-1',
      'gateway-0',
      'node-1',
      'node-2',
      'scheduler-0',
      'scheduler-1',
    ]);
    expect((await create({ function: 'again' })).status).toBe(201);
  });
});
