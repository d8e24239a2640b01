/**
 * Services without root: a listener per service port, inside 127/8, that passes connections on to the endpoints.
 *
 * The host and every pod reach it, since all are on the one loopback device. What an ordinary user cannot have is answered
 * on a substitute: a port below 1024 on the port 8000 higher, and a cluster address outside 127/8 on the address
 * that the API server gave to stand for it, else the one of the service range with the same last two bytes (10.6.0.1 →
 * 127.23.0.1). Both are reported as deviations. Endpoints' low ports
 * are looked for on their substitute too. Node ports listen on each address of the machine.
 *
 * On loopback a client has no address of its own: ClientIP affinity then holds for all clients together.
 */
import type { Clock } from '@orbitkit/core';
import { formatAddress, isLoopback, parseAddress, parseRange } from '../address-range.js';
import { mayBindLowPorts, substitutePort } from '../low-port.js';
import { machineAddresses } from '../machine-addresses.js';
import { type RelayTarget, tcpRelay } from '../tcp-relay.js';
import { udpRelay } from '../udp-relay.js';
import { type Balancer, balancer } from './balancer.js';
import type { DataPath, Deviation } from './data-path.js';
import type { ServicePort } from './service-port.js';

export interface UserspaceOptions {
  clock: Clock;
  /** The cluster's service range inside 127/8; without it, addresses outside of 127/8 are not answered. */
  serviceCIDR?: string;
  /** Default: what this process may do. */
  lowPorts?: boolean;
  /** `cluster`: cluster addresses and node ports. `node-ports-on-loopback`: beside kernel rules, which do not reach 127/8. */
  serves?: 'cluster' | 'node-ports-on-loopback';
}

interface Place {
  address: string;
  port: number;
  protocol: 'TCP' | 'UDP';
  serviceKey: string;
}

interface Listener {
  place: Place;
  close(): Promise<void>;
}

/** The address that answers for one outside of 127/8; undefined when there is no service range to take it from. */
export function substituteAddress(clusterIP: string, serviceCIDR: string | undefined): string | undefined {
  if (isLoopback(clusterIP)) return clusterIP;
  if (!serviceCIDR || !isLoopback(serviceCIDR)) return undefined;
  const { base, size } = parseRange(serviceCIDR);
  return formatAddress(base + (parseAddress(clusterIP) % size));
}

export function userspaceDataPath(options: UserspaceOptions): DataPath {
  const { clock, serviceCIDR, lowPorts = mayBindLowPorts(), serves = 'cluster' } = options;
  const balancers = new Map<string, Balancer>();
  const listeners = new Map<string, Listener>();
  let closed = false;

  const placeKey = ({ protocol, address, port }: Place) => `${protocol} ${address}:${port}`;

  function places(port: ServicePort): { places: Place[]; deviation?: Deviation } {
    const { key, clusterIP, substitute, protocol, nodePort } = port;
    const nodePorts = (addresses: readonly string[]): Place[] =>
      nodePort ? addresses.map(address => ({ address, port: nodePort, protocol, serviceKey: key })) : [];
    if (serves === 'node-ports-on-loopback') return { places: nodePorts(['127.0.0.1']) };
    const address = substitute && isLoopback(substitute) ? substitute : substituteAddress(clusterIP, serviceCIDR);
    const others = nodePorts(machineAddresses());
    if (!address) {
      return {
        places: others,
        deviation: {
          key,
          reason: 'Unavailable',
          message: `${clusterIP} is outside of 127.0.0.0/8, which is all that can be answered without root; leave clusterIP empty, or run as root`,
        },
      };
    }
    const place: Place = { address, port: substitutePort(port.port, lowPorts), protocol, serviceKey: key };
    if (address === clusterIP && place.port === port.port) return { places: [place, ...others] };
    return {
      places: [place, ...others],
      deviation: {
        key,
        reason: 'SubstituteAddress',
        message: `${clusterIP}:${port.port} answers on ${address}:${place.port}, since this node runs without root`,
      },
    };
  }

  function targets(serviceKey: string, clientIP: string): RelayTarget[] {
    const endpoints = balancers.get(serviceKey)?.pick(clientIP, clock.now()) ?? [];
    return endpoints.map(({ ip, port }) => ({
      host: ip,
      port: isLoopback(ip) ? substitutePort(port, lowPorts) : port,
    }));
  }

  async function listen(place: Place): Promise<Listener> {
    const { address, port, protocol, serviceKey } = place;
    const relay =
      protocol === 'TCP'
        ? await tcpRelay(address, port, client => targets(serviceKey, client.remoteAddress ?? ''))
        : await udpRelay(address, port, client => targets(serviceKey, client.address)[0], clock);
    return { place, close: () => relay.close() };
  }

  async function stop(key: string): Promise<void> {
    const listener = listeners.get(key);
    listeners.delete(key);
    await listener?.close();
  }

  return {
    name: 'userspace',
    async apply(ports) {
      const deviations: Deviation[] = [];
      const wanted = new Map<string, Place>();
      for (const port of ports) {
        let known = balancers.get(port.key);
        if (!known) {
          known = balancer();
          balancers.set(port.key, known);
        }
        known.update(port);
        const { places: places_, deviation } = places(port);
        if (deviation) deviations.push(deviation);
        for (const place of places_) {
          const other = wanted.get(placeKey(place));
          if (!other) wanted.set(placeKey(place), place);
          else {
            deviations.push({
              key: port.key,
              reason: 'Unavailable',
              message: `${place.address}:${place.port} answers for ${other.serviceKey} already`,
            });
          }
        }
      }
      const keys = new Set(ports.map(({ key }) => key));
      for (const key of [...balancers.keys()]) if (!keys.has(key)) balancers.delete(key);
      for (const [key, { place }] of [...listeners]) {
        if (wanted.get(key)?.serviceKey !== place.serviceKey) await stop(key);
      }
      for (const [key, place] of wanted) {
        if (listeners.has(key) || closed) continue;
        try {
          listeners.set(key, await listen(place));
        } catch (error) {
          deviations.push({
            key: place.serviceKey,
            reason: 'Unavailable',
            message: `cannot listen on ${place.address}:${place.port}: ${(error as Error).message}`,
          });
        }
      }
      return deviations;
    },
    async close() {
      closed = true;
      await Promise.all([...listeners.keys()].map(stop));
    },
  };
}
