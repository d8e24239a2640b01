/**
 * hostPath volumes: a path of the machine, checked against the type that the pod declares. Nothing is removed with the pod.
 */

import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { corev1 } from '@orbitkit/core';
import { ConfigError } from '../env/config-error.js';

const checks: Readonly<Record<string, readonly [what: string, holds: (stats: Stats) => boolean]>> = {
  Directory: ['a directory', stats => stats.isDirectory()],
  DirectoryOrCreate: ['a directory', stats => stats.isDirectory()],
  File: ['a file', stats => stats.isFile()],
  FileOrCreate: ['a file', stats => stats.isFile()],
  Socket: ['a socket', stats => stats.isSocket()],
  CharDevice: ['a character device', stats => stats.isCharacterDevice()],
  BlockDevice: ['a block device', stats => stats.isBlockDevice()],
};

/** @throws ConfigError when the path is not what its type says. */
export async function hostPathOf(source: corev1.HostPathVolumeSource, where: string): Promise<string> {
  const { path, type = '' } = source;
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    throw new ConfigError(`${where}: hostPath ${JSON.stringify(path)} must be absolute, without ".." parts`);
  }
  if (type === '') return path;
  const check = checks[type];
  if (!check)
    throw new ConfigError(
      `${where}: hostPath type ${JSON.stringify(type)} is none of ${Object.keys(checks).join(', ')}`,
    );
  let found = await stat(path).catch(() => undefined);
  if (!found && type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  // Exclusive: never truncates what appeared in between, never follows a link that was put there.
  if (!found && type === 'FileOrCreate') await (await open(path, 'ax', 0o644)).close();
  found ??= await stat(path).catch(() => undefined);
  if (!found) throw new ConfigError(`${where}: hostPath type check failed: ${path} does not exist`);
  if (!check[1](found)) throw new ConfigError(`${where}: hostPath type check failed: ${path} is not ${check[0]}`);
  return path;
}
