/**
 * A network for the pods of one node, as root: a network namespace per pod, joined to the machine by a pair of devices.
 *
 * The machine routes: a pod has its address alone (/32) and reaches everything, its neighbours too, through the first address
 * of the node's range, which every pod's device on the machine has; the machine has a route to each pod. There is no
 * bridge, so that all traffic passes the machine's routing and a service's address translation is seen in both
 * directions, also by a pod that reaches itself. Nodes on one machine reach each other in the same way. Forwarding is
 * switched on per device.
 *
 * Traffic to the outside is masqueraded where nftables is there; without it pods reach the machine and each other only.
 *
 * Names: namespace `orbit-<node>-<sandbox>`, device `orb<end of sandbox>`, nftables table `orbit_<node>`, where <node> is
 * eight hex digits of the data directory. They are all that must be looked for to see that nothing was left.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AddressAllocator,
  addressAllocator,
  formatAddress,
  isLoopback,
  parseRange,
} from '../../../network/address-range.js';
import { CommandError, runCommand } from '../../../network/command.js';
import { networkDevices } from '../../../network/network-devices.js';
import { RuntimeError } from '../../contract.js';
import { letThrough, letThroughNoMore } from './machine-forwarding.js';

const namespaces = '/run/netns';
const devicePrefix = 'orb';

export interface PodNetwork {
  namespacePath(sandboxId: string): string;
  add(sandboxId: string, podCIDR: string | undefined, sysctls: Readonly<Record<string, string>>): Promise<string>;
  adopt(sandboxId: string, podCIDR: string | undefined, ip: string): boolean;
  remove(sandboxId: string, ip: string | undefined): Promise<void>;
  sandboxIds(): string[];
  teardown(): Promise<void>;
}

export function podNetwork(node: string, defaultCIDR: string): PodNetwork {
  const table = `orbit_${node}`;
  const prefix = `orbit-${node}-`;
  const allocators = new Map<string, AddressAllocator>();
  let prepared: Promise<void> | undefined;

  function allocatorOf(podCIDR: string = defaultCIDR): AddressAllocator {
    const range = parseRange(podCIDR);
    if (isLoopback(range.cidr)) {
      throw new RuntimeError(
        'InvalidConfig',
        `pod range ${podCIDR}: as root, pods have network namespaces, which 127.0.0.0/8 cannot reach; choose another range`,
      );
    }
    const known = allocators.get(range.cidr);
    if (known) return known;
    const made = addressAllocator(range);
    allocators.set(range.cidr, made);
    prepared = undefined;
    return made;
  }

  const batch = (lines: readonly string[], ...args: string[]) =>
    runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });

  function setting(device: string, name: string, value: string): void {
    writeFileSync(`/proc/sys/net/ipv4/conf/${device}/${name}`, value);
  }

  /** Masquerading for all ranges so far. */
  async function prepare(): Promise<void> {
    await letThrough(`${devicePrefix}+`);
    // Deleting first needs the table to be there: declaring it empty makes both work in one transaction.
    const rules = `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr { ${[...allocators.keys()].join(', ')} } oifname != "${devicePrefix}*" fib daddr type unicast masquerade
  }
}
`;
    await runCommand('nft', ['-f', '-'], { input: rules }).catch(error => {
      if (!(error instanceof CommandError && error.missing)) throw error;
    });
  }

  async function removeNamespace(name: string): Promise<void> {
    try {
      await runCommand('ip', ['netns', 'delete', name]);
    } catch (error) {
      if (existsSync(join(namespaces, name))) throw error;
    }
  }

  const network: PodNetwork = {
    namespacePath: sandboxId => join(namespaces, prefix + sandboxId),
    async add(sandboxId, podCIDR, sysctls) {
      const allocator = allocatorOf(podCIDR);
      const gateway = formatAddress(allocator.range.base + 1);
      const ip = allocator.take();
      const name = prefix + sandboxId;
      const outside = devicePrefix + sandboxId.slice(-12);
      try {
        prepared ??= prepare();
        await prepared;
        await runCommand('ip', ['netns', 'add', name]);
        await batch([
          `link add ${outside} type veth peer name eth0 netns ${name}`,
          `addr add ${gateway}/32 dev ${outside}`,
          `link set ${outside} up`,
          `route add ${ip}/32 dev ${outside}`,
        ]);
        setting(outside, 'forwarding', '1');
        setting(outside, 'send_redirects', '0');
        await batch(
          [
            'link set lo up',
            `addr add ${ip}/32 dev eth0`,
            'link set eth0 up',
            `route add ${gateway} dev eth0 scope link`,
            `route add default via ${gateway}`,
          ],
          '-n',
          name,
        );
        for (const [key, value] of Object.entries(sysctls)) {
          await runCommand('nsenter', [`--net=${join(namespaces, name)}`, 'sysctl', '-q', '-w', `${key}=${value}`]);
        }
      } catch (error) {
        prepared = undefined;
        await network.remove(sandboxId, ip);
        throw new RuntimeError('Unavailable', `the pod's network could not be made: ${(error as Error).message}`, {
          cause: error,
        });
      }
      return ip;
    },
    adopt(sandboxId, podCIDR, ip) {
      if (!existsSync(join(namespaces, prefix + sandboxId))) return false;
      allocatorOf(podCIDR).reserve(ip);
      return true;
    },
    async remove(sandboxId, ip) {
      await removeNamespace(prefix + sandboxId);
      // Its device goes with the namespace, a moment later; the address may be given again at once.
      const outside = devicePrefix + sandboxId.slice(-12);
      if (networkDevices().includes(outside)) {
        await runCommand('ip', ['link', 'delete', outside]).catch(error => {
          if (networkDevices().includes(outside)) throw error;
        });
      }
      if (ip) for (const allocator of allocators.values()) allocator.release(ip);
    },
    sandboxIds() {
      if (!existsSync(namespaces)) return [];
      return readdirSync(namespaces)
        .filter(name => name.startsWith(prefix))
        .map(name => name.slice(prefix.length));
    },
    async teardown() {
      prepared = undefined;
      for (const id of network.sandboxIds()) await network.remove(id, undefined);
      await runCommand('nft', ['-f', '-'], { input: `table ip ${table} {}\ndelete table ip ${table}\n` }).catch(
        error => {
          if (!(error instanceof CommandError && error.missing)) throw error;
        },
      );
      const othersHavePods = networkDevices().some(name => name.startsWith(devicePrefix));
      if (!othersHavePods) await letThroughNoMore(`${devicePrefix}+`);
    },
  };
  return network;
}
