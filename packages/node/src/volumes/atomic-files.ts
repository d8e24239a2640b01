/**
 * Files that change all at once: a reader sees the old set or the new one, never a mixture.
 *
 *     volume/
 *       ..2026_01_02_a1b2c3/app.conf     the bytes
 *       ..data -> ..2026_01_02_a1b2c3    swapped by one rename
 *       app.conf -> ..data/app.conf
 *
 * What is unchanged is not written. A crash at any step leaves a set that was complete; the next write removes what is left over.
 * Layout and steps: kubernetes `pkg/volume/util/atomic_writer.go`.
 */
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import type { Payload } from './payload.js';

const dataLink = '..data';
const newDataLink = '..data_tmp';

/** @returns whether anything changed. */
export async function writeAtomically(directory: string, payload: Payload, group?: number): Promise<boolean> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const current = await readlink(path.join(directory, dataLink)).catch(() => undefined);
  if (current !== undefined && (await isSame(path.join(directory, current), payload))) {
    await linkTopLevel(directory, payload);
    return false;
  }
  const next = `..${new Date().toISOString().slice(0, 10).replaceAll('-', '_')}_${randomBytes(6).toString('hex')}`;
  await mkdir(path.join(directory, next), { mode: 0o755 });
  for (const [name, { data, mode }] of payload) {
    const file = path.join(directory, next, name);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, data, { flag: 'wx', mode });
    // The mode given to open is cut by the umask.
    await chmod(file, group === undefined ? mode : mode | 0o040);
    if (group !== undefined) await chown(file, -1, group);
  }
  await rm(path.join(directory, newDataLink), { force: true });
  await symlink(next, path.join(directory, newDataLink));
  await rename(path.join(directory, newDataLink), path.join(directory, dataLink));
  await linkTopLevel(directory, payload);
  await removeStale(directory, next, payload);
  return true;
}

const topOf = (name: string): string => name.split('/')[0]!;

async function linkTopLevel(directory: string, payload: Payload): Promise<void> {
  for (const top of new Set([...payload.keys()].map(topOf))) {
    const link = path.join(directory, top);
    const target = path.join(dataLink, top);
    if ((await readlink(link).catch(() => undefined)) === target) continue;
    await rm(link, { force: true, recursive: true });
    await symlink(target, link);
  }
}

async function removeStale(directory: string, current: string, payload: Payload): Promise<void> {
  const kept = new Set([dataLink, current, ...[...payload.keys()].map(topOf)]);
  for (const name of await readdir(directory)) {
    if (kept.has(name)) continue;
    const entry = path.join(directory, name);
    const info = await lstat(entry).catch(() => undefined);
    if (info?.isDirectory()) await rm(entry, { recursive: true, force: true });
    else await unlink(entry).catch(() => {});
  }
}

async function isSame(directory: string, payload: Payload): Promise<boolean> {
  const files = await filesUnder(directory, '');
  if (files === undefined || files.length !== payload.size) return false;
  for (const name of files) {
    const wanted = payload.get(name);
    if (!wanted) return false;
    const file = path.join(directory, name);
    const [bytes, info] = await Promise.all([readFile(file).catch(() => undefined), lstat(file)]);
    if (!bytes?.equals(wanted.data) || (info.mode & 0o737) !== (wanted.mode & 0o737)) return false;
  }
  return true;
}

async function filesUnder(directory: string, prefix: string): Promise<string[] | undefined> {
  try {
    const result: string[] = [];
    for (const entry of await readdir(path.join(directory, prefix), { withFileTypes: true })) {
      const name = prefix ? `${prefix}/${entry.name}` : entry.name;
      if (entry.isDirectory()) result.push(...((await filesUnder(directory, name)) ?? []));
      else result.push(name);
    }
    return result;
  } catch {
    return undefined;
  }
}
