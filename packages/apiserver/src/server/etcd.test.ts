/**
 * Two API servers over one etcd whose members and connections fail: through either server no acknowledged write is lost, and what a client
 * that watches (and lists again when it is told to) knows is what there is.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  type Client,
  ConfigMap,
  compose,
  createClient,
  Endpoints,
  httpTransport,
  isAlreadyExists,
  isConflict,
  isNotFound,
  isStatusError,
  SelfSubjectReview,
  ServiceAccount,
  silentLogger,
} from '@orbitkit/core';
import { afterEach, expect, it } from 'vitest';
import { etcdStore } from '../storage/etcd/index.js';
import { hasEtcd, startEtcd } from '../storage/etcd/testing/etcd-process.js';
import { tcpProxy } from '../storage/etcd/testing/tcp-proxy.js';
import { apiServer } from './api-server.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const admin = { username: 'admin', groups: ['system:masters'] };
const namespace = 'default';

it.skipIf(!hasEtcd)(
  'two API servers over three members that are killed, cut off, moved and compacted',
  async () => {
    const etcd = await startEtcd({ members: 3 });
    cleanups.push(() => etcd.dispose());
    const servers = await Promise.all(
      [0, 1].map(async () => {
        const ways = await Promise.all(etcd.members.map(({ port }) => tcpProxy(port)));
        const hosts = ways.map(({ port }) => `http://127.0.0.1:${port}`);
        const quick = { pingMs: 400, pongMs: 400, callTimeoutMs: 4_000, compactionMs: 0 };
        const api = apiServer({ store: etcdStore({ hosts, ...quick }), listen: false });
        const stop = new AbortController();
        const composition = compose(api);
        const run = composition.run({ signal: stop.signal });
        cleanups.push(async () => {
          stop.abort();
          await run;
          await Promise.all(ways.map(way => way.close()));
        });
        await composition.ready;
        return { client: api.clientFor(admin), ways };
      }),
    );

    const stop = new AbortController();
    const { signal } = stop;
    /** By name: the highest number that was acknowledged. */
    const acknowledged = new Map<string, number>();
    let writes = 0;

    const write = async (client: Client, name: string): Promise<void> => {
      for (let n = 1; !signal.aborted; n++) {
        try {
          const data = { n: String(n) };
          try {
            const current = await client.get(ConfigMap, { namespace, name });
            await client.update(ConfigMap, { ...current, data });
          } catch (error) {
            if (!isNotFound(error)) throw error;
            await client.create(ConfigMap, { metadata: { namespace, name }, data });
          }
          acknowledged.set(name, n);
          writes++;
        } catch (error) {
          // Conflict and exists: an earlier write of its own whose answer was lost.
          const lost = isConflict(error) || isAlreadyExists(error);
          if (!lost && !(isStatusError(error) && error.code >= 500)) throw error;
          await pause(20);
        }
      }
    };

    /** A client's view: objects by name, kept by list and watch. */
    const views: { known: Map<string, string>; reached: bigint; orders: number }[] = [];
    const watch = async (client: Client): Promise<void> => {
      const view = { known: new Map<string, string>(), reached: 0n, orders: 0 };
      views.push(view);
      while (!signal.aborted) {
        try {
          const list = await client.list(ConfigMap, { namespace });
          view.known = new Map(list.items.map(({ metadata, data }) => [metadata.name!, data?.['n'] ?? '']));
          let resourceVersion = list.metadata.resourceVersion!;
          view.reached = BigInt(resourceVersion);
          for (;;) {
            for await (const event of client.watch(ConfigMap, { namespace, resourceVersion, signal })) {
              if (event.type !== 'ADDED' && event.type !== 'MODIFIED' && event.type !== 'DELETED') continue;
              const { metadata, data } = event.object;
              const at = BigInt(metadata.resourceVersion!);
              if (at <= view.reached) view.orders++;
              view.reached = at;
              resourceVersion = metadata.resourceVersion!;
              if (event.type === 'DELETED') view.known.delete(metadata.name!);
              else view.known.set(metadata.name!, data?.['n'] ?? '');
            }
            if (signal.aborted) return;
          }
        } catch (error) {
          if (signal.aborted) return;
          if (!isStatusError(error)) throw error;
          await pause(50);
        }
      }
    };

    const running = servers.flatMap(({ client }, i) => [
      ...Array.from({ length: 3 }, (_, w) => write(client, `s${i}-w${w}`)),
      ...Array.from({ length: 2 }, () => watch(client)),
    ]);
    const progress = async (more: number): Promise<void> => {
      const goal = writes + more;
      const until = performance.now() + 30_000;
      while (writes < goal) {
        if (performance.now() > until) throw new Error(`${writes} of ${goal} writes within 30 s`);
        await pause(10);
      }
    };
    try {
      await progress(50);
      await etcd.members[0]!.kill();
      await progress(30);
      await etcd.members[0]!.start();
      for (const way of servers[0]!.ways) way.cut();
      await progress(30);
      for (const way of servers[1]!.ways) way.shut();
      await pause(300);
      const status = etcd.ctl('get', 'none', '-w', 'json');
      etcd.ctl('compact', /"revision":(\d+)/.exec(status)![1]!);
      for (const way of servers[1]!.ways) way.open();
      await progress(30);
      await Promise.all(etcd.members.map(member => member.kill()));
      // Nobody can write now, and who tries is told (the client tries again for as long as it is given).
      const refused = await Promise.all(
        servers.map(({ client }, i) =>
          client
            .create(ConfigMap, { metadata: { namespace, name: `refused-${i}` } }, { timeoutMs: 2_000 })
            .catch((error: unknown) => error),
        ),
      );
      for (const error of refused) expect(isStatusError(error) && error.code >= 500, String(error)).toBe(true);
      await Promise.all(etcd.members.map(member => member.start()));
      await progress(50);

      // A last write, by which every view has to come.
      const last = await servers[0]!.client.create(ConfigMap, { metadata: { namespace, name: 'last' } });
      for (const { client } of servers) {
        const read = await client.get(ConfigMap, { namespace, name: 'last' });
        expect(read.metadata.resourceVersion).toBe(last.metadata.resourceVersion);
      }
      await expect
        .poll(() => views.every(({ reached }) => reached >= BigInt(last.metadata.resourceVersion!)), {
          timeout: 30_000,
        })
        .toBe(true);
    } finally {
      stop.abort();
      await Promise.all(running);
    }
    expect(views.map(({ orders }) => orders)).toEqual([0, 0, 0, 0]);
    const lists = await Promise.all(servers.map(({ client }) => client.list(ConfigMap, { namespace })));
    const found = lists.map(({ items }) => new Map(items.map(({ metadata, data }) => [metadata.name, data?.['n']])));
    expect(found[1]).toEqual(found[0]);
    for (const [name, n] of acknowledged) expect(Number(found[0]!.get(name))).toBeGreaterThanOrEqual(n);
  },
  120_000,
);

it.skipIf(!hasEtcd)(
  'two API servers over one etcd that know nothing of each other have one identity; one that is killed leaves default/kubernetes',
  async () => {
    const etcd = await startEtcd();
    cleanups.push(() => etcd.dispose());
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-etcd-servers-'));
    cleanups.push(() => fs.rm(dir, { recursive: true, force: true }));
    const start = async (name: string) => {
      const way = await tcpProxy(etcd.members[0]!.port);
      const hosts = [`http://127.0.0.1:${way.port}`];
      const store = etcdStore({ hosts, pingMs: 400, pongMs: 400, callTimeoutMs: 2_000 });
      const api = apiServer({ store, listen: { port: 0 }, dataDir: path.join(dir, name) });
      const stop = new AbortController();
      const composition = compose({ log: silentLogger }, api);
      const run = composition.run({ signal: stop.signal });
      const end = async () => {
        stop.abort();
        await run;
        await way.close();
      };
      cleanups.push(end);
      await Promise.race([composition.ready, run]);
      return { api, client: api.clientFor(admin), way };
    };
    const [a, b] = await Promise.all([start('a'), start('b')]);
    expect(await b.api.certificateAuthority()).toBe(await a.api.certificateAuthority());
    expect(await b.api.adminToken()).toBe(await a.api.adminToken());
    await a.client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    const request = await a.client.transport.request({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/robot/token`,
      headers: { 'content-type': 'application/json' },
      body: '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}',
    });
    const { token } = JSON.parse(Buffer.from(await request.bytes()).toString()).status;
    const atB = createClient(
      httpTransport({ server: b.api.endpoint!.url, ca: await a.api.certificateAuthority(), token }),
    );
    cleanups.push(() => atB.close());
    const review = await atB.create(SelfSubjectReview, { metadata: {} } as never);
    expect(review).toMatchObject({ status: { userInfo: { username: 'system:serviceaccount:default:robot' } } });

    const ports = async () => {
      const { subsets } = await b.client.get(Endpoints, { namespace, name: 'kubernetes' });
      return (subsets ?? []).map(each => each.ports![0]!.port).sort();
    };
    const both = [a.api.endpoint!.port, b.api.endpoint!.port].sort();
    await expect.poll(ports, { timeout: 15_000 }).toEqual(both);
    // As good as killed: it can neither renew its entry nor take it away.
    a.way.shut();
    await expect.poll(ports, { timeout: 40_000, interval: 500 }).toEqual([b.api.endpoint!.port]);
    a.way.open();
    await expect.poll(ports, { timeout: 30_000, interval: 500 }).toEqual(both);
  },
  120_000,
);
