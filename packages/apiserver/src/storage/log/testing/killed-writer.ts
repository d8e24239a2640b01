/**
 * The program of the kill test: opens the store in the directory given, lets 64 writers work, and reports every acknowledged write on
 * stdout, one line each (`key turn revision`), until it is killed.
 */
import fs from 'node:fs';
import { embeddedStore } from '../../embedded.js';
import { contentOf } from './witness.js';

const [dir, round] = process.argv.slice(2) as [string, string];
const store = await embeddedStore({
  dir,
  segmentBytes: 256 * 1024,
  snapshotBytes: 512 * 1024,
  historyRevisions: 500,
})();
// stdout is a pipe: what is written synchronously is with the reader, whatever happens to this process.
fs.writeSync(1, `ready ${(await store.status()).revision}\n`);

async function write(writer: number): Promise<void> {
  for (let turn = 0; ; turn++) {
    const key = `r${round}/${writer}/${turn}`;
    const { revision } = await store.txn([{ key, modRevision: 0n }], { type: 'put', key, value: contentOf(key, turn) });
    fs.writeSync(1, `${key} ${turn} ${revision}\n`);
    // Keeps the state small and the log moving.
    if (turn >= 20) await store.txn([], { type: 'delete', key: `r${round}/${writer}/${turn - 20}` });
  }
}
await Promise.all(Array.from({ length: 64 }, (_, writer) => write(writer)));
