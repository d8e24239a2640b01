/** Two servers over one store: what there is only one of is given once, and each sees at once what the other wrote. */
import { ConfigMap, Pod, ResourceQuota, Service } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { Store, StoreFactory } from '../storage/contract.js';
import { etcdStore } from '../storage/etcd/index.js';
import { type EtcdCluster, hasEtcd, startEtcd } from '../storage/etcd/testing/etcd-process.js';
import { memoryStore } from '../storage/memory.js';
import { type Fixture, fixture } from './resources-fixture.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

interface Shared {
  readonly name: string;
  readonly runs: boolean;
  /** Opens the same data twice. */
  stores(): Promise<[Store, Store]>;
}

const shared: Shared[] = [
  {
    name: 'memory',
    runs: true,
    async stores() {
      const store = await memoryStore()();
      cleanups.push(() => store.close());
      return [store, store];
    },
  },
  {
    name: 'etcd',
    runs: hasEtcd,
    async stores() {
      const etcd: EtcdCluster = await startEtcd();
      cleanups.push(() => etcd.dispose());
      const open: StoreFactory = etcdStore({ hosts: etcd.urls });
      const stores = [await open(), await open()] as [Store, Store];
      for (const store of stores) cleanups.push(() => store.close());
      return stores;
    },
  },
];

const service = (name: string, spec: object) => ({
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ port: 80 }], selector: { app: 'x' }, ...spec },
});

describe.each(shared)('two servers over one store ($name)', ({ runs, stores }) => {
  async function servers(options: Parameters<typeof fixture>[0] = {}): Promise<[Fixture, Fixture]> {
    const [one, two] = await stores();
    const made = [await fixture({ ...options, store: one }), await fixture({ ...options, store: two })] as [
      Fixture,
      Fixture,
    ];
    for (const each of made) cleanups.push(async () => each[Symbol.asyncDispose]());
    return made;
  }

  it.skipIf(!runs)(
    'give every service an address and a port of its own, until there are no more',
    async () => {
      const range = { clusterIpRange: '10.96.0.0/27', nodePortRange: { from: 30_000, to: 30_019 } };
      const both = await servers({ services: range });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 30 }, (_, i) => both[i % 2]!.create(Service, service(`s${i}`, { type: 'NodePort' }))),
      );
      const made = outcomes.flatMap(each => (each.status === 'fulfilled' ? [each.value as any] : []));
      expect(made).toHaveLength(20);
      expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(20);
      expect(new Set(made.map(({ spec }) => spec.ports[0].nodePort)).size).toBe(20);
      for (const each of outcomes)
        if (each.status === 'rejected') expect(String(each.reason)).toMatch(/range .* is full/);
      // What one server gives back the other can give.
      await both[0].delete(Service, { namespace: 'default', name: made[0].metadata.name });
      await expect
        .poll(
          () =>
            both[1].create(Service, service('next', { type: 'NodePort' })).then(
              () => true,
              () => false,
            ),
          { timeout: 10_000 },
        )
        .toBe(true);
    },
    60_000,
  );

  it.skipIf(!runs)(
    'give a port that both are asked for to one service',
    async () => {
      const both = await servers();
      for (let round = 0; round < 10; round++) {
        const ports = [{ port: 80, nodePort: 31_000 + round }];
        const outcomes = await Promise.allSettled(
          both.map((server, i) => server.create(Service, service(`r${round}-${i}`, { type: 'NodePort', ports }))),
        );
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      }
    },
    60_000,
  );

  it.skipIf(!runs)(
    'keep a quota to the last pod, and give back what is deleted at either',
    async () => {
      const both = await servers();
      const quota = { metadata: { name: 'q', namespace: 'default' }, spec: { hard: { pods: '7' } } };
      await both[0].create(ResourceQuota, quota);
      const pod = (name: string) => ({
        metadata: { name, namespace: 'default' },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      });
      const round = async (prefix: string): Promise<string[]> => {
        const names = Array.from({ length: 50 }, (_, i) => `${prefix}${i}`);
        const made = await Promise.allSettled(names.map((name, i) => both[i % 2]!.create(Pod, pod(name))));
        return names.filter((_, i) => made[i]!.status === 'fulfilled');
      };
      // Whoever has not seen the quota yet would let everything pass: both know it first.
      for (const server of both) await server.list(ResourceQuota, { namespace: 'default' });
      const first = await round('a');
      expect(first).toHaveLength(7);
      await Promise.all(
        first.map((name, i) =>
          both[(i + 1) % 2]!.delete(Pod, { namespace: 'default', name }, { gracePeriodSeconds: 0 }),
        ),
      );
      expect(await round('b')).toHaveLength(7);
      const { status } = (await both[1].get(ResourceQuota, { namespace: 'default', name: 'q' })) as any;
      expect(status.used).toEqual({ pods: '7' });
    },
    60_000,
  );

  it.skipIf(!runs)(
    'lose no update, and read and list what the other has just written',
    async () => {
      const [one, two] = await servers();
      await one.create(ConfigMap, { metadata: { name: 'counter', namespace: 'default' }, data: { n: '0' } });
      const key = { namespace: 'default', name: 'counter' };
      const increment = async (server: Fixture): Promise<void> => {
        for (;;) {
          const read: any = await server.get(ConfigMap, key);
          const next = { ...read, data: { n: String(Number(read.data.n) + 1) } };
          const done = await server.update(ConfigMap, next).then(
            () => true,
            error => (error.reason === 'Conflict' ? false : Promise.reject(error)),
          );
          if (done) return;
        }
      };
      await Promise.all(Array.from({ length: 20 }, (_, i) => increment(i % 2 ? one : two)));
      expect(((await two.get(ConfigMap, key)) as any).data.n).toBe('20');
      for (let i = 0; i < 20; i++) {
        const [writer, reader] = i % 2 ? [one, two] : [two, one];
        await writer.create(ConfigMap, { metadata: { name: `m${i}`, namespace: 'default' } });
        expect((await reader.list(ConfigMap, { namespace: 'default' })).map(each => each.metadata.name)).toContain(
          `m${i}`,
        );
        expect((await reader.get(ConfigMap, { namespace: 'default', name: `m${i}` })).metadata.name).toBe(`m${i}`);
      }
    },
    60_000,
  );

  it.skipIf(!runs)(
    'tell every watcher the same events in the same order',
    async () => {
      const both = await servers();
      const watches = await Promise.all(both.map(server => server.watch(ConfigMap, { namespace: 'default' })));
      await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          both[i % 2]!.create(ConfigMap, { metadata: { name: `m${i}`, namespace: 'default' } }),
        ),
      );
      const [first, second] = await Promise.all(watches.map(watch => watch.lines(40)));
      expect(new Set(first).size).toBe(40);
      expect(second).toEqual(first);
      for (const watch of watches) await watch.close();
    },
    60_000,
  );
});
