/** G15 and G12: the time to open a log again, and what a stored pod costs in memory (a process of its own, started with `pods`). */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { embeddedStore, encodeValueText } from '@orbitkit/apiserver/storage';
import { median, rounds } from './rates.js';

export async function replay(directory: string, valueBytes: number): Promise<void> {
  const records = 100_000;
  const dir = path.join(directory, `replay-${valueBytes}`);
  const options = { dir, fsync: false, snapshotBytes: Number.MAX_SAFE_INTEGER };
  const value = Buffer.alloc(valueBytes, 'orbit');
  const store = await embeddedStore(options)();
  for (let i = 0; i < records; i += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        store.txn([], { type: 'put', key: `/registry/core/pods/default/p-${i + n}`, value }),
      ),
    );
  }
  await store.close();
  const files = fs.readdirSync(dir).map(name => path.join(dir, name));
  const megabytes = files.reduce((sum, file) => sum + fs.statSync(file).size, 0) / 1e6;
  const opening: number[] = [];
  const cpu: number[] = [];
  const reading: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let start = performance.now();
    const before = process.cpuUsage();
    const opened = await embeddedStore(options)();
    opening.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1_000);
    const { keys } = await opened.status();
    if (keys !== records) throw new Error(`${keys} keys came back of ${records}`);
    await opened.close();
    start = performance.now();
    for (const file of files) if (fs.existsSync(file)) crc32(fs.readFileSync(file));
    reading.push(performance.now() - start);
  }
  const [open, read] = [median(opening), median(reading)];
  console.log(`replay of ${records} objects, ${megabytes.toFixed(0)} MB`);
  console.log(
    `  embedded store opens in     ${open.toFixed(0)} ms (${median(cpu).toFixed(0)} ms CPU), goal 1,500 ms for 450 MB`,
  );
  console.log(`  bare read + crc32           ${read.toFixed(0)} ms   embedded = ${(open / read).toFixed(1)}x the time`);
  fs.rmSync(dir, { recursive: true });
}

const podText = (i: number): string => {
  const text = JSON.stringify({
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: `p-${i}`,
      namespace: 'default',
      uid: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
      labels: { app: 'web', index: String(i) },
    },
    spec: { containers: [{ name: 'main', image: 'registry.example/app:1', env: [{ name: 'PADDING', value: '' }] }] },
  });
  return text.replace('"value":""', `"value":"${'x'.repeat(2_600 - text.length)}"`);
};

/** Each in a fresh process, so that the rest of the benchmark does not count. */
export async function memoryPerPod(directory: string): Promise<void> {
  const [node, script] = [process.execPath, process.argv[1]!];
  const run = spawnSync(node, ['--expose-gc', script, 'pods', path.join(directory, 'pods')], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  process.stdout.write(run.stdout);
}

/** The child: 100,000 pods of 2.6 KB in an embedded store. */
export async function storedPods(directory: string): Promise<void> {
  const pods = 100_000;
  const store = await embeddedStore({ dir: directory, fsync: false })();
  const settle = async () => {
    await new Promise(resolve => setTimeout(resolve, 200));
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().rss;
  };
  const before = await settle();
  for (let i = 0; i < pods; i += 200) {
    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        store.txn([], {
          type: 'put',
          key: `/registry/core/pods/default/p-${i + n}`,
          value: encodeValueText(podText(i + n)),
        }),
      ),
    );
  }
  const written = await settle();
  await store.compact((await store.status()).revision);
  const compacted = await settle();
  await store.close();
  const kilobytes = (bytes: number) => ((bytes - before) / pods / 1_000).toFixed(1);
  console.log(
    `memory per stored pod of 2.6 KB (store alone, RSS): ${kilobytes(written)} KB, ${kilobytes(compacted)} KB without history; goal 7 KB`,
  );
}
