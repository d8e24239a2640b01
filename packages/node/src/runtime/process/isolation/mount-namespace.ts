/**
 * The file system that a container sees as root: the machine's, with the container's volumes at their paths.
 *
 * It is an overlay: the machine's file system below, read only, and a memory file system above, where everything that the
 * container writes outside its volumes and its own directory goes and ends with it. So mount points can be made anywhere,
 * and nothing of it is ever seen on the machine. All mounts live in a mount namespace of the container's own and vanish
 * with its last process.
 *
 * This module writes the shell commands that set it up; `root.ts` places them in the chain of a launch.
 */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import type { Mount } from '../../contract.js';

/** Kernel file systems: shown as they are. */
const shared = new Set(['proc', 'sysfs', 'devtmpfs', 'devpts', 'mqueue', 'securityfs', 'debugfs', 'tracefs', 'bpf']);
/** Not shown: other containers' roots, pinned namespaces, archives. */
const hidden = new Set(['nsfs', 'overlay', 'autofs', 'squashfs', 'cgroup', 'cgroup2', 'fuse.lxcfs']);
/** Where they are shared or not worth an overlay, whatever their type. */
const belowShared = /^\/(proc|sys|dev|run\/netns)(\/|$)/;
const mountsLimit = 64;

export interface HostMount {
  path: string;
  type: string;
}

/** The mounts below `/` that a container should see too, parents first. */
export function hostMounts(text: string = readFileSync('/proc/self/mountinfo', 'utf8')): HostMount[] {
  const found = new Map<string, HostMount>();
  for (const line of text.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const path = left.split(' ')[4];
    const type = right.split(' ')[0];
    // A path with a blank or a character that overlay's options give a meaning is written with a backslash.
    if (!path || !type || path === '/' || /[\\:,]/.test(path)) continue;
    if (hidden.has(type) || (belowShared.test(path) && !['/proc', '/sys', '/dev'].includes(path))) continue;
    found.set(path, { path, type });
  }
  return [...found.values()].sort((a, b) => a.path.length - b.path.length).slice(0, mountsLimit);
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export interface RootFileSystem {
  /** An empty directory on which it is put together. */
  scratch: string;
  /** Directories of ours that are seen as they are, at their own path. */
  kept: readonly string[];
  mounts: readonly Mount[];
  /** Files that stand in for the machine's: `/etc/resolv.conf`. */
  files: readonly { path: string; source: string }[];
  readOnly: boolean;
}

export const rootOf = (scratch: string) => `${scratch}/root`;

/** Shell commands that put it together at `rootOf(scratch)`. Any that fails ends the shell (`set -e`). */
export function mountCommands(system: RootFileSystem, machine: readonly HostMount[] = hostMounts()): string {
  const { scratch } = system;
  const root = rootOf(scratch);
  const lines: string[] = [
    `mount -t tmpfs -o mode=755 orbitkit ${quote(scratch)}`,
    `mkdir -p ${quote(root)}`,
    overlay('/', root, 'base'),
  ];
  machine.forEach(({ path, type }, index) => {
    const target = quote(root + path);
    const same = `mount --rbind ${quote(path)} ${target}`;
    if (shared.has(type)) lines.push(same);
    else
      lines.push(`[ ! -d ${quote(path)} ] || { ${overlay(path, root + path, `m${index}`)}; } 2>/dev/null || ${same}`);
  });
  for (const path of system.kept) {
    lines.push(`mkdir -p ${quote(root + path)}`, `mount --bind ${quote(path)} ${quote(root + path)}`);
  }
  for (const { path, source } of system.files) {
    if (system.mounts.some(({ containerPath }) => normal(containerPath) === path)) continue;
    // The machine's may be a link to elsewhere: what is read is what it leads to, or a new file in its place.
    lines.push(`rm -f ${quote(root + path)}`, ...place(source, root + path, false));
  }
  for (const { hostPath, containerPath, readOnly } of system.mounts) {
    lines.push(...place(hostPath, root + normal(containerPath), readOnly));
  }
  if (system.readOnly) lines.push(`mount -o remount,ro ${quote(root)}`);
  return lines.join('\n');

  function overlay(lower: string, target: string, name: string): string {
    const [upper, work] = [`${scratch}/${name}-upper`, `${scratch}/${name}-work`];
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    return `mkdir -p ${quote(upper)} ${quote(work)} && mount -t overlay -o ${quote(options)} orbitkit ${quote(target)}`;
  }
}

function normal(path: string): string {
  return posix.normalize(`/${path}`).replace(/(.)\/$/, '$1');
}

/** A directory or file of the machine at a path, which is made when it is not there. */
function place(source: string, target: string, readOnly: boolean): string[] {
  const [from, to] = [quote(source), quote(target)];
  return [
    `if [ -d ${from} ]; then mkdir -p ${to}; else mkdir -p ${quote(posix.dirname(target))}; [ -e ${to} ] || : > ${to}; fi`,
    `mount --rbind ${from} ${to}`,
    ...(readOnly ? [`mount -o remount,bind,ro ${to}`] : []),
  ];
}
