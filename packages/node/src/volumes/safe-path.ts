/**
 * Paths that stay inside a root, whatever symbolic links a container has left there.
 *
 * `resolveInside` walks the path part by part and refuses a link that leads out; the answer has no link in it. It cannot hold the
 * path still: a container that runs as another user with write access to the volume could swap a directory for a link
 * between this check and the runtime's mount. `removeTree` never follows a link: it unlinks it.
 */
import { chmod, lstat, mkdir, readdir, realpath, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { ConfigError } from '../env/config-error.js';

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException)?.code;

const isInside = (root: string, candidate: string): boolean =>
  candidate === root || candidate.startsWith(`${root}${path.sep}`);

/**
 * The real path of `relative` under `root`; missing directories are made when `create`.
 * @throws ConfigError when it leaves the root, or is missing and must not be made.
 */
export async function resolveInside(root: string, relative: string, where: string, create: boolean): Promise<string> {
  const parts = relative.split('/').filter(part => part !== '' && part !== '.');
  if (relative.startsWith('/') || parts.includes('..')) {
    throw new ConfigError(`${where}: subPath ${JSON.stringify(relative)} must be relative, without ".." parts`);
  }
  const base = await realpath(root);
  let current = base;
  for (const part of parts) {
    const next = path.join(current, part);
    try {
      current = await realpath(next);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      const dangling = await lstat(next).then(
        () => true,
        () => false,
      );
      if (dangling)
        throw new ConfigError(`${where}: subPath ${JSON.stringify(relative)} leads through a link to nothing`);
      if (!create) throw new ConfigError(`${where}: subPath ${JSON.stringify(relative)} does not exist in the volume`);
      await mkdir(next, { mode: 0o755 }).catch(failure => {
        if (codeOf(failure) !== 'EEXIST') throw failure;
      });
      current = await realpath(next);
    }
    if (!isInside(base, current)) {
      throw new ConfigError(
        `${where}: subPath ${JSON.stringify(relative)} leads out of the volume through a symbolic link`,
      );
    }
  }
  return current;
}

/** Removes a directory and all in it; what is not there is fine. Directories without permissions are opened first. */
export async function removeTree(target: string): Promise<void> {
  const info = await lstat(target).catch(error => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (!info) return;
  if (!info.isDirectory()) return unlink(target);
  if ((info.mode & 0o700) !== 0o700) await chmod(target, 0o700);
  for (const name of await readdir(target)) await removeTree(path.join(target, name));
  await rmdir(target);
}
