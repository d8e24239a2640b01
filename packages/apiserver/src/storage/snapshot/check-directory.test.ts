import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { isStoreUnavailable, type Store } from '../contract.js';
import { embeddedStore } from '../embedded.js';
import { VolatileFileSystem } from '../log/testing/volatile-file-system.js';
import { checkDirectory, loadSnapshot, repairDirectory, salvageDirectory, saveSnapshot } from './index.js';

const dir = '/data';
let files: VolatileFileSystem;
beforeEach(() => {
  files = new VolatileFileSystem();
});
const open = (fileSystem: VolatileFileSystem): Promise<Store> =>
  embeddedStore({ dir, fileSystem, segmentBytes: 2_048, snapshotBytes: 6_000, historyRevisions: 10 })();
const put = (store: Store, key: string, value: string) =>
  store.txn([], { type: 'put', key, value: Buffer.from(value) });
const contents = async (store: Store) =>
  new Map((await store.list('')).entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));

function changed(file: string, change: (content: Buffer) => Buffer): VolatileFileSystem {
  const copy = files.crash({ names: () => true });
  copy.replace(file, change(Buffer.from(copy.content(file))));
  return copy;
}
const flipped = (file: string, at: number) =>
  changed(file, content => {
    content[at]! ^= 0x41;
    return content;
  });

async function filled(): Promise<{ expected: Map<string, string>; revision: bigint }> {
  const store = await open(files);
  for (let i = 0; i < 300; i++) await put(store, `k${i % 40}`, `value ${i}`);
  await store.txn([], { type: 'delete', key: 'k7' });
  const expected = await contents(store);
  const { revision } = await store.status();
  await store.close();
  return { expected, revision };
}
const own = (on = files) => on.files().filter(file => /^\/data\/[^/]+\.(segment|snapshot)$/.test(file));

describe('checking and repairing a data directory', () => {
  it('finds nothing in an intact one, and changes nothing', async () => {
    const { expected, revision } = await filled();
    const before = files.files();
    const report = { intact: true, revision, entries: expected.size, problem: undefined, findings: [] };
    expect(await checkDirectory(dir, { fileSystem: files })).toEqual(report);
    expect(await repairDirectory(dir, { fileSystem: files })).toEqual({ ...report, movedTo: undefined });
    expect(files.files()).toEqual(before);
  });

  it('is refused while a server has it open', async () => {
    const real = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-check-'));
    try {
      const store = await embeddedStore({ dir: real })();
      await expect(checkDirectory(real)).rejects.toSatisfy(isStoreUnavailable);
      await store.close();
      expect((await checkDirectory(real)).intact).toBe(true);
      await expect(checkDirectory(path.join(real, 'nothing'))).rejects.toThrow(/ENOENT/);
    } finally {
      await fs.rm(real, { recursive: true });
    }
  });

  it('saves all but what one changed byte took, wherever it is, says what that is, and the store goes on', async () => {
    const { expected, revision } = await filled();
    let damagedOnes = 0;
    for (const file of own()) {
      const { length } = files.content(file);
      for (let at = 5; at < length; at += 61) {
        const copy = flipped(file, at);
        const report = await checkDirectory(dir, { fileSystem: copy });
        // In the last commit it is a torn tail, which a server cuts off by itself; in reserved space it is nothing.
        if (report.intact) continue;
        damagedOnes++;
        expect(report.problem).toContain(file);
        expect(report.findings.length).toBeGreaterThan(0);
        for (const finding of report.findings) expect(finding).toMatch(/lost|damaged/);
        const { movedTo } = await repairDirectory(dir, { fileSystem: copy });
        expect(copy.files().some(name => name.startsWith(`${movedTo}/`))).toBe(true);
        const store = await open(copy);
        const left = await contents(store);
        if (
          /record|damaged at byte/.test(report.findings.join()) &&
          !/header/.test(report.findings.join()) &&
          !/snapshot:/.test(report.findings.join())
        ) {
          // One record of a log: one write is lost, so at most one key differs.
          const differing = [...expected].filter(([key, value]) => left.get(key) !== value);
          const risen = [...left.keys()].filter(key => !expected.has(key));
          expect(differing.length + risen.length).toBeLessThanOrEqual(1);
        }
        const { revision: now } = await put(store, 'after', 'repair');
        expect(now).toBeGreaterThan(revision + 999_999_000n);
        await store.close();
        expect((await checkDirectory(dir, { fileSystem: copy })).intact).toBe(true);
      }
    }
    expect(damagedOnes).toBeGreaterThan(30);
  });

  it('saves what stands before and after a cut, a missing file, a lost header', async () => {
    await filled();
    const segments = own().filter(file => file.endsWith('.segment'));
    const middle = segments[Math.floor(segments.length / 2)]!;
    const cut = changed(middle, content => content.subarray(0, content.length / 2));
    const missing = files.crash({ names: () => true });
    await missing.remove(middle);
    const headless = changed(middle, content => content.fill(0, 0, 20));
    for (const damaged of [cut, missing, headless]) {
      const report = await checkDirectory(dir, { fileSystem: damaged });
      expect(report.intact).toBe(false);
      expect(report.findings.join('\n')).toMatch(/lost/);
      const saved = await salvageDirectory(dir, { fileSystem: damaged });
      expect(saved.entries.length).toBeGreaterThan(30);
      await repairDirectory(dir, { fileSystem: damaged });
      const store = await open(damaged);
      expect((await contents(store)).size).toBe(saved.entries.length);
      const snapshot = await loadSnapshot(saveSnapshot(store), 'test');
      expect(snapshot.entries.map(({ key }) => key)).toEqual(saved.entries.map(({ key }) => key));
      await store.close();
    }
  });
});
