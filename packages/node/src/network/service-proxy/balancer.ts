/**
 * Which endpoint a connection gets: one after the other, exactly (N connections over n endpoints differ by at most one),
 * or for ClientIP affinity the one that the client had.
 *
 * A change of the endpoints goes on where the rotation was. A client whose endpoint went away gets the next one. At the
 * most 10,000 clients are remembered; the longest silent is forgotten.
 */
import type { ServiceEndpoint, ServicePort } from './service-port.js';

const clientsLimit = 10_000;

export interface Balancer {
  update(port: Pick<ServicePort, 'endpoints' | 'affinitySeconds'>): void;
  /** The endpoint for a new connection, then the others in the order in which to try them. Empty without endpoints. */
  pick(clientIP: string, now: number): ServiceEndpoint[];
}

export function balancer(): Balancer {
  let endpoints: readonly ServiceEndpoint[] = [];
  let affinityMs: number | undefined;
  let next = 0;
  const clients = new Map<string, { key: string; at: number }>();
  const keyOf = ({ ip, port }: ServiceEndpoint) => `${ip}:${port}`;

  function remembered(clientIP: string, now: number): number {
    const client = clients.get(clientIP);
    if (!client || affinityMs === undefined || now - client.at >= affinityMs) return -1;
    return endpoints.findIndex(endpoint => keyOf(endpoint) === client.key);
  }

  return {
    update(port) {
      endpoints = port.endpoints;
      affinityMs = port.affinitySeconds === undefined ? undefined : port.affinitySeconds * 1_000;
      if (affinityMs === undefined) clients.clear();
    },
    pick(clientIP, now) {
      if (endpoints.length === 0) return [];
      let index = affinityMs === undefined ? -1 : remembered(clientIP, now);
      if (index < 0) {
        index = next % endpoints.length;
        next = index + 1;
      }
      if (affinityMs !== undefined) {
        clients.delete(clientIP);
        clients.set(clientIP, { key: keyOf(endpoints[index]!), at: now });
        if (clients.size > clientsLimit) clients.delete(clients.keys().next().value as string);
      }
      return [...endpoints.slice(index), ...endpoints.slice(0, index)];
    },
  };
}
