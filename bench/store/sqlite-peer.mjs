// SQLite as a durable store, run by a newer Node.js that has `node:sqlite` (Node 20 has none, and better-sqlite3 does not install without
// compiling): write-ahead log, synchronous=FULL, so a commit returns after its flush. Arguments: database, writers, 'group' or 'each' (one
// commit for all puts that wait, or one for each), milliseconds that a disk would take longer, duration in milliseconds. Prints a rate as JSON.
import { DatabaseSync } from 'node:sqlite';

const [file, writers, mode, slower, duration] = process.argv.slice(2);
const database = new DatabaseSync(file);
database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;');
database.exec('CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, revision INTEGER) WITHOUT ROWID');
const insert = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?)');
const value = Buffer.alloc(1024, 'orbit');
const clock = new Int32Array(new SharedArrayBuffer(4));
let revision = 0;
let waiting = [];

function flush() {
  const puts = waiting;
  waiting = [];
  const batches = mode === 'group' ? [puts] : puts.map(put => [put]);
  for (const batch of batches) {
    database.exec('BEGIN IMMEDIATE');
    for (const { key } of batch) insert.run(key, value, ++revision);
    database.exec('COMMIT');
    if (Number(slower) > 0) Atomics.wait(clock, 0, 0, Number(slower));
    for (const { resolve } of batch) resolve();
  }
}
const put = key =>
  new Promise(resolve => {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push({ key, resolve });
  });

const latencies = [];
const cpu = process.cpuUsage();
const start = performance.now();
await Promise.all(
  Array.from({ length: Number(writers) }, async (_, writer) => {
    for (let turn = 0; ; turn++) {
      const before = performance.now();
      if (before - start > Number(duration)) return;
      await put(`/registry/pods/default/p-${writer}-${turn % 200}`);
      latencies.push(performance.now() - before);
    }
  }),
);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
database.close();
latencies.sort((a, b) => a - b);
const at = share => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
console.log(
  JSON.stringify({
    perSecond: latencies.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicros: (user + system) / latencies.length,
  }),
);
