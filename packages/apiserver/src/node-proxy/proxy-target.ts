/**
 * What `pods/{name}/proxy` and `services/{name}/proxy` lead to. Names may carry a scheme and a port: `https:web:8443`, `web:http`.
 *
 * The address is what the pod's status says, loopback included (pods of the process runtime live there): whoever may write a pod's status
 * and use `pods/proxy` can make the server connect anywhere it can reach. Both are the rights of nodes and administrators.
 */

import { isIP } from 'node:net';
import { badRequest, type DynamicObject, StatusError } from '@orbitkit/core';
import type { Backend } from './backend.js';

export interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  /** Number or name. */
  readonly port: string | undefined;
}

/** @throws StatusError BadRequest (apimachinery `net.SplitSchemeNamePort`). */
export function splitProxyName(text: string): ProxyName {
  const parts = text.split(':');
  const wrong = () =>
    badRequest(`invalid proxy target ${JSON.stringify(text)}: it is written [http:|https:]name[:port]`);
  if (parts.length > 3 || parts.some((part, index) => part === '' && index < 2 && parts.length < 3)) throw wrong();
  const scheme = parts.length === 3 ? parts.shift()! : 'http';
  if (scheme !== 'http' && scheme !== 'https' && scheme !== '') throw wrong();
  const [name, port] = parts;
  if (!name) throw wrong();
  return { scheme: scheme || 'http', name, port: port || undefined } as ProxyName;
}

const noEndpoint = (what: string, why: string) =>
  new StatusError('ServiceUnavailable', `${what} cannot be reached: ${why}`);

function backend(what: string, host: string, port: number, scheme: ProxyName['scheme']): Backend {
  if (isIP(host) === 0) throw noEndpoint(what, `${JSON.stringify(host)} is not an IP address`);
  return { what, host, port, ...(scheme === 'https' ? { tls: {} } : {}) };
}

export function podBackend(pod: DynamicObject, target: ProxyName): Backend {
  const what = `pod ${pod.metadata.name}`;
  const ip: string | undefined = pod['status']?.podIP;
  if (!ip) throw noEndpoint(what, 'it has no IP address yet');
  const ports: { name?: string; containerPort: number }[] = (pod['spec']?.containers ?? []).flatMap(
    (c: any) => c.ports ?? [],
  );
  const numeric = target.port !== undefined && /^\d{1,5}$/.test(target.port) ? Number(target.port) : undefined;
  const port =
    target.port === undefined
      ? (ports[0]?.containerPort ?? 80)
      : (numeric ?? ports.find(p => p.name === target.port)?.containerPort);
  if (port === undefined || port < 1 || port > 65_535)
    throw badRequest(`pod ${pod.metadata.name} has no port ${target.port}`);
  return backend(what, ip, port, target.scheme);
}

/** A ready endpoint of the service, picked at random (apiserver `service.ResourceLocation`). */
export function serviceBackend(service: DynamicObject, slices: readonly DynamicObject[], target: ProxyName): Backend {
  const what = `service ${service.metadata.name}`;
  const ports: { name?: string; port: number }[] = service['spec']?.ports ?? [];
  const port =
    target.port === undefined
      ? ports.length === 1
        ? ports[0]
        : undefined
      : ports.find(p => p.name === target.port || String(p.port) === target.port);
  if (!port)
    throw new StatusError(
      'ServiceUnavailable',
      `no service port ${JSON.stringify(target.port ?? '')} found for service ${JSON.stringify(service.metadata.name)}`,
    );
  const places = slices.flatMap(slice => {
    const number: number | undefined = (slice['ports'] ?? []).find(
      (p: any) => (p.name ?? '') === (port.name ?? ''),
    )?.port;
    if (number === undefined) return [];
    return (slice['endpoints'] ?? [])
      .filter((endpoint: any) => endpoint.conditions?.ready !== false)
      .flatMap((endpoint: any) => (endpoint.addresses as string[]).slice(0, 1).map(host => ({ host, number })));
  }) as { host: string; number: number }[];
  const place = places[Math.floor(Math.random() * places.length)];
  if (!place) throw noEndpoint(what, `no endpoints available for service ${JSON.stringify(service.metadata.name)}`);
  return backend(what, place.host, place.number, target.scheme);
}
