/**
 * What the helper knows, on disk, so that the next helper can go on where this one was killed.
 *
 * One JSON file per sandbox and per container, replaced as a whole by a rename. They are not synced: they need to survive
 * the helper, not the machine, whose end is the end of the containers too (the boot id tells).
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerStatus, Sandbox, SandboxConfig } from '../../contract.js';
import type { ProcessIdentity } from '../process-table.js';
import type { ContainerSpec } from '../protocol.js';

export interface SandboxRecord {
  boot: string;
  config: SandboxConfig;
  status: Sandbox;
}

export interface ContainerRecord {
  boot: string;
  spec: ContainerSpec;
  status: ContainerStatus;
  /** On disk a container that is `starting` is still `created`: a helper that finds it looks for the process by its mark. */
  phase: 'created' | 'starting' | 'running' | 'exited';
  process?: ProcessIdentity;
}

export interface Records {
  saveSandbox(record: SandboxRecord): void;
  saveContainer(record: ContainerRecord): void;
  removeSandbox(id: string): void;
  removeContainer(id: string): void;
  loadSandboxes(): SandboxRecord[];
  loadContainers(): ContainerRecord[];
}

export function records(directory: string): Records {
  const sandboxes = join(directory, 'sandboxes');
  const containers = join(directory, 'containers');
  for (const path of [sandboxes, containers]) mkdirSync(path, { recursive: true, mode: 0o700 });

  function save(folder: string, id: string, record: object): void {
    const path = join(folder, `${id}.json`);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  function load<T>(folder: string): T[] {
    const found: T[] = [];
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      // Half a replacement: its original is still there.
      if (name.endsWith('.new')) rmSync(path);
      else found.push(JSON.parse(readFileSync(path, 'utf8')) as T);
    }
    return found;
  }

  return {
    saveSandbox: record => save(sandboxes, record.status.id, record),
    saveContainer: record => save(containers, record.status.id, record),
    removeSandbox: id => rmSync(join(sandboxes, `${id}.json`), { force: true }),
    removeContainer: id => rmSync(join(containers, `${id}.json`), { force: true }),
    loadSandboxes: () => load(sandboxes),
    loadContainers: () => load(containers),
  };
}
