/**
 * Removes the files of one container attempt that nobody can ask for any more: its log with what was rotated away, and its termination
 * message. Only inside the pod's own directory; what is not there is fine.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerStatus } from '../runtime/contract.js';
import { terminationFileOf } from './container-config.js';
import { restartCountOf } from './pod-state.js';

export async function removeContainerFiles(podDirectory: string, container: ContainerStatus): Promise<void> {
  await rm(terminationFileOf(podDirectory, container.name, restartCountOf(container)), { force: true });
  const { dir, base } = path.parse(container.logPath);
  if (base === '' || !dir.startsWith(`${podDirectory}${path.sep}`)) return;
  // `1.log`, `1.log.1`, `1.log.20260101-000000`; never `10.log`.
  const names = (await readdir(dir).catch(() => [])).filter(name => name === base || name.startsWith(`${base}.`));
  for (const name of names) await rm(path.join(dir, name), { force: true });
}
