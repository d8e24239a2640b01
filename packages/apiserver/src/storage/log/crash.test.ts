import { describe, expect, it } from 'vitest';
import { isStoreUnavailable, type Store } from '../contract.js';
import { embeddedStore } from '../embedded.js';
import { type CrashChoice, type Operation, VolatileFileSystem } from './testing/volatile-file-system.js';
import { Witness } from './testing/witness.js';

const dir = '/data';
const open = (fileSystem: VolatileFileSystem, segmentBytes = 4096, snapshotBytes = 1 << 20): Promise<Store> =>
  embeddedStore({ dir, fileSystem, segmentBytes, snapshotBytes, historyRevisions: 40 })();

const nothing: CrashChoice = {};
const everything: CrashChoice = { change: () => 'all', names: () => true };
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

/** Opens what a crash left, checks it, and checks that it can be written and opened once more. */
async function checkCrash(files: VolatileFileSystem, witness: Witness): Promise<void> {
  const store = await open(files);
  await witness.check(store);
  const { revision } = await store.status();
  const after = await store.txn([], { type: 'put', key: 'after', value: Buffer.from('crash') });
  expect(after.revision).toBe(revision + 1n);
  // Without closing: what was acknowledged just now must be there as well.
  const again = await open(files.crash());
  expect(Buffer.from((await again.get('after')).entry!.value).toString()).toBe('crash');
  await again.txn([], { type: 'delete', key: 'after' });
  await witness.check(again);
}

/** Writers work until their last commit is on its way to the disk and stays there. */
async function withCommitInFlight(
  writers: number,
): Promise<{ files: VolatileFileSystem; witness: Witness; bytes: number; log: string }> {
  const files = new VolatileFileSystem();
  const store = await open(files);
  const witness = new Witness();
  const keys = Array.from({ length: writers }, (_, i) => `w/${i}`);
  for (let round = 0; round < 3; round++) await Promise.all(keys.map(key => witness.write(store, key)));
  let held: Operation | undefined;
  files.fate = operation => {
    if (operation.type !== 'write') return 'proceed';
    held = operation;
    return 'hang';
  };
  for (const key of keys) void witness.write(store, key);
  while (held === undefined) await turn();
  return { files, witness, bytes: held.bytes, log: held.file };
}

describe('a crash while a commit is being written', () => {
  it('cut at every byte of it: what was acknowledged is there, nothing is half there', async () => {
    const { files, witness, bytes, log } = await withCommitInFlight(8);
    expect(bytes).toBeGreaterThan(300);
    for (let cut = 0; cut <= bytes; cut++) {
      await checkCrash(files.crash({ change: file => (file === log ? [[0, cut]] : 'none') }), witness);
    }
  });

  it('with any of its sectors missing', async () => {
    const { files, witness, bytes, log } = await withCommitInFlight(40);
    const sector = 64;
    const sectors = Math.ceil(bytes / sector);
    let state = 1;
    const random = () => (state = (Math.imul(state, 48271) >>> 0) % 0x7fffffff);
    for (let run = 0; run < 300; run++) {
      const kept = Array.from(
        { length: sectors },
        (_, i) => [i * sector, Math.min(bytes, (i + 1) * sector)] as const,
      ).filter(() => random() % 3 > 0);
      await checkCrash(files.crash({ change: file => (file === log ? kept : 'none') }), witness);
    }
  });
});

describe('a crash at any operation', () => {
  const contentOnly: CrashChoice = { change: () => 'all' };
  const namesOnly: CrashChoice = { names: () => true };
  const removalsOnly: CrashChoice = { change: () => 'all', names: ({ type }) => type === 'remove' };
  const noRemovals: CrashChoice = { names: ({ type }) => type !== 'remove' };

  /** The same work each time: commits, new segments, snapshots, segments that go. */
  async function work(files: VolatileFileSystem, witness: Witness): Promise<void> {
    const store = await open(files, 700, 1500);
    for (let round = 0; round < 60; round++) {
      await Promise.all([0, 1, 2].map(writer => witness.write(store, `w/${(round + writer * 5) % 11}/${writer}`)));
      if (round % 7 === 0) await store.compact((await store.status()).revision);
    }
    await store.close();
  }

  it('keeps what was acknowledged, through segments and snapshots', async () => {
    const whole = new VolatileFileSystem();
    const operations: string[] = [];
    whole.fate = ({ type, file }) => {
      operations.push(`${type} ${file.replace(/\d+/, 'N')}`);
      return 'proceed';
    };
    const complete = new Witness();
    await work(whole, complete);
    await complete.check(await open(whole.crash()));
    // The work is worth crashing: it has begun segments, taken snapshots and removed what they replace.
    for (const kind of [
      'open /data/log-N.segment',
      'rename /data/state-N.snapshot',
      'remove /data/log-N.segment',
      'remove /data/state-N.snapshot',
    ]) {
      expect(operations.filter(operation => operation === kind).length, kind).toBeGreaterThan(1);
    }
    for (let last = 1; last < operations.length; last += 1) {
      const files = new VolatileFileSystem();
      const witness = new Witness();
      let count = 0;
      let reached: (() => void) | undefined;
      const crashed = new Promise<void>(resolve => {
        reached = resolve;
      });
      files.fate = () => {
        if (++count < last) return 'proceed';
        reached!();
        return 'hang';
      };
      void work(files, witness).then(reached, reached);
      await crashed;
      await turn();
      for (const choice of [nothing, everything, contentOnly, namesOnly, removalsOnly, noRemovals])
        await checkCrash(files.crash(choice), witness);
    }
  }, 120_000);
});

describe('a full disk', () => {
  it('refuses the writes that do not fit, wherever they are cut, and takes the next ones', async () => {
    for (let written = 0; written < 400; written += 7) {
      const files = new VolatileFileSystem();
      const store = await open(files);
      const witness = new Witness();
      const keys = ['a', 'b', 'c', 'd'];
      for (let round = 0; round < 3; round++) await Promise.all(keys.map(key => witness.write(store, key)));
      const before = await store.list('');
      let failed = false;
      files.fate = ({ type, bytes }) => {
        if (type !== 'write' || failed) return 'proceed';
        failed = true;
        return { code: 'ENOSPC', written: Math.min(written, bytes) };
      };
      const events: bigint[] = [];
      const stop = new AbortController();
      const watching = (async () => {
        for await (const batch of store.watch('', before.revision, { signal: stop.signal }))
          events.push(...batch.events.map(event => event.revision));
      })();
      const results = await Promise.allSettled(keys.map(key => witness.write(store, key)));
      for (const result of results) {
        expect(result).toMatchObject({ status: 'rejected' });
        const { reason } = result as PromiseRejectedResult;
        expect(isStoreUnavailable(reason)).toBe(true);
        expect(String(reason)).toMatch(/cannot write to the log in \/data: ENOSPC.*free space/);
      }
      for (const key of keys) witness.forget(key);
      expect(await store.list('')).toEqual(before);
      await witness.write(store, 'a');
      expect((await store.status()).revision).toBe(before.revision + 1n);
      await witness.check(store);
      await turn();
      stop.abort();
      await watching;
      expect(events.every(revision => revision > before.revision)).toBe(true);
      for (const choice of [nothing, everything]) await witness.check(await open(files.crash(choice)));
    }
  });

  it('also when a new segment finds no room, and what gathered behind the failed commit', async () => {
    const files = new VolatileFileSystem();
    const store = await open(files, 500);
    const witness = new Witness();
    for (let i = 0; i < 8; i++) await witness.write(store, `w/${i}`);
    let full = true;
    files.fate = ({ type, file }) =>
      full && type === 'truncate' && file.includes('log-') ? { code: 'ENOSPC' } : 'proceed';
    let refused = 0;
    for (let round = 0; round < 4; round++) {
      const keys = Array.from({ length: 4 }, (_, i) => `r/${round}/${i}`);
      const writes = keys.map(async (key, i) => {
        for (let t = 0; t < i; t++) await Promise.resolve();
        await witness.write(store, key);
      });
      (await Promise.allSettled(writes)).forEach((result, i) => {
        if (result.status === 'fulfilled') return;
        expect(isStoreUnavailable(result.reason)).toBe(true);
        witness.forget(keys[i]!);
        refused++;
      });
    }
    expect(refused).toBeGreaterThan(0);
    await witness.check(store);
    full = false;
    await witness.write(store, 'again');
    await witness.check(store);
    await witness.check(await open(files.crash()));
  });

  it('keeps the log when a snapshot finds no room, says so, and tries again later', async () => {
    const files = new VolatileFileSystem();
    const warnings: string[] = [];
    const log = { warn: (message: string) => warnings.push(message) };
    const store = await embeddedStore({
      dir,
      fileSystem: files,
      segmentBytes: 500,
      snapshotBytes: 2000,
      historyRevisions: 5,
      log,
    })();
    const witness = new Witness();
    let full = true;
    files.fate = ({ type, file }) =>
      full && type === 'write' && file.includes('.tmp') ? { code: 'ENOSPC' } : 'proceed';
    for (let i = 0; i < 100; i++) await witness.write(store, `w/${i % 5}`);
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings[0]).toContain('the snapshot of the store failed');
    expect(files.files().some(file => file.endsWith('.snapshot'))).toBe(false);
    await witness.check(await open(files.crash()));
    full = false;
    for (let i = 0; i < 200; i++) await witness.write(store, `w/${i % 5}`);
    await store.close();
    expect(files.files().filter(file => file.endsWith('.snapshot'))).toHaveLength(1);
    await witness.check(await open(files.crash()));
  });
});

describe('a disk that fails', () => {
  it('refuses writes from then on, still reads, and has what was acknowledged after a restart', async () => {
    const files = new VolatileFileSystem();
    const store = await open(files);
    const witness = new Witness();
    for (let i = 0; i < 10; i++) await witness.write(store, `w/${i % 3}`);
    const before = await store.list('');
    let failed = false;
    files.fate = ({ type, bytes }) => {
      if (type !== 'write' || failed) return 'proceed';
      failed = true;
      return { code: 'EIO', written: bytes >> 1 };
    };
    await expect(witness.write(store, 'w/0')).rejects.toThrow(/EIO.*Writes are refused from now on/);
    await expect(witness.write(store, 'w/1')).rejects.toSatisfy(isStoreUnavailable);
    await expect(store.grantLease(1_000)).rejects.toSatisfy(isStoreUnavailable);
    expect(await store.list('')).toEqual(before);
    await store.close();
    await witness.check(await open(files.crash({ change: () => 'all' })));
  });

  it('also when cutting off a write for which there was no room fails', async () => {
    const files = new VolatileFileSystem();
    const store = await open(files);
    const witness = new Witness();
    for (let i = 0; i < 10; i++) await witness.write(store, `w/${i % 3}`);
    files.fate = ({ type, bytes }) =>
      type === 'write' ? { code: 'ENOSPC', written: bytes >> 1 } : type === 'truncate' ? { code: 'EIO' } : 'proceed';
    await expect(witness.write(store, 'w/0')).rejects.toThrow(/ENOSPC/);
    files.fate = () => 'proceed';
    await expect(witness.write(store, 'w/0')).rejects.toThrow(/did not work either.*restart/);
    await witness.check(await open(files.crash({ change: () => 'all' })));
  });
});
