/**
 * The stores beside their peers in one run: durable writes (embedded store, npm's etcd3 and h2load on a real etcd, lmdb, the bare disk; also with a
 * disk that takes a millisecond longer), compare-and-swap over etcd, recovery, memory, idle watches. Rounds are interleaved, medians of
 * three; CPU is that of this process per operation. Parts can be named: `durable etcd recovery memory watches`.
 *
 *     node bench/run.mjs store.ts [PART…]
 */
import { setMaxListeners } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { memoryStore } from '@orbitkit/apiserver/storage';
import { machine } from './samples.js';
import { durableWrites } from './store/durable.js';
import { etcdWrites } from './store/etcd.js';
import { line, measure, medianRate, type Rate, rounds, value } from './store/rates.js';
import { memoryPerPod, replay, storedPods } from './store/recovery.js';

/** What a thousand idle watches cost the writers: each on a prefix of its own, none of them written under. */
async function watches(): Promise<void> {
  const rates: Rate[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [i, count] of [0, 1_000].entries()) {
      const store = await memoryStore()();
      const stop = new AbortController();
      setMaxListeners(count + 1, stop.signal);
      const watching = Array.from({ length: count }, async (_, n) => {
        for await (const { events } of store.watch(`/registry/leases/ns-${n}/`, 1n, { signal: stop.signal })) {
          if (events.length > 0) throw new Error('an event for nobody');
        }
      });
      const put = (writer: number, turn: number) =>
        store.txn([], { type: 'put', key: `/registry/pods/default/p-${writer}-${turn % 200}`, value });
      rates[i]!.push(await measure(64, 1, put));
      stop.abort();
      await Promise.all(watching);
      await store.close();
    }
  }
  const [none, many] = rates.map(medianRate) as [Rate, Rate];
  console.log('64 writers, memory store');
  line('no watches', none);
  line('1,000 watches of others', many, none);
}

const words = process.argv.slice(2);
if (words[0] === 'pods') {
  await storedPods(words[1]!);
} else {
  const parts: Record<string, (directory: string) => Promise<void>> = {
    durable: durableWrites,
    etcd: etcdWrites,
    recovery: async directory => {
      await replay(directory, 1_024);
      await replay(directory, 4_400);
    },
    memory: memoryPerPod,
    watches,
  };
  for (const word of words)
    if (parts[word] === undefined) throw new Error(`${word}: one of ${Object.keys(parts).join(', ')}`);
  // /tmp may be memory on other machines: $TMPDIR names a directory on a disk.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'orbitkit-bench-store-'));
  console.log(machine());
  try {
    for (const [name, part] of Object.entries(parts))
      if (words.length === 0 || words.includes(name)) await part(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
  console.log(machine());
}
