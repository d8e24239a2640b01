/**
 * Picks the address ranges of a cluster on this machine: one for services, one for pods with a /24 for each node.
 *
 * Without root both lie in 127/8, in a pair of /16 that no other cluster of this machine uses: no socket is bound in either
 * (the probe reads /proc/net, and sees those of every user), and a socket of ours is bound in them as long as they are
 * held. As root they are ordinary ranges that no route of the machine touches. The choice is written to a file, and kept
 * from then on: pods which outlived their agents have their addresses already.
 */
import { createHash, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { formatAddress, parseAddress, parseRange, rangeContains } from './address-range.js';

/** Second octets of the pods' ranges; the services' is the next. 127.0 is the machine's own (127.0.0.53 a resolver's). */
const firstOctet = 16;
const pairs = 112;

/** Where the choice is kept, and among which ranges. */
export interface NetworkRangesOptions {
  /** Where the choice is kept: in the cluster's data directory. */
  stateFile: string;
  /** Default `rootless`. */
  mode?: 'rootless' | 'root';
}

/** The ranges of one cluster, in CIDR notation, held by this process until they are released. */
export interface NetworkRanges {
  serviceCIDR: string;
  podCIDR: string;
  /** The range of the node with this index, 0 to 255. @throws RangeError beyond. */
  podCIDRFor(index: number): string;
  /** Lets others have the ranges once nothing runs in them. Twice is harmless. */
  release(): Promise<void>;
}

/** @throws Error when every range is taken, or when those of the file are held by another process. */
export async function networkRanges(options: NetworkRangesOptions): Promise<NetworkRanges> {
  const { stateFile, mode = 'rootless' } = options;
  const kept = readState(stateFile);
  if (kept && kept.mode === mode) {
    return held(kept, mode === 'rootless' ? await claim(kept.podCIDR) : undefined);
  }
  const start = createHash('sha256').update(stateFile).digest().readUInt16BE() % pairs;
  let shift = 0;
  for (let tries = 0; tries < pairs; tries += 1) {
    const state = pair(mode, (start + shift + tries) % pairs);
    if (inUse(state)) continue;
    const claimed = mode === 'rootless' ? await claim(state.podCIDR) : undefined;
    if (claimed && boundIn(state) > 1) {
      // Another cluster claimed the same at the same moment: both look elsewhere, not in the same place.
      await close(claimed);
      shift += randomInt(1, pairs);
      continue;
    }
    writeState(stateFile, state);
    return held(state, claimed);
  }
  throw new Error(
    `every address range in ${mode === 'root' ? '10.0.0.0/8' : '127.0.0.0/8'} is in use on this machine; end a cluster that is not needed`,
  );
}

interface State {
  mode: 'rootless' | 'root';
  serviceCIDR: string;
  podCIDR: string;
}

function pair(mode: State['mode'], index: number): State {
  const first = mode === 'root' ? 10 : 127;
  const second = firstOctet + 2 * index;
  return { mode, podCIDR: `${first}.${second}.0.0/16`, serviceCIDR: `${first}.${second + 1}.0.0/16` };
}

function held(state: State, claimed: Server | undefined): NetworkRanges {
  const { base } = parseRange(state.podCIDR);
  let released: Promise<void> | undefined;
  return {
    serviceCIDR: state.serviceCIDR,
    podCIDR: state.podCIDR,
    podCIDRFor(index) {
      if (!Number.isInteger(index) || index < 0 || index > 255)
        throw new RangeError(`node ${index}: a cluster has up to 256 here`);
      return `${formatAddress(base + index * 256)}/24`;
    },
    release() {
      released ??= claimed ? close(claimed) : Promise.resolve();
      return released;
    },
  };
}

function readState(path: string): State | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const { mode, serviceCIDR, podCIDR } = JSON.parse(text) as State;
  for (const cidr of [serviceCIDR, podCIDR]) parseRange(cidr);
  return { mode, serviceCIDR, podCIDR };
}

function writeState(path: string, state: State): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** A listening socket at the end of the pods' range, on a port of the kernel's choice; nobody is answered. */
function claim(podCIDR: string): Promise<Server> {
  const { base, size } = parseRange(podCIDR);
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    server.once('error', reject);
    server.listen(0, formatAddress(base + size - 2), () => {
      server.unref();
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()));
}

function inUse(state: State): boolean {
  return state.mode === 'root' ? routed(state) : boundIn(state) > 0;
}

/** How many sockets, of any user, are bound to an address in the ranges. */
function boundIn({ serviceCIDR, podCIDR }: State): number {
  const ranges = [serviceCIDR, podCIDR].map(parseRange);
  return boundAddresses().filter(address => ranges.some(range => rangeContains(range, address))).length;
}

/** Local IPv4 addresses of listening TCP and of UDP sockets in this network namespace. */
function boundAddresses(): string[] {
  const found: string[] = [];
  for (const protocol of ['tcp', 'udp']) {
    let table: string;
    try {
      table = readFileSync(`/proc/net/${protocol}`, 'utf8');
    } catch {
      continue;
    }
    for (const line of table.split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      // 0A is LISTEN; UDP sockets have no such state. Addresses are hexadecimal in the machine's byte order.
      if (local === '' || (protocol === 'tcp' && state !== '0A')) continue;
      const bytes = Buffer.from(local.slice(0, 8), 'hex').reverse();
      found.push([...bytes].join('.'));
    }
  }
  return found;
}

/** Whether a route of the machine, other than the default, leads into the ranges. */
function routed({ serviceCIDR, podCIDR }: State): boolean {
  const ranges = [serviceCIDR, podCIDR].map(parseRange);
  return readFileSync('/proc/net/route', 'utf8')
    .split('\n')
    .slice(1)
    .some(line => {
      const [, destination = '', , , , , , mask = ''] = line.split('\t');
      const [from, bits] = [destination, mask].map(text =>
        parseAddress([...Buffer.from(text, 'hex').reverse()].join('.') || '0.0.0.0'),
      );
      if (!destination || bits === 0) return false;
      const size = 2 ** 32 - bits!;
      return ranges.some(range => from! < range.base + range.size && range.base < from! + size);
    });
}
