/** Real etcd, killed, cut off, silenced, compacted, its leader moved, under writers and watchers of two servers. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Store } from '../contract.js';
import { etcdStore } from './index.js';
import { type EtcdCluster, type EtcdMember, hasEtcd, startEtcd } from './testing/etcd-process.js';
import { type TcpProxy, tcpProxy } from './testing/tcp-proxy.js';
import { Traffic } from './testing/traffic.js';

interface Scene {
  readonly etcd: EtcdCluster;
  /** Two servers, each with ways of its own to the members. */
  readonly servers: readonly { readonly store: Store; readonly ways: readonly TcpProxy[] }[];
  /** Reaches the members directly. */
  readonly judge: Store;
  readonly traffic: Traffic;
}

let scene: Scene | undefined;
afterEach(async () => {
  if (scene === undefined) return;
  const { etcd, servers, judge, traffic } = scene;
  scene = undefined;
  await traffic.end();
  await Promise.all([judge, ...servers.map(({ store }) => store)].map(store => store.close()));
  await Promise.all(servers.flatMap(({ ways }) => ways.map(way => way.close())));
  await etcd.dispose();
});

const quick = { pingMs: 400, pongMs: 400, callTimeoutMs: 4_000, compactionMs: 0 };

async function begin(members: number): Promise<Scene> {
  const etcd = await startEtcd({ members });
  const servers = await Promise.all(
    [0, 1].map(async () => {
      const ways = await Promise.all(etcd.members.map(({ port }) => tcpProxy(port)));
      const hosts = ways.map(({ port }) => `http://127.0.0.1:${port}`);
      return { store: await etcdStore({ hosts, ...quick })(), ways };
    }),
  );
  const judge = await etcdStore({ hosts: etcd.urls, ...quick })();
  const traffic = new Traffic();
  scene = { etcd, servers, judge, traffic };
  for (const [i, { store }] of servers.entries()) {
    for (let w = 0; w < 4; w++) traffic.write(store, `s${i}-w${w}`);
    for (let w = 0; w < 3; w++) traffic.watch(store, 1n);
  }
  await traffic.progress(100);
  return scene;
}

interface Leadership {
  readonly member: EtcdMember;
  /** Ids of the others that run, as etcdctl takes them. */
  readonly others: readonly string[];
}

/** Waits until there is one. */
async function leader(etcd: EtcdCluster): Promise<Leadership> {
  const until = performance.now() + 15_000;
  while (performance.now() < until) {
    const rows = etcd.members.flatMap(member => {
      if (!member.running) return [];
      try {
        const text = etcd.ctl('--endpoints', member.url, 'endpoint', 'status', '-w', 'json');
        // 64 bits, which JSON.parse would round.
        const number = (name: string) => BigInt(new RegExp(`"${name}":(\\d+)`).exec(text)?.[1] ?? 0);
        return [{ member, id: number('member_id'), leader: number('leader') }];
      } catch {
        return [];
      }
    });
    const found = rows.find(({ id, leader: is }) => id === is);
    if (found !== undefined)
      return {
        member: found.member,
        others: rows.filter(({ id }) => id !== found.id).map(({ id }) => id.toString(16)),
      };
    await pause(100);
  }
  throw new Error('no leader was elected');
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

async function judged({ judge, servers, traffic }: Scene): Promise<void> {
  await traffic.judge(
    judge,
    servers.map(({ store }) => store),
    0n,
  );
  expect(traffic.listedAgain).toBe(0);
}

describe.skipIf(!hasEtcd)('two servers over one etcd (apt-get install etcd-server etcd-client)', () => {
  it('its only member is killed with kill -9 and started again, three times', async () => {
    const { etcd, traffic } = await begin(1);
    const [member] = etcd.members;
    for (let i = 0; i < 3; i++) {
      await member!.kill();
      await pause(300);
      await member!.start();
      await traffic.progress(100);
    }
    expect(traffic.failed).toBeGreaterThan(0);
    await judged(scene!);
  }, 90_000);

  it('connections are cut, again and again, at any moment', async () => {
    const { servers, traffic } = await begin(1);
    for (let i = 0; i < 25; i++) {
      for (const way of servers[i % 2]!.ways) way.cut();
      await pause(20 + ((i * 37) % 90));
    }
    await traffic.progress(100);
    await judged(scene!);
  }, 90_000);

  it('a connection goes silent: it is given up, and nothing is missing when there is another', async () => {
    const { servers, traffic } = await begin(1);
    const [way] = servers[0]!.ways;
    way!.stall();
    await pause(1_500);
    const before = traffic.failed;
    way!.flow();
    await traffic.progress(200);
    expect(before).toBeGreaterThan(0);
    await judged(scene!);
  }, 90_000);

  it('of three members the leader is killed, moved, and stands still; each server is cut from some', async () => {
    const { etcd, servers, traffic } = await begin(3);
    const first = (await leader(etcd)).member;
    await first.kill();
    await traffic.progress(50);
    await first.start();
    await traffic.progress(50);

    const { member, others } = await leader(etcd);
    etcd.ctl('--endpoints', member.url, 'move-leader', others[0]!);
    await traffic.progress(50);

    const still = (await leader(etcd)).member;
    still.freeze();
    await traffic.progress(50);
    still.thaw();
    await traffic.progress(50);

    servers[0]!.ways[0]!.shut();
    servers[1]!.ways[1]!.shut();
    await traffic.progress(100);
    servers[0]!.ways[0]!.open();
    servers[1]!.ways[1]!.open();

    await Promise.all(etcd.members.map(each => each.kill()));
    await Promise.all(etcd.members.map(each => each.start()));
    await traffic.progress(100);
    await judged(scene!);
  }, 120_000);

  it('compaction of everything does not disturb watches that go on', async () => {
    const { etcd, judge, traffic } = await begin(1);
    const { revision } = await judge.status();
    for (let i = 0; i < 5; i++) {
      await traffic.progress(50);
      // Behind what every watcher has seen, as the compactor does.
      if (i > 0) etcd.ctl('compact', String((await judge.status()).revision - 100n));
    }
    const { judge: history, servers } = scene!;
    await traffic.judge(
      history,
      servers.map(({ store }) => store),
      (await judge.status()).compactedRevision,
    );
    expect(traffic.listedAgain).toBe(0);
    expect((await judge.status()).compactedRevision).toBeGreaterThan(revision);
  }, 90_000);

  it('what is compacted while a server is cut off is said to its watchers, who list again; then they miss nothing', async () => {
    const { etcd, servers, judge, traffic } = await begin(1);
    const [way] = servers[0]!.ways;
    way!.shut();
    await traffic.progress(100);
    const { revision } = await judge.status();
    etcd.ctl('compact', String(revision));
    way!.open();
    await traffic.progress(100);
    await traffic.judge(
      judge,
      servers.map(({ store }) => store),
      revision,
    );
    expect(traffic.listedAgain).toBe(3);
  }, 90_000);

  it('leases are lost with their entries one by one, also when the server that granted them is gone', async () => {
    const { servers, judge, etcd } = await begin(1);
    const [one, two] = servers.map(({ store }) => store);
    const lease = await one!.grantLease(2_000);
    const kept = await two!.grantLease(2_000);
    const put = (key: string, id: bigint) => one!.txn([], { type: 'put', key, value: Buffer.from('x'), lease: id });
    for (let i = 0; i < 5; i++) await put(`/lost/${i}`, lease);
    for (let i = 0; i < 5; i++) await put(`/kept/${i}`, kept);
    const { revision } = await put('/kept/last', kept);
    servers[0]!.ways[0]!.shut();
    const [member] = etcd.members;
    await member!.kill();
    await member!.start();
    const stop = new AbortController();
    const deleted: { key: string; revision: bigint }[] = [];
    const renewing = (async () => {
      while (!stop.signal.aborted) {
        await two!.keepAlive(kept).catch(() => undefined);
        await pause(300);
      }
    })();
    const limit = setTimeout(() => stop.abort(), 25_000);
    for await (const { events } of judge.watch('/lost/', revision, { signal: stop.signal })) {
      for (const { type, key, revision: at } of events) if (type === 'delete') deleted.push({ key, revision: at });
      if (deleted.length >= 5) break;
    }
    clearTimeout(limit);
    stop.abort();
    await renewing;
    expect(new Set(deleted.map(({ key }) => key)).size).toBe(5);
    expect(new Set(deleted.map(({ revision: at }) => at)).size).toBe(5);
    expect((await judge.list('/kept/')).entries).toHaveLength(6);
  }, 90_000);
});
