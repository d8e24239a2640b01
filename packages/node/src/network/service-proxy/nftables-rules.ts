/**
 * The nftables rules for services, as data, and the transaction from one state to the next.
 *
 * Per service port one chain that gives new connections to its endpoints in turn (`numgen inc`). With ClientIP affinity each
 * endpoint has a set of the clients that it had last, with a timeout, and a chain that adds to it; those sets are not
 * touched when the rules change. A map from (address, protocol, port) leads to the chains, so that the cost of a packet
 * does not grow with the number of services. The shape follows kube-proxy's nftables mode (KEP-3866); names and text are
 * ours.
 *
 * A port without endpoints refuses, and so does every address of the service range that no service has.
 */
import { createHash } from 'node:crypto';
import type { ServicePort } from './service-port.js';

export interface Ruleset {
  /** Declarations by name: `type ipv4_addr; flags dynamic,timeout; timeout 10s;` */
  sets: ReadonlyMap<string, string>;
  /** Rules by chain. */
  chains: ReadonlyMap<string, readonly string[]>;
  /** Elements of the fixed maps and sets. */
  elements: ReadonlyMap<string, readonly string[]>;
}

export interface RulesetOptions {
  /** Addresses in it that no service has refuse. */
  serviceCIDR?: string;
  /** Addresses that services had: they refuse, instead of leading to who knows where. */
  retired?: readonly string[];
  /** Hides every client behind the node: for pod networks where an answer can pass the node by. */
  masqueradeAll?: boolean;
}

/** Marks connections to node ports, whose answers must come back through this node. kube-proxy's default bit. */
const masqueradeMark = '0x4000';

const digits = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);

export function rulesetFor(ports: readonly ServicePort[], options: RulesetOptions = {}): Ruleset {
  const sets = new Map<string, string>();
  const chains = new Map<string, readonly string[]>();
  const services = new Map<string, string>();
  const nodePorts = new Map<string, string>();
  const refused = new Set<string>();
  const hairpins = new Set<string>();

  for (const port of ports) {
    const protocol = port.protocol.toLowerCase();
    const at = `${port.clusterIP} . ${protocol} . ${port.port}`;
    if (services.has(at) || refused.has(at)) continue;
    if (port.endpoints.length === 0) {
      refused.add(at);
      continue;
    }
    const chain = `service-${digits(port.key)}`;
    services.set(at, chain);
    if (port.nodePort) nodePorts.set(`${protocol} . ${port.nodePort}`, chain);
    for (const { ip } of port.endpoints) hairpins.add(`${ip} . ${ip}`);
    if (port.affinitySeconds === undefined) {
      chains.set(chain, [
        `meta l4proto ${protocol} dnat to ${inTurn(port, ({ ip, port }) => `${ip} . ${port}`, 'map')}`,
      ]);
      continue;
    }
    const named = port.endpoints.map(endpoint => ({
      ...endpoint,
      id: digits(`${port.key} ${endpoint.ip}:${endpoint.port}`),
    }));
    for (const { ip, port: target, id } of named) {
      sets.set(`clients-${id}`, `type ipv4_addr; flags dynamic,timeout; timeout ${port.affinitySeconds}s; size 65535;`);
      chains.set(`endpoint-${id}`, [
        `update @clients-${id} { ip saddr }`,
        `meta l4proto ${protocol} dnat to ${ip}:${target}`,
      ]);
    }
    chains.set(chain, [
      ...named.map(({ id }) => `ip saddr @clients-${id} goto endpoint-${id}`),
      inTurn({ endpoints: named }, ({ id }) => `goto endpoint-${id}`, 'vmap'),
    ]);
  }
  const refuse = [
    'ip daddr . meta l4proto . th dport @refused reject',
    ...(options.retired?.length ? [`ip daddr { ${options.retired.join(', ')} } reject`] : []),
    ...(options.serviceCIDR ? [`ip daddr ${options.serviceCIDR} meta l4proto { tcp, udp } reject`] : []),
  ];
  chains.set('refuse', refuse);
  chains.set('hide', [
    `meta mark & ${masqueradeMark} != 0 masquerade`,
    // Only what was led here: a server on the loopback may be an endpoint, and is also called directly.
    'ct status dnat ip saddr . ip daddr @hairpins masquerade',
    ...(options.masqueradeAll ? ['ct status dnat masquerade'] : []),
  ]);
  return {
    sets,
    chains,
    elements: new Map([
      ['services', [...services].map(([at, chain]) => `${at} : goto ${chain}`)],
      ['node-ports', [...nodePorts].map(([at, chain]) => `${at} : goto ${chain}`)],
      ['refused', [...refused]],
      ['hairpins', [...hairpins]],
    ]),
  };
}

function inTurn<E>(port: { endpoints: readonly E[] }, text: (endpoint: E) => string, map: 'map' | 'vmap'): string {
  const entries = port.endpoints.map((endpoint, index) => `${index} : ${text(endpoint)}`);
  return `numgen inc mod ${port.endpoints.length} ${map} { ${entries.join(', ')} }`;
}

/** Everything that stays: hooks, maps, and the chains that jump. */
function frame(table: string): string {
  return `table ip ${table} {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  set refused { type ipv4_addr . inet_proto . inet_service; }
  set hairpins { type ipv4_addr . ipv4_addr; }
  chain refuse {}
  chain hide {}
  chain dispatch {
    ip daddr . meta l4proto . th dport vmap @services
    ip daddr != 127.0.0.0/8 fib daddr type local meta mark set meta mark | ${masqueradeMark} meta l4proto . th dport vmap @node-ports
  }
  chain arriving { type nat hook prerouting priority dstnat; policy accept; jump dispatch; }
  chain leaving { type nat hook output priority -100; policy accept; jump dispatch; }
  chain left { type nat hook postrouting priority srcnat; policy accept; jump hide; }
  chain passing { type filter hook forward priority filter; policy accept; ct state new jump refuse; }
  chain sending { type filter hook output priority filter; policy accept; ct state new jump refuse; }
}
`;
}

export function removal(table: string): string {
  // Declared first, so that deleting it works whether it was there or not.
  return `table ip ${table} {}\ndelete table ip ${table}\n`;
}

/** The commands for `nft -f -`, one transaction: from nothing when there is no `before`. Empty when nothing changes. */
export function transaction(table: string, before: Ruleset | undefined, after: Ruleset): string {
  const lines: string[] = [];
  const old = before ?? { sets: new Map(), chains: new Map(), elements: new Map() };
  for (const [name, declaration] of after.sets) {
    if (old.sets.get(name) === declaration) continue;
    // A changed timeout makes another set: its members would keep the old one.
    if (old.sets.has(name)) lines.push(`flush set ip ${table} ${name}`);
    else lines.push(`add set ip ${table} ${name} { ${declaration} }`);
  }
  const changed = [...after.chains].filter(([name, rules]) => !sameLines(old.chains.get(name), rules));
  const goneChains = [...old.chains.keys()].filter(name => !after.chains.has(name));
  const goneSets = [...old.sets.keys()].filter(name => !after.sets.has(name));
  for (const [name] of changed) if (!old.chains.has(name)) lines.push(`add chain ip ${table} ${name}`);
  for (const [name, rules] of changed) {
    lines.push(`flush chain ip ${table} ${name}`);
    for (const rule of rules) lines.push(`add rule ip ${table} ${name} ${rule}`);
  }
  for (const [name, elements] of after.elements) {
    if (sameLines(old.elements.get(name), elements)) continue;
    lines.push(`flush ${name === 'services' || name === 'node-ports' ? 'map' : 'set'} ip ${table} ${name}`);
    if (elements.length > 0) lines.push(`add element ip ${table} ${name} { ${elements.join(', ')} }`);
  }
  for (const name of goneChains) lines.push(`flush chain ip ${table} ${name}`);
  for (const name of goneChains) lines.push(`delete chain ip ${table} ${name}`);
  for (const name of goneSets) lines.push(`delete set ip ${table} ${name}`);
  if (before && lines.length === 0) return '';
  return `${before ? '' : removal(table) + frame(table)}${lines.join('\n')}\n`;
}

function sameLines(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return one !== undefined && one.length === other.length && one.every((line, index) => line === other[index]);
}
