import { lstat, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAtomically } from './atomic-files.js';
import type { Payload } from './payload.js';

let directory: string;
beforeEach(async () => {
  directory = path.join(await mkdtemp(path.join(os.tmpdir(), 'orbitkit-files-')), 'volume');
});
afterEach(() => rm(path.dirname(directory), { recursive: true, force: true }));

const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([name, text]) => [name, { data: Buffer.from(text), mode }]));
const read = (name: string) => readFile(path.join(directory, name), 'utf8');

describe('writeAtomically', () => {
  it('writes files behind links, with their modes whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await writeAtomically(directory, payload({ 'a.conf': 'one', 'deep/b.conf': 'two' }, 0o604));
    } finally {
      process.umask(before);
    }
    expect(await read('a.conf')).toBe('one');
    expect(await read('deep/b.conf')).toBe('two');
    expect((await stat(path.join(directory, 'a.conf'))).mode & 0o777).toBe(0o604);
    expect(await readlink(path.join(directory, 'a.conf'))).toBe('..data/a.conf');
    expect((await lstat(path.join(directory, '..data'))).isSymbolicLink()).toBe(true);
  });

  it('changes everything at once and leaves nothing behind', async () => {
    await writeAtomically(directory, payload({ a: '1', b: '1' }));
    expect(await writeAtomically(directory, payload({ a: '2', c: '2' }))).toBe(true);
    expect((await readdir(directory)).filter(name => !name.startsWith('..'))).toEqual(['a', 'c']);
    expect((await readdir(directory)).filter(name => name.startsWith('..2'))).toHaveLength(1);
    expect([await read('a'), await read('c')]).toEqual(['2', '2']);
  });

  it('writes nothing when nothing changed', async () => {
    await writeAtomically(directory, payload({ a: '1' }));
    const target = await readlink(path.join(directory, '..data'));
    expect(await writeAtomically(directory, payload({ a: '1' }))).toBe(false);
    expect(await readlink(path.join(directory, '..data'))).toBe(target);
    expect(await writeAtomically(directory, payload({ a: '1' }, 0o600))).toBe(true);
  });

  it('a reader never sees one file of the old set and one of the new', async () => {
    const set = (n: number) => payload(Object.fromEntries(['a', 'b', 'c'].map(name => [name, String(n)])));
    await writeAtomically(directory, set(0));
    let stop = false;
    const reader = (async () => {
      let rounds = 0;
      while (!stop) {
        // Held by its target, as a program does that opens the directory once.
        const data = path.join(directory, await readlink(path.join(directory, '..data')));
        try {
          const seen = await Promise.all(['a', 'b', 'c'].map(name => readFile(path.join(data, name), 'utf8')));
          expect(new Set(seen).size).toBe(1);
          rounds += 1;
        } catch (error) {
          // Replaced and removed in between.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
      return rounds;
    })();
    for (let n = 1; n <= 100; n++) await writeAtomically(directory, set(n));
    stop = true;
    expect(await reader).toBeGreaterThan(0);
  });

  it('an empty payload is an empty volume', async () => {
    await writeAtomically(directory, payload({}));
    expect((await readdir(directory)).filter(name => !name.startsWith('..'))).toEqual([]);
  });
});
