/**
 * Whether this machine lets the process runtime isolate as root does, and if not, why not.
 *
 * Tried once per process, for real: namespaces, an overlay and a veth pair are made in throw-away namespaces.
 * Being root is not enough: in most containers the kernel refuses.
 */
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { installLine } from '../../network/command.js';
import { type Capability, RuntimeError } from '../contract.js';
import { cgroups, findCgroups } from './isolation/cgroup.js';
import { rootCapabilities } from './isolation/root.js';
import { rootlessCapabilities } from './isolation/rootless.js';

export type Mode = 'auto' | 'rootless' | 'root';

const probe = `set -e
mount -t tmpfs orbitkit ${tmpdir()}
cd ${tmpdir()}
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work orbitkit root
ip link add v0 type veth peer name v1`;

let rootProbe: string | undefined | false = false;

/** Why root isolation is not possible here; undefined when it is. */
export function whyNotRoot(): string | undefined {
  if (rootProbe === false) rootProbe = tryRoot();
  return rootProbe;
}

function tryRoot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'this process does not run as root';
  for (const program of ['ip', 'nsenter', 'setpriv', 'mount', 'chroot', 'mkfifo']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
      return `\`${program}\` is missing: ${installLine(program)}`;
  }
  const result = spawnSync('unshare', ['--mount', '--uts', '--net', '--propagation=private', 'sh', '-c', probe], {
    timeout: 10_000,
    encoding: 'utf8',
  });
  if (result.error) return `\`unshare\`: ${result.error.message}: ${installLine('unshare')}`;
  return result.status === 0 ? undefined : `the kernel does not allow it here: ${result.stderr.trim()}`;
}

export interface ChosenMode {
  mode: 'rootless' | 'root';
  capabilities: ReadonlySet<Capability>;
  /** With `auto` as root: why it is rootless nevertheless. */
  because?: string;
}

/** @throws RuntimeError `Unavailable` for mode `root` where it is not possible, with the reason. */
export function chooseMode(mode: Mode): ChosenMode {
  if (mode !== 'rootless') {
    const because = whyNotRoot();
    if (because === undefined) return { mode: 'root', capabilities: rootCapabilities(cgroups(findCgroups(), 'probe')) };
    if (mode === 'root')
      throw new RuntimeError('Unavailable', `the process runtime cannot isolate as root: ${because}`);
    return { mode: 'rootless', capabilities: rootlessCapabilities(), because };
  }
  return { mode: 'rootless', capabilities: rootlessCapabilities() };
}
