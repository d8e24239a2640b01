/**
 * What becomes of a cluster address that a manifest fixes (10.6.0.1) and that lies outside the service range.
 *
 * As root it is taken as it is: the service proxy gives that one address a route of its own. Without root only 127/8 can be answered, so
 * an address of the service range stands for it; the annotation `orbitkit.dev/cluster-ip-substitute`, a condition and an event of the
 * service say which. Only private addresses (RFC 1918) are taken, and none of a pod, of the machine or of a network that it is in:
 * anything else would hide a real neighbour, and is refused at `spec.clusterIPs`.
 */
import { networkInterfaces } from 'node:os';
import type { ServiceAddressPolicy } from '@orbitkit/apiserver';

interface Block {
  base: number;
  mask: number;
}

const number = (address: string): number =>
  address.split('.').reduce((sum, part) => (sum << 8) + Number(part), 0) >>> 0;

function block(cidr: string): Block {
  const [address = '', length = '32'] = cidr.split('/');
  const mask = Number(length) === 0 ? 0 : (-1 << (32 - Number(length))) >>> 0;
  return { base: (number(address) & mask) >>> 0, mask };
}

const holds = ({ base, mask }: Block, address: string): boolean => (number(address) & mask) >>> 0 === base;
const privateBlocks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map(block);

/** `neighbours`: networks that the machine is in. */
export function fixedAddresses(
  mode: 'root' | 'rootless',
  podCIDR: string,
  neighbours: () => readonly string[] = machineNetworks,
): ServiceAddressPolicy {
  const pods = block(podCIDR);
  return address => {
    if (!privateBlocks.some(each => holds(each, address)) || holds(pods, address)) return 'refuse';
    if (mode === 'rootless') return 'substitute';
    return neighbours().some(each => holds(block(each), address)) ? 'refuse' : 'accept';
  };
}

function machineNetworks(): string[] {
  return Object.values(networkInterfaces()).flatMap(each =>
    (each ?? []).flatMap(({ family, cidr }) => (family === 'IPv4' && cidr ? [cidr] : [])),
  );
}
