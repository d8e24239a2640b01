/** What stands behind `default/kubernetes` as servers come, stop and are killed. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  type Client,
  compose,
  EndpointSlice,
  Endpoints,
  type ManualClock,
  manualClock,
  Service,
  silentLogger,
} from '@orbitkit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '../storage/contract.js';
import { memoryStore } from '../storage/memory.js';
import { apiServer } from './api-server.js';
import { advertisedAddress } from './kubernetes-service.js';
import { serverRegister } from './server-register.js';

let dir: string;
let clock: ManualClock;
let store: Store;
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-register-'));
  clock = manualClock(Date.now());
  const opened = await memoryStore({ clock })();
  store = new Proxy(opened, {
    get(target, name) {
      if (name === 'shared') return true;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await store.close();
  await fs.rm(dir, { recursive: true, force: true });
});

const turn = () => new Promise(resolve => setTimeout(resolve, 5));

/** Lets time pass until it is so. */
async function passing(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (await what()) return;
    await clock.advance(250);
    await turn();
  }
  throw new Error('it did not happen within 250 s');
}

async function serve(name: string, advertiseAddress: string) {
  const own = new Proxy(store, {
    get: (target, member) => (member === 'close' ? async () => undefined : Reflect.get(target, member)),
  });
  const api = apiServer({
    store: async () => own,
    listen: { port: 0 },
    dataDir: path.join(dir, name),
    advertiseAddress,
  });
  const stopping = new AbortController();
  const cluster = compose({ log: silentLogger, clock }, api);
  let up = false;
  let down = false;
  const running = cluster.run({ signal: stopping.signal }).finally(() => {
    down = true;
  });
  void cluster.ready.then(() => {
    up = true;
  });
  await passing(() => up || down);
  const stop = async () => {
    stopping.abort();
    await passing(() => down);
    await running;
  };
  stops.push(stop);
  return { client: api.clientFor({ username: 'root', groups: ['system:masters'] }), port: api.endpoint!.port, stop };
}

async function behind(client: Client): Promise<string[]> {
  const { subsets } = await client.get(Endpoints, { name: 'kubernetes', namespace: 'default' });
  return (subsets ?? []).flatMap(({ addresses, ports }) =>
    (addresses ?? []).map(({ ip }) => `${ip}:${ports![0]!.port}`),
  );
}

async function slices(client: Client): Promise<string[]> {
  const { items } = await client.list(EndpointSlice, {
    namespace: 'default',
    labelSelector: 'kubernetes.io/service-name=kubernetes',
  });
  return items.flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).map(({ addresses }) => `${addresses[0]}:${ports![0]!.port}`),
  );
}

it('all living servers stand behind it; one that stops goes at once, one that is killed after its time', async () => {
  const a = await serve('a', '10.1.0.1');
  expect(await behind(a.client)).toEqual([`10.1.0.1:${a.port}`]);
  const b = await serve('b', '10.1.0.2');
  const both = [`10.1.0.1:${a.port}`, `10.1.0.2:${b.port}`].sort();
  expect((await behind(a.client)).sort()).toEqual(both);
  expect((await slices(a.client)).sort()).toEqual(both);
  // A third one, of the same port as the first, that says once that it lives.
  await serverRegister(store, { ip: '10.1.0.3', port: a.port }).renew();
  const killedAt = clock.now();
  await passing(async () => (await behind(a.client)).includes(`10.1.0.3:${a.port}`));
  expect((await slices(b.client)).sort()).toEqual([...both, `10.1.0.3:${a.port}`].sort());
  await passing(async () => !(await behind(a.client)).includes(`10.1.0.3:${a.port}`));
  expect(clock.now() - killedAt).toBeGreaterThanOrEqual(15_000);
  expect(clock.now() - killedAt).toBeLessThan(25_000);
  // Those that live have renewed their entries meanwhile.
  expect((await behind(a.client)).sort()).toEqual(both);
  await b.stop();
  expect(await behind(a.client)).toEqual([`10.1.0.1:${a.port}`]);
  expect(await slices(a.client)).toEqual([`10.1.0.1:${a.port}`]);
  const { spec } = await a.client.get(Service, { name: 'kubernetes', namespace: 'default' });
  expect(spec).toMatchObject({ clusterIP: '10.96.0.1', ports: [{ port: 443 }] });
});

it('who lost its entry puts it there again, and who has withdrawn does not', async () => {
  const register = serverRegister(store, { ip: '10.1.0.1', port: 1 });
  const own = [{ ip: '10.1.0.1', port: 1 }];
  expect(await register.renew()).toEqual(own);
  await clock.advance(20_000);
  expect((await store.list('/orbitkit/masterleases/')).entries).toEqual([]);
  expect(await register.renew()).toEqual(own);
  await store.txn([], { type: 'delete', key: '/orbitkit/masterleases/10.1.0.1:1' });
  expect(await register.renew()).toEqual(own);
  const [, left] = await Promise.all([register.renew(), register.withdraw()]);
  expect(left).toEqual([]);
  expect(await register.renew()).toEqual([]);
});

it('an address is that of the listener, or what it is told', () => {
  expect(advertisedAddress('10.0.0.1', undefined)).toBe('10.0.0.1');
  expect(advertisedAddress('localhost', undefined)).toBe('127.0.0.1');
  expect(advertisedAddress('::1', undefined)).toBeUndefined();
  expect(advertisedAddress('127.0.0.1', '10.0.0.2')).toBe('10.0.0.2');
  for (const wrong of ['0.0.0.0', 'example.org', '::1'])
    expect(() => apiServer({ store: memoryStore(), advertiseAddress: wrong })).toThrow('advertiseAddress');
});
