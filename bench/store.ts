/**
 * Writes per second of the embedded store at 1, 16 and 64 writers (1 KiB values, each acknowledged when durable), beside what the same
 * disk gives a bare loop of write + fdatasync in the same run: one record a write, and as many records a write as there are writers,
 * which is the most that group commit could reach. Then the time to open a log of 100,000 records, beside reading and
 * checksumming the same bytes; then what idle watches cost. Rounds are interleaved, medians of three; CPU is that of the whole process.
 *
 *     node bench/run.mjs store.ts
 */
import { setMaxListeners } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { embeddedStore, memoryStore, type Store } from '@orbitkit/apiserver/storage';

const rounds = 3;
const roundMs = 1_500;
const value = Buffer.alloc(1024, 'orbit');
/** Key, numbers and checksum of a record. */
const recordBytes = value.length + 80;

interface Rate {
  perSecond: number;
  p50: number;
  p99: number;
  cpuMicros: number;
}

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
const medianRate = (rates: Rate[]): Rate => rates.sort((a, b) => a.perSecond - b.perSecond)[rates.length >> 1]!;

/** Runs the operation in a closed loop per writer until the time is over. `weight`: writes per operation. */
async function measure(
  writers: number,
  weight: number,
  operation: (writer: number, turn: number) => Promise<unknown>,
): Promise<Rate> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let turn = 0; ; turn++) {
        const before = performance.now();
        if (before - start > roundMs) return;
        await operation(writer, turn);
        latencies.push(performance.now() - before);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))]!;
  const writes = latencies.length * weight;
  return { perSecond: writes / seconds, p50: at(0.5), p99: at(0.99), cpuMicros: (user + system) / writes };
}

const putters = (store: Store, writers: number): Promise<Rate> =>
  measure(writers, 1, (writer, turn) =>
    store.txn([], { type: 'put', key: `/registry/pods/default/p-${writer}-${turn % 200}`, value }),
  );

async function bareLoop(directory: string, records: number): Promise<Rate> {
  const file = path.join(directory, 'bare');
  const fd = fs.openSync(file, 'w');
  const data = Buffer.alloc(records * recordBytes, 'x');
  let position = 0;
  const once = () =>
    new Promise<void>((resolve, reject) => {
      fs.write(fd, data, 0, data.length, position, failed => {
        position += data.length;
        if (failed) reject(failed);
        else fs.fdatasync(fd, error => (error ? reject(error) : resolve()));
      });
    });
  const rate = await measure(1, records, once);
  fs.closeSync(fd);
  fs.rmSync(file);
  return rate;
}

const cell = ({ perSecond, p50, p99, cpuMicros }: Rate): string =>
  `${perSecond.toFixed(0).padStart(8)}/s  p50 ${p50.toFixed(2).padStart(6)} ms  p99 ${p99.toFixed(2).padStart(6)} ms  ${cpuMicros.toFixed(1).padStart(6)} us CPU`;

async function writes(directory: string): Promise<void> {
  for (const writers of [1, 16, 64]) {
    const embedded: Rate[] = [];
    const memory: Rate[] = [];
    const single: Rate[] = [];
    const grouped: Rate[] = [];
    for (let round = 0; round < rounds; round++) {
      const store = await embeddedStore({ dir: path.join(directory, `store-${writers}-${round}`) })();
      embedded.push(await putters(store, writers));
      await store.close();
      single.push(await bareLoop(directory, 1));
      grouped.push(await bareLoop(directory, writers));
      const forgetful = await memoryStore()();
      memory.push(await putters(forgetful, writers));
      await forgetful.close();
    }
    const [e, s, g, m] = [embedded, single, grouped, memory].map(medianRate) as [Rate, Rate, Rate, Rate];
    console.log(`${writers} writers`);
    console.log(`  embedded store              ${cell(e)}`);
    console.log(`  bare write + fdatasync      ${cell(s)}   embedded = ${(e.perSecond / s.perSecond).toFixed(2)}x`);
    console.log(
      `  bare, ${String(writers).padStart(2)} records a write    ${cell(g)}   embedded = ${(e.perSecond / g.perSecond).toFixed(2)}x`,
    );
    console.log(`  memory store (not durable)  ${cell(m)}   embedded = ${(e.perSecond / m.perSecond).toFixed(2)}x`);
  }
}

async function replay(directory: string): Promise<void> {
  const records = 100_000;
  const dir = path.join(directory, 'replay');
  const options = { dir, fsync: false, snapshotBytes: Number.MAX_SAFE_INTEGER };
  const store = await embeddedStore(options)();
  for (let i = 0; i < records; i += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        store.txn([], { type: 'put', key: `/registry/pods/default/p-${i + n}`, value }),
      ),
    );
  }
  await store.close();
  const files = fs.readdirSync(dir).map(name => path.join(dir, name));
  const megabytes = files.reduce((sum, file) => sum + fs.statSync(file).size, 0) / 1e6;
  const opening: number[] = [];
  const reading: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let start = performance.now();
    const opened = await embeddedStore(options)();
    opening.push(performance.now() - start);
    const { keys } = await opened.status();
    if (keys !== records) throw new Error(`${keys} keys came back of ${records}`);
    await opened.close();
    start = performance.now();
    for (const file of files) if (fs.existsSync(file)) crc32(fs.readFileSync(file));
    reading.push(performance.now() - start);
  }
  const [open, read] = [median(opening), median(reading)];
  console.log(`replay of ${records} records, ${megabytes.toFixed(0)} MB`);
  console.log(
    `  embedded store opens in     ${open.toFixed(0)} ms (${((records / open) * 1000).toFixed(0)} records/s)`,
  );
  console.log(`  bare read + crc32           ${read.toFixed(0)} ms   embedded = ${(open / read).toFixed(1)}x the time`);
}

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
      rates[i]!.push(await putters(store, 64));
      stop.abort();
      await Promise.all(watching);
      await store.close();
    }
  }
  const [none, many] = rates.map(medianRate) as [Rate, Rate];
  console.log('64 writers, memory store');
  console.log(`  no watches                  ${cell(none)}`);
  console.log(`  1,000 watches of others     ${cell(many)}   = ${(many.perSecond / none.perSecond).toFixed(2)}x`);
}

// /tmp may be memory on other machines: a directory on a disk may be given.
const parent = process.argv[2] ?? os.tmpdir();
const directory = fs.mkdtempSync(path.join(parent, 'orbitkit-bench-store-'));
try {
  await writes(directory);
  await replay(directory);
  await watches();
} finally {
  fs.rmSync(directory, { recursive: true });
}
