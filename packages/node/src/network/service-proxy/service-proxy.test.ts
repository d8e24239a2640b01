/** The proxy in user space, as any user: against an API, with real sockets inside 127/8. */
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server } from 'node:net';
import {
  type ComponentContext,
  EndpointSlice,
  metrics,
  Namespace,
  Service,
  type Service as ServiceObject,
  silentLogger,
  systemClock,
} from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi } from '../../agent/testing/fake-api.js';
import { serviceProxy } from './service-proxy.js';
import { substituteCondition } from './status-report.js';
import { type EndpointDraft, service, slice } from './testing/objects.js';
import { substituteAddress, userspaceDataPath } from './userspace.js';

const second = 224 + (process.pid % 16);
const range = `127.${second}.0.0/16`;
const vip = `127.${second}.0.1`;
const backends: Server[] = [];
const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const proxy of running.splice(0)) await proxy.stop();
  for (const server of backends.splice(0)) await new Promise(resolve => server.close(resolve));
});

/** A pod that answers with its name. */
async function backend(name: string): Promise<{ ip: string; port: number }> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.end(name);
  });
  backends.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { ip: '127.0.0.1', port: (server.address() as { port: number }).port };
}

function ask(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host, port });
    socket.on('data', chunk => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

async function start(api: FakeApi, nodeName = 'n1'): Promise<{ stop(): Promise<void> }> {
  const stop = new AbortController();
  const component = serviceProxy({ nodeName, mode: 'rootless', serviceCIDR: range });
  let ready = () => {};
  const isReady = new Promise<void>(resolve => {
    ready = resolve;
  });
  const context: ComponentContext = {
    signal: stop.signal,
    clock: systemClock,
    log: silentLogger,
    metrics: metrics(),
    client: api.client,
    ready: () => ready(),
    provideClient() {},
  };
  const run = component.run(context);
  await Promise.race([isReady, run]);
  const proxy = {
    async stop() {
      stop.abort();
      await run;
    },
  };
  running.push(proxy);
  return proxy;
}

async function eventually(check: () => Promise<void> | void): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
}

/** One slice per backend port, since ports belong to slices. */
async function serve(api: FakeApi, name: string, pods: readonly (EndpointDraft & { port: number })[]): Promise<void> {
  for (const existing of api.objects(EndpointSlice)) {
    if (existing.metadata.labels?.['kubernetes.io/service-name'] === name) api.forget(EndpointSlice, existing.metadata);
  }
  for (const { port, ...endpoint } of pods) await api.client.create(EndpointSlice, slice(name, [endpoint], [{ port }]));
}

async function counts(host: string, port: number, requests: number): Promise<Record<string, number>> {
  const hits: Record<string, number> = {};
  for (let index = 0; index < requests; index += 1) {
    const name = await ask(host, port);
    hits[name] = (hits[name] ?? 0) + 1;
  }
  return hits;
}

describe('the service proxy in user space', () => {
  it('gives connections to the ready pods in turn, and none to one that is not ready', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    const [a, b, c] = [await backend('a'), await backend('b'), await backend('c')];
    await api.client.create(Service, service('web', vip, [{ port }]));
    await serve(api, 'web', [a, b, { ...c, conditions: { ready: false } }]);
    await start(api);
    expect(await counts(vip, port, 31)).toEqual(
      expect.objectContaining({ a: expect.any(Number), b: expect.any(Number) }),
    );
    const hits = await counts(vip, port, 40);
    expect(hits).toEqual({ a: 20, b: 20 });
    await serve(api, 'web', [a, b, c]);
    await eventually(async () => expect(await ask(vip, port)).toBe('c'));
    const three = await counts(vip, port, 31);
    expect(Object.values(three).sort()).toEqual([10, 10, 11]);
  });

  it('refuses without endpoints, and when the service is gone', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    const a = await backend('a');
    await api.client.create(Service, service('web', vip, [{ port }]));
    await serve(api, 'web', [a]);
    await start(api);
    await eventually(async () => expect(await ask(vip, port)).toBe('a'));
    await serve(api, 'web', []);
    await eventually(() => expect(ask(vip, port)).rejects.toMatchObject({ code: 'ECONNRESET' }));
    await serve(api, 'web', [a]);
    await eventually(async () => expect(await ask(vip, port)).toBe('a'));
    await api.client.delete(Service, { name: 'web', namespace: 'default' });
    await eventually(() => expect(ask(vip, port)).rejects.toMatchObject({ code: 'ECONNREFUSED' }));
  });

  it('answers on a node port of this machine, and passes over a backend that refuses', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    const nodePort = await freePort('127.0.0.1');
    const a = await backend('a');
    const dead = { ip: '127.0.0.1', port: await freePort('127.0.0.1') };
    await api.client.create(Service, service('web', vip, [{ port, nodePort }]));
    await serve(api, 'web', [a, dead]);
    await start(api);
    expect(await counts('127.0.0.1', nodePort, 10)).toEqual({ a: 10 });
  });

  it('keeps a client on its pod with ClientIP affinity', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    const sticky = service('web', vip, [{ port }]);
    sticky.spec.sessionAffinity = 'ClientIP';
    await api.client.create(Service, sticky);
    await serve(api, 'web', [await backend('a'), await backend('b')]);
    await start(api);
    expect(Object.values(await counts(vip, port, 10))).toEqual([10]);
  });

  it('answers for an address outside of 127/8 on its substitute, and says so', async () => {
    const api = fakeApi({ now: Date.now });
    expect(substituteAddress('10.6.0.1', range)).toBe(vip);
    const port = await freePort(vip);
    await api.client.create(Service, service('fixed', '10.6.0.1', [{ port }]));
    await serve(api, 'fixed', [await backend('a')]);
    await start(api);
    expect(await ask(vip, port)).toBe('a');
    const message = `10.6.0.1:${port} answers on ${vip}:${port}`;
    await eventually(() => {
      const found = api.find<ServiceObject>(Service, { name: 'fixed', namespace: 'default' });
      const condition = found?.status?.conditions?.find(({ type }) => type === substituteCondition);
      expect(condition).toMatchObject({
        status: 'True',
        reason: 'SubstituteAddress',
        message: expect.stringContaining(message),
      });
    });
    await eventually(() => expect(api.calls.get('create events')).toBeGreaterThan(0));
  });

  it('takes the substitute that the API server gave, where there is one', async () => {
    const api = fakeApi({ now: Date.now });
    const given = vip.replace(/\d+$/, '77');
    const port = await freePort(given);
    const fixed = service('fixed', '10.6.0.1', [{ port }]);
    fixed.metadata.annotations = { 'orbitkit.dev/cluster-ip-substitute': given };
    await api.client.create(Service, fixed);
    await serve(api, 'fixed', [await backend('a')]);
    await start(api);
    expect(await ask(given, port)).toBe('a');
  });

  it('stands by while another node serves, and takes over when that ends', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    await api.client.create(Service, service('web', vip, [{ port }]));
    await serve(api, 'web', [await backend('a'), await backend('b')]);
    const first = await start(api, 'n1');
    await start(api, 'n2');
    expect(await counts(vip, port, 10)).toEqual({ a: 5, b: 5 });
    await first.stop();
    await eventually(async () => expect(await ask(vip, port)).toMatch(/a|b/));
  });

  it('stands beside the proxy of another cluster, and shares with one of its own', async () => {
    const apis = [fakeApi({ now: Date.now }), fakeApi({ now: Date.now })];
    const ports = [await freePort(vip), await freePort(vip)];
    for (const [index, api] of apis.entries()) {
      await api.client.create(Namespace, { metadata: { name: 'kube-system', uid: `cluster-${index}-${process.pid}` } });
      await api.client.create(Service, service('web', vip, [{ port: ports[index]! }]));
      await serve(api, 'web', [await backend(`cluster ${index}`)]);
      await start(api);
    }
    expect(await ask(vip, ports[0]!)).toBe('cluster 0');
    expect(await ask(vip, ports[1]!)).toBe('cluster 1');
  });

  it('leaves nothing listening when it ends, and goes on over a broken watch', async () => {
    const api = fakeApi({ now: Date.now });
    const port = await freePort(vip);
    await api.client.create(Service, service('web', vip, [{ port }]));
    await serve(api, 'web', [await backend('a')]);
    const proxy = await start(api);
    api.breakWatches();
    await serve(api, 'web', [await backend('b')]);
    await eventually(async () => expect(await ask(vip, port)).toBe('b'));
    await proxy.stop();
    await expect(ask(vip, port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('the data path in user space', () => {
  const port = { key: 'default/web', namespace: 'default', name: 'web', protocol: 'TCP' as const };

  it('moves low ports by 8000 on both sides where they cannot be bound', async () => {
    const { port: high } = await backend('low');
    const path = userspaceDataPath({ clock: systemClock, serviceCIDR: range, lowPorts: false });
    try {
      const deviations = await path.apply([
        { ...port, clusterIP: vip, port: 80, endpoints: [{ ip: '127.0.0.1', port: high }] },
      ]);
      expect(deviations).toMatchObject([
        { reason: 'SubstituteAddress', message: expect.stringContaining(`${vip}:8080`) },
      ]);
      expect(await ask(vip, 8_080)).toBe('low');
    } finally {
      await path.close();
    }
  });

  it('says which port it cannot have', async () => {
    const taken = createServer();
    backends.push(taken);
    await new Promise<void>(resolve => taken.listen(0, vip, resolve));
    const { port: number } = taken.address() as { port: number };
    const path = userspaceDataPath({ clock: systemClock, serviceCIDR: range });
    const outside = userspaceDataPath({ clock: systemClock });
    try {
      const one = { ...port, clusterIP: vip, port: number, endpoints: [] };
      expect(await path.apply([one])).toMatchObject([
        { reason: 'Unavailable', message: expect.stringContaining('EADDRINUSE') },
      ]);
      expect(await outside.apply([{ ...one, clusterIP: '10.6.0.1' }])).toMatchObject([{ reason: 'Unavailable' }]);
      const double = { ...one, port: await freePort(vip) };
      expect(await path.apply([double, { ...double, key: 'default/twin' }])).toMatchObject([
        { key: 'default/twin', reason: 'Unavailable' },
      ]);
    } finally {
      await path.close();
      await outside.close();
    }
  });

  it('passes UDP on, and the answers back', async () => {
    const pods = await Promise.all(
      ['a', 'b'].map(async name => {
        const socket = createSocket('udp4', (message, from) =>
          socket.send(`${name}:${message}`, from.port, from.address),
        );
        await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
        return socket;
      }),
    );
    const path = userspaceDataPath({ clock: systemClock, serviceCIDR: range });
    const number = await freePort(vip);
    const clients = [createSocket('udp4'), createSocket('udp4')];
    try {
      const endpoints = pods.map(pod => ({ ip: '127.0.0.1', port: pod.address().port }));
      await path.apply([{ ...port, protocol: 'UDP', clusterIP: vip, port: number, endpoints }]);
      const answers: string[] = [];
      for (const client of clients) {
        for (const word of ['one', 'two']) {
          const answer = new Promise<string>(resolve => client.once('message', message => resolve(`${message}`)));
          client.send(word, number, vip);
          answers.push(await answer);
        }
      }
      expect(answers).toEqual(['a:one', 'a:two', 'b:one', 'b:two']);
    } finally {
      await path.close();
      for (const socket of [...pods, ...clients]) socket.close();
    }
  });
});
