/**
 * CPU and memory limits by control groups, version 1 or 2, whichever the machine has mounted and lets us write.
 *
 * One group per container under `orbitkit-<node>`. Without limits it still measures, and it finds every process of a
 * container, whatever sessions they made. Files and units: cgroup-v1 and cgroup-v2 of the kernel's admin guide. CPU shares
 * and weights from requests as kubelet computes them: shares = millis × 1024 / 1000, at least 2; weight = 1 + (shares − 2)
 * × 9999 / 262142.
 */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resources } from '../../contract.js';
import type { Usage } from './isolation.js';

const periodMicros = 100_000;
const leastQuotaMicros = 1_000;

/** Where each controller is; in version 2 all in one place. */
export interface CgroupMounts {
  version: 1 | 2;
  cpu?: string;
  cpuacct?: string;
  memory?: string;
}

/** Undefined entries are controllers that are not mounted or cannot be written. */
export function findCgroups(mountsText: string = readFileSync('/proc/mounts', 'utf8')): CgroupMounts {
  const found: CgroupMounts = { version: 1 };
  let unified: string | undefined;
  for (const line of mountsText.split('\n')) {
    const [, path = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') unified = path;
    if (type !== 'cgroup' || !writable(path)) continue;
    for (const controller of ['cpu', 'cpuacct', 'memory'] as const) {
      if (options.split(',').includes(controller)) found[controller] = path;
    }
  }
  if (found.cpu || found.memory || !unified || !writable(unified)) return found;
  const controllers = enableControllers(unified);
  return {
    version: 2,
    ...(controllers.includes('cpu') ? { cpu: unified, cpuacct: unified } : {}),
    ...(controllers.includes('memory') ? { memory: unified } : {}),
  };
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Lets children of the root group have the controllers; gives those that they then have. */
function enableControllers(root: string): string[] {
  const control = join(root, 'cgroup.subtree_control');
  for (const controller of ['cpu', 'memory']) {
    try {
      writeFileSync(control, `+${controller}`);
    } catch {
      // Not available here, or the group has processes of its own: it stays absent.
    }
  }
  try {
    return readFileSync(control, 'utf8').trim().split(/\s+/);
  } catch {
    return [];
  }
}

export interface Cgroups {
  readonly hasCpu: boolean;
  readonly hasMemory: boolean;
  create(id: string, resources: Resources): void;
  /** Files to which a process writes its pid to join. */
  joinFiles(id: string): string[];
  pids(id: string): number[];
  usage(id: string): Partial<Usage>;
  outOfMemoryKills(id: string): number;
  remove(id: string): void;
  ids(): string[];
  /** Removes the node's own group, once its containers are gone. */
  removeAll(): void;
}

export function cgroups(mounts: CgroupMounts, node: string): Cgroups {
  const parent = `orbitkit-${node}`;
  const roots = [...new Set([mounts.cpu, mounts.cpuacct, mounts.memory].filter(root => root !== undefined))];
  const groupOf = (root: string, id: string) => join(root, parent, id);
  const read = (root: string, id: string, file: string) => {
    try {
      return readFileSync(join(groupOf(root, id), file), 'utf8');
    } catch {
      return '';
    }
  };
  const line = (text: string, key: string) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);

  function limits({
    cpuLimitMillis,
    cpuRequestMillis,
    memoryLimitBytes,
  }: Resources): [string | undefined, string, string][] {
    const files: [string | undefined, string, string][] = [];
    if (cpuLimitMillis) {
      const quota = Math.max(leastQuotaMicros, Math.round((cpuLimitMillis * periodMicros) / 1_000));
      if (mounts.version === 2) files.push([mounts.cpu, 'cpu.max', `${quota} ${periodMicros}`]);
      else
        files.push([mounts.cpu, 'cpu.cfs_period_us', `${periodMicros}`], [mounts.cpu, 'cpu.cfs_quota_us', `${quota}`]);
    }
    if (cpuRequestMillis) {
      const shares = Math.max(2, Math.floor((cpuRequestMillis * 1_024) / 1_000));
      if (mounts.version === 2) {
        files.push([mounts.cpu, 'cpu.weight', `${Math.min(10_000, 1 + Math.floor(((shares - 2) * 9_999) / 262_142))}`]);
      } else files.push([mounts.cpu, 'cpu.shares', `${Math.min(262_144, shares)}`]);
    }
    if (memoryLimitBytes) {
      const file = mounts.version === 2 ? 'memory.max' : 'memory.limit_in_bytes';
      files.push([mounts.memory, file, `${memoryLimitBytes}`]);
    }
    return files;
  }

  /** A limit is a limit on memory, not on memory before swapping. Not every kernel counts swap. */
  function limitSwap(id: string, bytes: number): void {
    const [file, value] = mounts.version === 2 ? ['memory.swap.max', 0] : ['memory.memsw.limit_in_bytes', bytes];
    try {
      writeFileSync(join(groupOf(mounts.memory!, id), file), `${value}`);
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  function removeGroup(path: string): void {
    try {
      rmdirSync(path);
    } catch (error) {
      if (!['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  return {
    hasCpu: mounts.cpu !== undefined,
    hasMemory: mounts.memory !== undefined,
    create(id, resources) {
      for (const root of roots) {
        mkdirSync(join(root, parent), { recursive: true });
        if (mounts.version === 2) enableControllers(join(root, parent));
        mkdirSync(groupOf(root, id), { recursive: true });
      }
      for (const [root, file, value] of limits(resources)) {
        if (root) writeFileSync(join(groupOf(root, id), file), value);
      }
      if (mounts.memory && resources.memoryLimitBytes) limitSwap(id, resources.memoryLimitBytes);
    },
    joinFiles: id => roots.map(root => join(groupOf(root, id), 'cgroup.procs')),
    pids(id) {
      const root = roots[0];
      return root ? read(root, id, 'cgroup.procs').split('\n').filter(Boolean).map(Number) : [];
    },
    usage(id) {
      const usage: Partial<Usage> = {};
      if (mounts.cpuacct) {
        usage.cpuNanos =
          mounts.version === 2
            ? line(read(mounts.cpuacct, id, 'cpu.stat'), 'usage_usec') * 1_000
            : Number(read(mounts.cpuacct, id, 'cpuacct.usage'));
      }
      if (mounts.memory) {
        const v2 = mounts.version === 2;
        const total = Number(read(mounts.memory, id, v2 ? 'memory.current' : 'memory.usage_in_bytes'));
        const idle = line(read(mounts.memory, id, 'memory.stat'), v2 ? 'inactive_file' : 'total_inactive_file');
        usage.memoryBytes = Math.max(0, total - idle);
      }
      return usage;
    },
    outOfMemoryKills(id) {
      if (!mounts.memory) return 0;
      return line(read(mounts.memory, id, mounts.version === 2 ? 'memory.events' : 'memory.oom_control'), 'oom_kill');
    },
    remove(id) {
      for (const root of roots) removeGroup(groupOf(root, id));
    },
    ids() {
      const found = new Set<string>();
      for (const root of roots) {
        try {
          for (const entry of readdirSync(join(root, parent), { withFileTypes: true })) {
            if (entry.isDirectory()) found.add(entry.name);
          }
        } catch {
          // No group of ours yet.
        }
      }
      return [...found];
    },
    removeAll() {
      for (const root of roots) removeGroup(join(root, parent));
    },
  };
}
