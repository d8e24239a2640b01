/** G2: the etcd store beside npm's etcd3 on the same etcd: compare-and-swap one by one, and the time until a watch has the event. */
import path from 'node:path';
import { etcdStore } from '@orbitkit/apiserver/etcd';
import type { Store } from '@orbitkit/apiserver/storage';
import { has, peer, startEtcd } from './peers.js';
import { line, measure, median, medianRate, type Rate, rounds, value } from './rates.js';

interface Client {
  if(
    key: string,
    target: string,
    comparison: string,
    value: string,
  ): { then(op: unknown): { commit(): Promise<{ succeeded: boolean; header: { revision: string } }> } };
  put(key: string): { value(value: Buffer): unknown };
  watch(): {
    key(key: string): { create(): Promise<{ on(event: 'put', then: () => void): void; cancel(): Promise<void> }> };
  };
  close(): void;
}
interface Etcd3 {
  Etcd3: new (options: object) => Client;
}

async function storeSwaps(store: Store, writers: number): Promise<Rate> {
  const revisions = Array.from({ length: writers }, () => 0n);
  return measure(writers, 1, async writer => {
    const key = `swap-${writer}`;
    const result = await store.txn([{ key, modRevision: revisions[writer]! }], { type: 'put', key, value });
    revisions[writer] = result.ok ? result.revision : (result.current?.modRevision ?? 0n);
  });
}

async function clientSwaps(client: Client, writers: number, round: number): Promise<Rate> {
  const revisions = Array.from({ length: writers }, () => '0');
  return measure(writers, 1, async writer => {
    const key = `client-${round}-${writers}-${writer}`;
    const { succeeded, header } = await client
      .if(key, 'Mod', '==', revisions[writer]!)
      .then(client.put(key).value(value))
      .commit();
    if (!succeeded) throw new Error('a swap of one writer alone cannot fail');
    revisions[writer] = header.revision;
  });
}

async function storeLatency(store: Store): Promise<number[]> {
  const stop = new AbortController();
  const from = (await store.get('none')).revision;
  let seen: () => void = () => undefined;
  const watching = (async () => {
    for await (const { events } of store.watch('latency', from, { signal: stop.signal })) if (events.length > 0) seen();
  })();
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const start = performance.now();
    const arrived = new Promise<void>(resolve => {
      seen = resolve;
    });
    void store.txn([], { type: 'put', key: 'latency', value });
    await arrived;
    times.push(performance.now() - start);
  }
  stop.abort();
  await watching;
  return times;
}

async function clientLatency(client: Client): Promise<number[]> {
  const watcher = await client.watch().key('latency-client').create();
  let seen: () => void = () => undefined;
  watcher.on('put', () => seen());
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const start = performance.now();
    const arrived = new Promise<void>(resolve => {
      seen = resolve;
    });
    // Its builders do nothing until somebody waits for them.
    await Promise.all([client.put('latency-client').value(value), arrived]);
    times.push(performance.now() - start);
  }
  await watcher.cancel();
  return times;
}

export async function etcdWrites(directory: string): Promise<void> {
  const etcd3 = peer<Etcd3>('etcd3');
  if (!has('etcd') || etcd3 === undefined) {
    console.log('etcd or etcd3 is not there: the etcd store was not measured');
    return;
  }
  for (const writers of [1, 16, 64]) {
    const ours: Rate[] = [];
    const theirs: Rate[] = [];
    const server: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const etcd = await startEtcd(path.join(directory, `etcd-${writers}-${round}`));
      const store = await etcdStore({ hosts: etcd.url, compactionMs: 0 })();
      const client = new etcd3.Etcd3({ hosts: etcd.url });
      const cpu = etcd.cpuMicros();
      const rate = await storeSwaps(store, writers);
      server.push((etcd.cpuMicros() - cpu) / (rate.perSecond * 1.5));
      ours.push(rate);
      theirs.push(await clientSwaps(client, writers, round));
      client.close();
      await store.close();
      await etcd.stop();
    }
    console.log(
      `${writers} writers, compare-and-swap of 1 KiB on etcd (etcd itself: ${median(server).toFixed(0)} us CPU each)`,
    );
    line('etcd store', medianRate(ours));
    line('etcd3 (npm)', medianRate(theirs), medianRate(ours));
  }
  const etcd = await startEtcd(path.join(directory, 'etcd-latency'));
  const store = await etcdStore({ hosts: etcd.url, compactionMs: 0 })();
  const client = new etcd3.Etcd3({ hosts: etcd.url });
  const [ours, theirs] = [await storeLatency(store), await clientLatency(client)];
  const at = (times: number[], share: number) =>
    times.sort((a, b) => a - b)[Math.floor(times.length * share)]!.toFixed(2);
  console.log(
    `put until the watch has it, one at a time: etcd store p50 ${at(ours, 0.5)}, p99 ${at(ours, 0.99)} ms; etcd3 p50 ${at(theirs, 0.5)}, p99 ${at(theirs, 0.99)} ms`,
  );
  client.close();
  await store.close();
  await etcd.stop();
}
