import { beforeEach, describe, expect, it } from 'vitest';
import { isStoreUnavailable, type Store } from '../contract.js';
import { embeddedStore } from '../embedded.js';
import { VolatileFileSystem } from './testing/volatile-file-system.js';

const dir = '/data';
let files: VolatileFileSystem;
beforeEach(() => {
  files = new VolatileFileSystem();
});
const open = (
  on = files,
  options: { segmentBytes?: number; snapshotBytes?: number; historyRevisions?: number } = {},
): Promise<Store> => embeddedStore({ dir, fileSystem: on, segmentBytes: 2048, ...options })();
const put = (store: Store, key: string, value = `value of ${key}`) =>
  store.txn([], { type: 'put', key, value: Buffer.from(value) });

const segments = (on = files): string[] => on.files().filter(file => file.endsWith('.segment'));
const snapshots = (on = files): string[] => on.files().filter(file => file.endsWith('.snapshot'));

async function refusal(on = files): Promise<string> {
  try {
    await open(on);
  } catch (error) {
    expect(isStoreUnavailable(error)).toBe(true);
    return (error as Error).message;
  }
  throw new Error('the store should have refused to open');
}

/** Changes one byte of a copy. */
function flipped(on: VolatileFileSystem, file: string, at: number): VolatileFileSystem {
  const copy = on.crash();
  const content = Buffer.from(copy.content(file));
  content[at] = content[at]! ^ 0x41;
  copy.replace(file, content);
  return copy;
}

describe('a damaged log', () => {
  it('is refused at every byte before the last commit; in the last commit it counts as torn', async () => {
    const store = await open();
    for (const key of ['a', 'b', 'c']) await put(store, key);
    await store.close();
    const [file] = segments();
    const { length } = files.content(file!);
    const lastCommit = files.content(file!).lastIndexOf('okr1');
    for (let at = 0; at < length; at++) {
      const copy = flipped(files, file!, at);
      if (at < lastCommit) {
        const message = await refusal(copy);
        expect(message).toContain(`${file} `);
        expect(message).toMatch(/damaged at byte \d+|format version/);
        // Nothing was changed.
        expect(copy.content(file!)[at]).toBe(files.content(file!)[at]! ^ 0x41);
        continue;
      }
      const reopened = await open(copy);
      expect((await reopened.list('')).entries.map(({ key }) => key)).toEqual(['a', 'b']);
    }
  });

  it('says where, what is lost, and what to do', async () => {
    const store = await open();
    for (const key of ['a', 'b', 'c']) await put(store, key);
    const [file] = segments();
    const at = files.content(file!).indexOf('value of b');
    const start = files.content(file!).lastIndexOf('okr1', at);
    const message = await refusal(flipped(files, file!, at));
    expect(message).toBe(
      `${file} is damaged at byte ${start}: record 2 fails its checksum, and intact records follow it. ` +
        'Going on would lose acknowledged writes, so nothing was changed. Restore the data directory from a snapshot (orbit snapshot restore). ' +
        'What is intact in it can be saved: orbit store check says what is lost, orbit store repair goes on with the rest',
    );
  });

  it('is refused when a record stands where another belongs', async () => {
    const store = await open();
    for (const key of ['a', 'b', 'c']) await put(store, key);
    const [file] = segments();
    const content = Buffer.from(files.content(file!));
    const [first, second, third] = [...content.toString('latin1').matchAll(/okr1/g)].map(match => match.index) as [
      number,
      number,
      number,
    ];
    content.copy(content, second, first, second);
    expect(third - second).toBe(second - first);
    files.replace(file!, content);
    expect(await refusal()).toContain(`damaged at byte ${second}: record 1 stands where record 2 belongs`);
  });

  it('is refused in a segment that is not the last, also when its end is cut off', async () => {
    const store = await open();
    for (let i = 0; segments().length < 3; i++) await put(store, `k${i}`);
    const [, middle] = segments();
    const content = files.content(middle!);
    const torn = files.crash();
    torn.replace(middle!, content.subarray(0, content.lastIndexOf('okr1') + 20));
    expect(await refusal(torn)).toContain(`${middle} is damaged`);
    const cut = files.crash();
    cut.replace(middle!, content.subarray(0, content.lastIndexOf('okr1')));
    expect(await refusal(cut)).toMatch(
      /is incomplete: log-\d+\.segment begins with record \d+, but record \d+ comes next/,
    );
    const headless = flipped(files, middle!, 3);
    expect(await refusal(headless)).toContain(`${middle} is damaged at byte 0`);
  });

  it('is refused when a segment is missing', async () => {
    const store = await open();
    for (let i = 0; segments().length < 4; i++) await put(store, `k${i}`);
    const [first, second] = segments();
    const withoutSecond = files.crash();
    await withoutSecond.remove(second!);
    expect(await refusal(withoutSecond)).toContain('is incomplete');
    const withoutFirst = files.crash();
    await withoutFirst.remove(first!);
    expect(await refusal(withoutFirst)).toMatch(
      /is incomplete: log-\d+\.segment goes on from revision \d+, the state before it ends at 1/,
    );
  });

  it('of another format version is refused as such', async () => {
    const store = await open();
    await put(store, 'a');
    const [file] = segments();
    const { crc32 } = await import('node:zlib');
    const content = Buffer.from(files.content(file!));
    content.writeUInt32LE(9, 8);
    content.writeUInt32LE(crc32(content.subarray(0, 32)), 32);
    files.replace(file!, content);
    expect(await refusal()).toContain('has format version 9, this program reads version 1');
  });

  it('goes on when the creation of its first or its next segment was cut off', async () => {
    for (const content of [Buffer.alloc(0), Buffer.alloc(2048), Buffer.from('orbitlo')]) {
      const fresh = new VolatileFileSystem();
      await fresh.open(`${dir}/log-0000000000000001.segment`, { create: true, durable: false });
      fresh.replace(`${dir}/log-0000000000000001.segment`, content);
      await put(await open(fresh), 'a');
      expect((await (await open(fresh.crash())).get('a')).entry).toBeDefined();
    }
  });
});

describe('a snapshot', () => {
  async function withSnapshot(): Promise<Store> {
    const store = await open(files, { snapshotBytes: 4096, historyRevisions: 10 });
    const lease = await store.grantLease(60_000);
    await store.txn([], { type: 'put', key: 'leased', value: Buffer.from('x'), lease });
    // The segments that it replaces go a little after it has come.
    const [first] = segments();
    for (let i = 0; segments().includes(first!); i++) await put(store, `k${i % 20}`, `value ${i} `.repeat(10));
    return store;
  }

  it('holds what the log before it said, history and leases included', async () => {
    const store = await withSnapshot();
    expect(snapshots()).toHaveLength(1);
    const { compactedRevision, revision } = await store.status();
    const reopened = await open(files.crash({ names: () => true }), { historyRevisions: 10 });
    expect(await reopened.list('')).toEqual(await store.list(''));
    for (let at = compactedRevision; at <= revision; at++) {
      expect(await reopened.list('', { revision: at })).toEqual(await store.list('', { revision: at }));
    }
    await reopened.keepAlive(1n);
    expect(await reopened.grantLease(1_000)).toBe(2n);
    await reopened.revokeLease(1n);
    expect((await reopened.get('leased')).entry).toBeUndefined();
  });

  it('is refused when any byte of it is damaged, or when it is cut off', async () => {
    await withSnapshot();
    const [file] = snapshots();
    const { length } = files.content(file!);
    for (let at = 0; at < length; at += 3) {
      expect(await refusal(flipped(files, file!, at))).toMatch(
        new RegExp(`^${file} (is damaged at byte \\d+|has format version)`),
      );
    }
    for (let size = 0; size < length; size += 7) {
      const copy = files.crash();
      copy.replace(file!, files.content(file!).subarray(0, size));
      expect(await refusal(copy)).toContain(`${file} is damaged`);
    }
  });

  it('without the log after it is refused', async () => {
    await withSnapshot();
    for (const file of segments()) await files.remove(file);
    expect(await refusal()).toContain('but no log segment after it');
  });

  it('older ones, and half written ones, are removed', async () => {
    await withSnapshot();
    const [file] = snapshots();
    for (const leftover of [`${dir}/state-00000000000000000001.snapshot`, `${file}.tmp`]) {
      await files.open(leftover, { create: true, durable: false });
      files.replace(leftover, Buffer.from('old'));
    }
    await open();
    expect(snapshots()).toEqual([file]);
    expect(files.files().some(name => name.endsWith('.tmp'))).toBe(false);
  });
});

it('the log lets go of what snapshots hold: a store that is overwritten for long stays small', async () => {
  const store = await open(files, { snapshotBytes: 8192, historyRevisions: 20 });
  let largest = 0;
  for (let i = 0; i < 2_000; i++) {
    await put(store, `k${i % 10}`, String(i).repeat(20));
    largest = Math.max(largest, segments().length * 2048);
  }
  await store.close();
  expect(largest).toBeLessThan(40_000);
  expect((await (await open()).list('')).entries).toHaveLength(10);
});
