import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeTree, resolveInside } from './safe-path.js';

let base: string;
let root: string;
let outside: string;
beforeEach(async () => {
  base = await realpath(await mkdtemp(path.join(os.tmpdir(), 'orbitkit-path-')));
  root = path.join(base, 'root');
  outside = path.join(base, 'outside');
  await mkdir(path.join(root, 'dir'), { recursive: true });
  await mkdir(outside);
  await writeFile(path.join(outside, 'secret'), 'do not touch');
  await writeFile(path.join(root, 'dir', 'file'), 'inside');
  await symlink('dir', path.join(root, 'good'));
  await symlink(outside, path.join(root, 'bad'));
  await symlink('../../outside/secret', path.join(root, 'dir', 'sly'));
  await symlink('nowhere', path.join(root, 'dangling'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

describe('resolveInside', () => {
  it.each([
    ['dir', 'dir'],
    ['dir/file', 'dir/file'],
    ['good/file', 'dir/file'],
    ['./dir//file', 'dir/file'],
    ['new/deep', 'new/deep'],
  ])('%s is %s', async (relative, expected) => {
    expect(await resolveInside(root, relative, 'mount', true)).toBe(path.join(root, expected));
  });

  it.each([
    ['../outside', 'without ".." parts'],
    ['dir/../../outside', 'without ".." parts'],
    ['/etc', 'must be relative'],
    ['bad', 'leads out of the volume'],
    ['bad/secret', 'leads out of the volume'],
    ['bad/new', 'leads out of the volume'],
    ['dir/sly', 'leads out of the volume'],
    ['dangling', 'leads through a link to nothing'],
    ['dangling/x', 'leads through a link to nothing'],
  ])('%s is refused: %s', async (relative, message) => {
    await expect(resolveInside(root, relative, 'mount', true)).rejects.toThrow(message);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  it('makes nothing when it must not', async () => {
    await expect(resolveInside(root, 'new', 'mount', false)).rejects.toThrow('does not exist in the volume');
    expect(await readdir(root)).not.toContain('new');
  });
});

describe('removeTree', () => {
  it('removes links, not what they lead to', async () => {
    await removeTree(root);
    await expect(readdir(root)).rejects.toThrow('ENOENT');
    expect(await readFile(path.join(outside, 'secret'), 'utf8')).toBe('do not touch');
  });

  it('removes a root that was replaced by a link, alone', async () => {
    const link = path.join(base, 'link');
    await symlink(outside, link);
    await removeTree(link);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  it('opens directories without permissions, and is fine with what is not there', async () => {
    await chmod(path.join(root, 'dir'), 0);
    await removeTree(root);
    await removeTree(root);
  });
});
