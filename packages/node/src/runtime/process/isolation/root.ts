/**
 * Isolation as root: a network namespace per pod, a mount namespace and a control group per container.
 *
 * A launch is a chain of `exec`s in which the pid stays: a shell joins the control groups, `nsenter` and `unshare` change
 * namespaces, a shell puts the file system together, `chroot` enters it, `setpriv` changes the user, and the program begins.
 * While the chain is under way its errors go to descriptor 3. Processes see the machine's other processes: there is no pid
 * namespace, so that SIGTERM ends a program that has no handler for it, as it does outside of a container. This separates
 * pods that behave; it is not a boundary against those that do not.
 */
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type Capability, RuntimeError, type SandboxConfig } from '../../contract.js';
import { processInfo } from '../process-table.js';
import { processCensus } from './census.js';
import { type Cgroups, cgroups, findCgroups } from './cgroup.js';
import { began, type Isolation, type Launch, type PlacedContainer } from './isolation.js';
import { mountCommands, quote, rootOf } from './mount-namespace.js';
import { podNetwork } from './pod-network.js';

export function rootCapabilities(groups: Pick<Cgroups, 'hasCpu' | 'hasMemory'>): Set<Capability> {
  const capabilities = new Set<Capability>([
    'private-localhost',
    'private-ports',
    'low-ports',
    'mount-paths',
    'attach',
    'port-forward',
  ]);
  if (groups.hasCpu) capabilities.add('cpu-limits');
  if (groups.hasMemory) capabilities.add('memory-limits');
  return capabilities;
}

/** The chain's own programs are the system's, whatever PATH the container has. */
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** From here on errors go to descriptor 3; 4 is the program's stderr. */
const reporting = `set -e\nexport PATH=${systemPath}\nexec 4>&2 2>&3`;

export function rootIsolation(node: string, stateDirectory: string, defaultCIDR: string): Isolation {
  const groups = cgroups(findCgroups(), node);
  const census = processCensus();
  const network = podNetwork(node, defaultCIDR);
  const namespaceArgs = (id: string, config: SandboxConfig) =>
    config.hostNetwork ? [] : ['nsenter', `--net=${network.namespacePath(id)}`];

  /** The last link: the program, or why it cannot be one. */
  function begin(container: PlacedContainer, command: readonly string[]): string {
    const { spec, directory } = container;
    const { config } = spec;
    const { uid, gid } = identity(config.user);
    const change: string[] = [];
    if (uid !== undefined) change.push(`--reuid=${uid}`);
    if (gid !== undefined || uid !== undefined) change.push(`--regid=${gid ?? uid}`, '--clear-groups');
    const words = command.map(quote);
    const changed = change.length > 0 ? `"$setpriv" ${change.join(' ')} -- ` : '';
    return [
      `cd ${quote(spec.workingDir ?? directory)}`,
      changed && 'setpriv=$(command -v setpriv)',
      `export PATH=${quote(spec.env['PATH'] ?? systemPath)}`,
      `command -v ${words[0]} >/dev/null || { echo ${words[0]}: no such program on this machine >&3; exit 127; }`,
      `echo ${began} >&3`,
      `exec ${changed}${words.join(' ')} 2>&4 3>&- 4>&-`,
    ]
      .filter(line => line !== '')
      .join('\n');
  }

  const joinGroups = (id: string) =>
    groups
      .joinFiles(id)
      .map(file => `echo $$ > ${quote(file)}`)
      .join('\n');
  const shell = (...lines: string[]) => ['/bin/sh', '-c', lines.filter(line => line !== '').join('\n')];
  const words = (argv: readonly string[]) => argv.map(quote).join(' ');

  return {
    mode: 'root',
    capabilities: rootCapabilities(groups),

    async addSandbox(id, config) {
      if (config.hostNetwork) return {};
      return { ip: await network.add(id, config.podCIDR, config.sysctls ?? {}) };
    },
    adoptSandbox: (id, config, ip) => config.hostNetwork || (ip !== undefined && network.adopt(id, config.podCIDR, ip)),
    async removeSandbox(id, ip) {
      await network.remove(id, ip);
    },

    prepareContainer(container) {
      const { spec, directory, id, sandbox, ip } = container;
      identity(spec.config.user);
      for (const { hostPath, containerPath } of spec.config.mounts) {
        if (!containerPath.startsWith('/') || posix.normalize(containerPath) === '/') {
          throw new RuntimeError(
            'InvalidConfig',
            `mount path "${containerPath}" of ${hostPath} must be absolute and not /`,
          );
        }
      }
      const { uid, gid } = identity(spec.config.user);
      const state = join(stateDirectory, id);
      mkdirSync(join(state, 'file-system'), { recursive: true });
      writeFileSync(join(state, 'hosts'), hosts(sandbox, ip));
      if (sandbox.dns) writeFileSync(join(state, 'resolv.conf'), resolvConf(sandbox.dns));
      groups.create(id, spec.config.resources);
      if (uid !== undefined) chownSync(directory, uid, gid ?? uid);
    },
    launch(container): Launch {
      const { id, sandboxId, sandbox, spec, directory } = container;
      const state = join(stateDirectory, id);
      const scratch = join(state, 'file-system');
      const files = [{ path: '/etc/hosts', source: join(state, 'hosts') }];
      if (sandbox.dns) files.push({ path: '/etc/resolv.conf', source: join(state, 'resolv.conf') });
      const entered = shell(
        sandbox.hostNetwork ? '' : `echo ${quote(sandbox.hostname)} > /proc/sys/kernel/hostname`,
        mountCommands({
          scratch,
          kept: [directory],
          mounts: spec.config.mounts,
          files: sandbox.hostNetwork ? [] : files,
          readOnly: spec.config.readOnlyRootFilesystem ?? false,
        }),
        `exec chroot ${quote(rootOf(scratch))} ${words(shell(`set -e\n${begin(container, spec.argv)}`))}`,
      );
      entered[2] = `set -e\n${entered[2]}`;
      const chain = [
        ...namespaceArgs(sandboxId, sandbox),
        'unshare',
        '--mount',
        ...(sandbox.hostNetwork ? [] : ['--uts']),
        '--propagation=private',
        ...entered,
      ];
      return { argv: shell(reporting, joinGroups(id), `exec ${words(chain)}`), cwd: '/', reports: true };
    },
    launchBeside(container, pid, command) {
      const enter = [
        'nsenter',
        `--target=${pid}`,
        '--mount',
        '--net',
        '--uts',
        `--root=/proc/${pid}/root`,
        `--wd=/proc/${pid}/root`,
      ];
      const inner = shell(`set -e\n${begin(container, command)}`);
      return {
        argv: shell(reporting, joinGroups(container.id), `exec ${words([...enter, ...inner])}`),
        cwd: '/',
        reports: true,
      };
    },
    launchInNetwork: (sandboxId, config, command) => ({
      argv: [...namespaceArgs(sandboxId, config), ...command],
      cwd: '/',
      reports: false,
    }),

    async processes(containerId) {
      if (!groups.hasCpu && !groups.hasMemory) return (await census()).marked.get(containerId) ?? [];
      return groups
        .pids(containerId)
        .map(processInfo)
        .filter(info => info !== undefined)
        .filter(({ state }) => state !== 'Z');
    },
    usage(containerId, pid, table) {
      const fromTable = { cpuNanos: 0, memoryBytes: 0 };
      for (const info of table.bySession(pid)) {
        fromTable.cpuNanos += info.cpuNanos;
        fromTable.memoryBytes += info.residentBytes;
      }
      return { ...fromTable, ...groups.usage(containerId) };
    },
    ranOutOfMemory: id => groups.outOfMemoryKills(id) > 0,
    removeContainer(id) {
      groups.remove(id);
      rmSync(join(stateDirectory, id), { recursive: true, force: true });
    },

    async sweep(sandboxIds, containerIds) {
      for (const id of network.sandboxIds()) if (!sandboxIds.has(id)) await network.remove(id, undefined);
      for (const id of groups.ids()) if (!containerIds.has(id)) groups.remove(id);
    },
    async teardown() {
      await network.teardown();
      // The kernel lets go of a group a moment after its last process.
      for (let waited = 0; waited < 1_000 && groups.ids().length > 0; waited += 20) {
        for (const id of groups.ids()) groups.remove(id);
        await new Promise(resolve => setTimeout(resolve, 20));
      }
      groups.removeAll();
    },
  };
}

/** Numbers for a user. @throws RuntimeError `InvalidConfig` for a name that the machine does not know. */
function identity(user: PlacedContainer['spec']['config']['user']): { uid?: number; gid?: number } {
  if (!user) return {};
  const { uid, gid, username } = user;
  if (uid !== undefined || username === undefined)
    return { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) };
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
    .find(fields => fields[0] === username);
  if (!entry)
    throw new RuntimeError('InvalidConfig', `user "${username}" is not in this machine's /etc/passwd; give a number`);
  return { uid: Number(entry[2]), gid: gid ?? Number(entry[3]) };
}

function hosts(sandbox: SandboxConfig, ip: string | undefined): string {
  return `127.0.0.1 localhost\n::1 localhost\n${ip ?? '127.0.0.1'} ${sandbox.hostname}\n`;
}

function resolvConf({ servers, searches, options }: NonNullable<SandboxConfig['dns']>): string {
  return [
    ...servers.map(server => `nameserver ${server}`),
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}
