/**
 * Services as root: nftables rules that are replaced in one transaction, and routes that lead to them.
 *
 * Everything is in one table named after the cluster and the node, so that several nodes on one machine each have their own;
 * the first one's rules decide, and the next takes over when it is gone. A cluster address needs a route before the kernel
 * looks at a rule: an empty bridge of the node's has one for each (a dummy device would do, but not every kernel has them).
 * `close` removes both.
 */
import { createHash } from 'node:crypto';
import { type CommandError, runCommand } from '../command.js';
import { networkDevices } from '../network-devices.js';
import type { DataPath } from './data-path.js';
import { type Ruleset, removal, rulesetFor, transaction } from './nftables-rules.js';

export interface NftablesOptions {
  cluster: string;
  nodeName: string;
  serviceCIDR?: string;
  masqueradeAll?: boolean;
}

/** Cluster addresses that services had, and which still refuse. The oldest are forgotten. */
const retiredLimit = 1_000;

export function tableName({ cluster, nodeName }: Pick<NftablesOptions, 'cluster' | 'nodeName'>): string {
  return `orbit_${cluster.replace(/\W/g, '_').slice(0, 40)}_${digits(cluster, nodeName)}`;
}

export function deviceName({ cluster, nodeName }: Pick<NftablesOptions, 'cluster' | 'nodeName'>): string {
  return `osv-${digits(cluster, nodeName)}`;
}

function digits(cluster: string, nodeName: string): string {
  return createHash('sha256').update(`${cluster}\0${nodeName}`).digest('hex').slice(0, 8);
}

export function nftablesDataPath(options: NftablesOptions): DataPath {
  const { serviceCIDR, masqueradeAll } = options;
  const table = tableName(options);
  const device = deviceName(options);
  const retired = new Set<string>();
  let applied: Ruleset | undefined;
  let routes = new Set<string>();

  async function change(next: Ruleset): Promise<void> {
    const text = transaction(table, applied, next);
    if (text === '') return;
    try {
      await runCommand('nft', ['-f', '-'], { input: text });
    } catch (error) {
      if (!applied || (error as CommandError).missing) throw error;
      // Somebody changed our table: start it afresh.
      await runCommand('nft', ['-f', '-'], { input: transaction(table, undefined, next) });
    }
    applied = next;
  }

  async function route(addresses: ReadonlySet<string>): Promise<void> {
    const lines: string[] = [];
    if (!networkDevices().includes(device)) {
      await runCommand('ip', ['link', 'add', device, 'type', 'bridge']);
      lines.push(`link set ${device} up`);
      routes = new Set();
    }
    for (const address of addresses) if (!routes.has(address)) lines.push(`route replace ${address} dev ${device}`);
    for (const address of routes) if (!addresses.has(address)) lines.push(`route del ${address} dev ${device}`);
    if (lines.length > 0) await runCommand('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
    routes = new Set(addresses);
  }

  return {
    name: 'nftables',
    async apply(ports) {
      const served = new Set(ports.map(({ clusterIP }) => clusterIP));
      for (const { clusterIP } of ports) retired.delete(clusterIP);
      for (const address of routes) {
        const ip = address.replace(/\/32$/, '');
        if (address.endsWith('/32') && !served.has(ip)) retired.add(ip);
      }
      for (const ip of retired) {
        if (retired.size <= retiredLimit) break;
        retired.delete(ip);
      }
      const next = rulesetFor(ports, {
        retired: [...retired],
        ...(serviceCIDR ? { serviceCIDR } : {}),
        ...(masqueradeAll ? { masqueradeAll } : {}),
      });
      await change(next);
      await route(new Set([...(serviceCIDR ? [serviceCIDR] : []), ...[...served, ...retired].map(ip => `${ip}/32`)]));
      return [];
    },
    async close() {
      if (networkDevices().includes(device)) await runCommand('ip', ['link', 'delete', device]);
      try {
        await runCommand('nft', ['-f', '-'], { input: removal(table) });
      } catch (error) {
        if (!(error as CommandError).missing) throw error;
      }
      applied = undefined;
      routes = new Set();
    },
  };
}
