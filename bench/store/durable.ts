/** G1: durable writes of the embedded store beside peers on the same disk in the same run; once more on a disk that takes 1 ms longer. */
import fs from 'node:fs';
import path from 'node:path';
import { embeddedStore, type FileSystem, memoryStore, nodeFileSystem, type Store } from '@orbitkit/apiserver/storage';
import { h2loadPuts, has, hasSqlite, peer, sqlitePuts, startEtcd } from './peers.js';
import { line, measure, medianRate, type Rate, roundMs, rounds, value } from './rates.js';

/** Key, numbers and checksum of a record. */
const recordBytes = value.length + 80;

const putters = (store: Store, writers: number): Promise<Rate> =>
  measure(writers, 1, (writer, turn) =>
    store.txn([], { type: 'put', key: `/registry/pods/default/p-${writer}-${turn % 200}`, value }),
  );

/** Every write that must be durable takes a millisecond more. */
const slowDisk: FileSystem = {
  ...nodeFileSystem,
  async open(file, options) {
    const inner = await nodeFileSystem.open(file, options);
    return {
      ...inner,
      async write(data, position) {
        await inner.write(data, position);
        if (options.durable) await new Promise(resolve => setTimeout(resolve, 1));
      },
    };
  },
};

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

interface Lmdb {
  open(options: object): {
    put(key: string, value: Buffer): Promise<boolean>;
    flushed: Promise<unknown>;
    close(): Promise<void>;
  };
}
interface Etcd3 {
  Etcd3: new (options: object) => { put(key: string): { value(value: Buffer): Promise<unknown> }; close(): void };
}

export async function durableWrites(directory: string): Promise<void> {
  const lmdb = peer<Lmdb>('lmdb');
  const etcd3 = has('etcd') ? peer<Etcd3>('etcd3') : undefined;
  if (lmdb === undefined) console.log('lmdb is not there (cd ci && npm ci): left out');
  if (!hasSqlite) console.log('SQLite is not there (cd ci && npm ci): left out');
  if (etcd3 === undefined)
    console.log('etcd or etcd3 is not there (apt-get install etcd-server; cd ci && npm ci): left out');
  for (const writers of [1, 16, 64, 256]) {
    const rates = new Map<string, Rate[]>();
    const note = (name: string, rate: Rate) => rates.set(name, [...(rates.get(name) ?? []), rate]);
    for (let round = 0; round < rounds; round++) {
      const at = (name: string) => path.join(directory, `${name}-${writers}-${round}`);
      const store = await embeddedStore({ dir: at('store') })();
      note('embedded store', await putters(store, writers));
      await store.close();
      note('bare write + fdatasync', await bareLoop(directory, 1));
      if (writers > 1) note('bare, as many records a write', await bareLoop(directory, writers));
      if (lmdb) {
        const base = lmdb.open({ path: at('lmdb'), overlappingSync: false });
        note(
          'lmdb',
          await measure(writers, 1, (writer, turn) =>
            base.put(`/registry/pods/default/p-${writer}-${turn % 200}`, value),
          ),
        );
        await base.close();
      }
      if (hasSqlite) {
        const sqlite = (mode: 'group' | 'each', slowerMs: number): Rate => {
          const file = at('sqlite');
          const rate = sqlitePuts(file, writers, mode, slowerMs, roundMs);
          for (const each of [file, `${file}-wal`, `${file}-shm`]) fs.rmSync(each, { force: true });
          return rate;
        };
        note('SQLite, one commit for all that wait', sqlite('group', 0));
        note('SQLite, a commit for each', sqlite('each', 0));
        note('SQLite, one commit for all, disk + 1 ms', sqlite('group', 1));
        note('SQLite, a commit for each, disk + 1 ms', sqlite('each', 1));
      }
      if (etcd3) {
        const etcd = await startEtcd(at('etcd'));
        const client = new etcd3.Etcd3({ hosts: etcd.url });
        note(
          'etcd3 (npm) put on etcd',
          await measure(writers, 1, (writer, turn) => client.put(`p-${writer}-${turn % 200}`).value(value)),
        );
        client.close();
        if (has('h2load')) {
          const perSecond = h2loadPuts(etcd.url, value, writers, directory);
          if (perSecond !== undefined)
            note('h2load put on etcd', { perSecond, p50: Number.NaN, p99: Number.NaN, cpuMicros: Number.NaN });
        }
        await etcd.stop();
      }
      const forgetful = await memoryStore()();
      note('memory store (not durable)', await putters(forgetful, writers));
      await forgetful.close();
      const slow = await embeddedStore({ dir: at('slow'), fileSystem: slowDisk })();
      note('embedded store, disk + 1 ms', await putters(slow, writers));
      await slow.close();
      for (const name of ['store', 'lmdb', 'etcd', 'slow']) fs.rmSync(at(name), { recursive: true, force: true });
    }
    console.log(`${writers} writers, 1 KiB`);
    const first = medianRate(rates.get('embedded store')!);
    const slow = medianRate(rates.get('embedded store, disk + 1 ms')!);
    for (const [name, all] of rates) {
      const ours = name.startsWith('embedded store');
      line(name, medianRate(all), ours ? undefined : name.endsWith('+ 1 ms') ? slow : first);
    }
  }
}
