/**
 * Isolation as an ordinary user: each pod has an address of its own inside 127/8, and that is all.
 *
 * Every loopback address reaches the same machine, so a server must bind `POD_IP` to be its pod's own; one on 0.0.0.0
 * answers on every address and the second with its port fails. Volumes lie in the container's directory under their mount
 * path (`./data` for `/data`; `ORBIT_ROOT` names the directory), as links. Limits are not enforced. All of it is said by the
 * absence of the capability.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type AddressAllocator, addressAllocator, isLoopback, parseRange } from '../../../network/address-range.js';
import { mayBindLowPorts } from '../../../network/low-port.js';
import { type Capability, RuntimeError } from '../../contract.js';
import { processCensus } from './census.js';
import type { Isolation, PlacedContainer } from './isolation.js';

export function rootlessCapabilities(): Set<Capability> {
  const capabilities = new Set<Capability>(['attach', 'port-forward']);
  if (mayBindLowPorts()) capabilities.add('low-ports');
  return capabilities;
}

/** `defaultCIDR` serves sandboxes that name no range. */
export function rootlessIsolation(defaultCIDR: string): Isolation {
  const allocators = new Map<string, AddressAllocator>();
  const census = processCensus();

  function allocatorOf(cidr: string = defaultCIDR): AddressAllocator {
    const range = parseRange(cidr);
    if (!isLoopback(range.cidr)) {
      throw new RuntimeError(
        'InvalidConfig',
        `pod range ${cidr}: without root, pod addresses lie in 127.0.0.0/8; choose a range there, or run as root`,
      );
    }
    const known = allocators.get(range.cidr);
    if (known) return known;
    const made = addressAllocator(range);
    allocators.set(range.cidr, made);
    return made;
  }

  function placeVolumes({ spec, directory }: PlacedContainer): void {
    for (const { hostPath, containerPath } of spec.config.mounts) {
      const place = join(directory, normalize(`/${containerPath}`));
      if (place === join(directory, '/')) {
        throw new RuntimeError('InvalidConfig', `mount path "${containerPath}" is the root directory`);
      }
      mkdirSync(dirname(place), { recursive: true });
      rmSync(place, { force: true });
      symlinkSync(hostPath, place);
    }
  }

  return {
    mode: 'rootless',
    capabilities: rootlessCapabilities(),
    async addSandbox(_id, config) {
      if (config.sysctls && Object.keys(config.sysctls).length > 0) {
        throw new RuntimeError(
          'InvalidConfig',
          'sysctls need a network namespace, which the process runtime has as root only',
        );
      }
      if (config.hostNetwork) return {};
      try {
        return { ip: allocatorOf(config.podCIDR).take() };
      } catch (error) {
        if (error instanceof RangeError) throw new RuntimeError('Unavailable', error.message, { cause: error });
        throw error;
      }
    },
    adoptSandbox(_id, config, ip) {
      if (ip) allocatorOf(config.podCIDR).reserve(ip);
      return true;
    },
    async removeSandbox(_id, ip) {
      if (ip) for (const allocator of allocators.values()) allocator.release(ip);
    },

    prepareContainer(container) {
      const { user, privileged } = container.spec.config;
      const uid = process.getuid?.();
      if (user?.uid !== undefined && user.uid !== uid) {
        throw new RuntimeError(
          'InvalidConfig',
          `the container must run as user ${user.uid}; the process runtime runs as user ${uid} and without root cannot change it`,
        );
      }
      if (privileged) {
        throw new RuntimeError('InvalidConfig', 'a privileged container needs the process runtime to run as root');
      }
      placeVolumes(container);
    },
    launch: ({ spec, directory }) => ({ argv: spec.argv, cwd: spec.workingDir ?? directory, reports: false }),
    launchBeside: ({ spec, directory }, _pid, command) => ({
      argv: command,
      cwd: spec.workingDir ?? directory,
      reports: false,
    }),
    launchInNetwork: (_sandboxId, _config, command) => ({ argv: command, cwd: '/', reports: false }),
    async processes(containerId, pid) {
      const { marked, table } = await census();
      const found = marked.get(containerId) ?? [];
      // A program may wipe its environment; its session still tells.
      return [...found, ...table.bySession(pid).filter(info => !found.some(other => other.pid === info.pid))];
    },
    usage(_containerId, pid, table) {
      const usage = { cpuNanos: 0, memoryBytes: 0 };
      // With a terminal the program is in a session of its own below the one that was started.
      for (const session of new Set([pid, ...table.byParent(pid).map(info => info.session)])) {
        for (const info of table.bySession(session)) {
          usage.cpuNanos += info.cpuNanos;
          usage.memoryBytes += info.residentBytes;
        }
      }
      return usage;
    },
    ranOutOfMemory: () => false,
    removeContainer() {},
    async sweep() {},
    async teardown() {},
  };
}
