/**
 * A network for the pods of one node, as root: a network namespace per pod, joined to the node's bridge.
 *
 * The node has one bridge with the first address of its range. A pod has its address alone (/32) and reaches everything,
 * its neighbours on the same bridge too, through the bridge's address: all traffic between pods passes the host's routing,
 * so that a service's address translation is seen in both directions. Several nodes on one machine reach each other by the
 * routes that come with their bridges' addresses. Forwarding is switched on per bridge, not for the machine.
 *
 * Traffic to the outside is masqueraded where nftables is there; without it pods reach the machine and each other only. The
 * machine's default interface must then forward: it is switched on while the bridge lives, and put back.
 *
 * Names: bridge `orb-<node>`, namespace `orbit-<node>-<sandbox>`, nftables table `orbit_<node>`, where <node> is eight hex
 * digits of the data directory. They are all that must be looked for to see that nothing was left.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AddressAllocator,
  addressAllocator,
  formatAddress,
  isLoopback,
  parseRange,
} from '../../../network/address-range.js';
import { CommandError, runCommand } from '../../../network/command.js';
import { RuntimeError } from '../../contract.js';

const namespaces = '/run/netns';

export interface PodNetwork {
  namespacePath(sandboxId: string): string;
  add(sandboxId: string, podCIDR: string | undefined, sysctls: Readonly<Record<string, string>>): Promise<string>;
  adopt(sandboxId: string, podCIDR: string | undefined, ip: string): boolean;
  remove(sandboxId: string, ip: string | undefined): Promise<void>;
  sandboxIds(): string[];
  teardown(): Promise<void>;
}

export function podNetwork(node: string, defaultCIDR: string): PodNetwork {
  const bridge = `orb-${node}`;
  const table = `orbit_${node}`;
  const prefix = `orbit-${node}-`;
  const allocators = new Map<string, AddressAllocator>();
  /** Ranges whose gateway address is on the bridge, or about to be. */
  const prepared = new Map<string, Promise<void>>();

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
    return made;
  }
  const gatewayOf = ({ range }: AddressAllocator) => formatAddress(range.base + 1);

  const batch = (lines: readonly string[], ...args: string[]) =>
    runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });

  async function prepare(allocator: AddressAllocator): Promise<void> {
    const address = `${gatewayOf(allocator)}/${allocator.range.prefixLength}`;
    if (!existsSync(`/sys/class/net/${bridge}`)) {
      await runCommand('ip', ['link', 'add', bridge, 'type', 'bridge']);
    }
    await batch([`addr replace ${address} dev ${bridge}`, `link set ${bridge} up`]);
    setting(bridge, 'forwarding', '1');
    setting(bridge, 'send_redirects', '0');
    await masquerade();
  }

  function setting(device: string, name: string, value: string): void {
    writeFileSync(`/proc/sys/net/ipv4/conf/${device}/${name}`, value);
  }

  async function masquerade(): Promise<void> {
    const ranges = [...allocators.keys()].join(', ');
    // Deleting first needs the table to be there: declaring it empty makes both work in one transaction.
    const rules = `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr { ${ranges} } oifname != "orb-*" fib daddr type unicast masquerade
  }
}
`;
    try {
      await runCommand('nft', ['-f', '-'], { input: rules });
      const device = defaultDevice();
      if (device) forward(device);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
  }

  /** Remembers in the bridge's alias that it was this node which switched forwarding on. */
  function forward(device: string): void {
    const path = `/proc/sys/net/ipv4/conf/${device}/forwarding`;
    if (readFileSync(path, 'utf8').trim() === '1') return;
    writeFileSync(path, '1');
    writeFileSync(`/sys/class/net/${bridge}/ifalias`, `forwarding ${device}`);
  }

  function stopForwarding(): void {
    const path = `/sys/class/net/${bridge}/ifalias`;
    const device = existsSync(path) ? /^forwarding (\S+)$/m.exec(readFileSync(path, 'utf8'))?.[1] : undefined;
    if (!device || !existsSync(`/sys/class/net/${device}`)) return;
    const heir = readdirSync('/sys/class/net').find(name => name.startsWith('orb-') && name !== bridge);
    if (heir) writeFileSync(`/sys/class/net/${heir}/ifalias`, `forwarding ${device}`);
    else setting(device, 'forwarding', '0');
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
      const { cidr } = allocator.range;
      let ready = prepared.get(cidr);
      if (!ready) {
        ready = prepare(allocator);
        prepared.set(cidr, ready);
        ready.catch(() => prepared.delete(cidr));
      }
      await ready;
      const gateway = gatewayOf(allocator);
      const ip = allocator.take();
      const name = prefix + sandboxId;
      const outside = `ov${sandboxId.slice(-12)}`;
      try {
        await runCommand('ip', ['netns', 'add', name]);
        await batch([
          `link add ${outside} type veth peer name eth0 netns ${name}`,
          `link set ${outside} master ${bridge}`,
          `link set ${outside} up`,
        ]);
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
        await network.remove(sandboxId, ip);
        throw new RuntimeError('Unavailable', `the pod's network could not be made: ${(error as Error).message}`, {
          cause: error,
        });
      }
      return ip;
    },
    adopt(sandboxId, podCIDR, ip) {
      if (!existsSync(join(namespaces, prefix + sandboxId))) return false;
      const allocator = allocatorOf(podCIDR);
      allocator.reserve(ip);
      return true;
    },
    async remove(sandboxId, ip) {
      await removeNamespace(prefix + sandboxId);
      if (ip) for (const allocator of allocators.values()) allocator.release(ip);
    },
    sandboxIds() {
      if (!existsSync(namespaces)) return [];
      return readdirSync(namespaces)
        .filter(name => name.startsWith(prefix))
        .map(name => name.slice(prefix.length));
    },
    async teardown() {
      prepared.clear();
      for (const id of network.sandboxIds()) await network.remove(id, undefined);
      if (existsSync(`/sys/class/net/${bridge}`)) {
        stopForwarding();
        await runCommand('ip', ['link', 'delete', bridge]);
      }
      try {
        await runCommand('nft', ['-f', '-'], { input: `table ip ${table} {}\ndelete table ip ${table}\n` });
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
      }
    },
  };
  return network;
}

function defaultDevice(): string | undefined {
  const route = readFileSync('/proc/net/route', 'utf8')
    .split('\n')
    .slice(1)
    .map(line => line.split('\t'))
    .find(fields => fields[1] === '00000000' && fields[7] === '00000000');
  return route?.[0];
}
