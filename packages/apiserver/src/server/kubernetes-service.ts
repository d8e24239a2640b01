/**
 * Service `default/kubernetes`: how pods find the API. It has the first address of the service range when that is free, port 443, and
 * this server's own address behind it. Written at each start, like upstream's `kubernetesservice` controller; it has no selector, so no
 * other controller touches its endpoints. With several servers, the one that started last stands behind it.
 */
import { networkInterfaces } from 'node:os';
import {
  type DynamicObject,
  isAlreadyExists,
  isInvalid,
  isNotFound,
  type Kind,
  type KindRegistry,
} from '@orbitkit/core';
import { addressRange } from '../registry/address-range.js';
import type { RequestContext, Resources } from '../registry/contract.js';
import { sameJson } from '../registry/json-value.js';

const name = 'kubernetes';
const namespace = 'default';
const labels = { component: 'apiserver', provider: 'kubernetes' };
const defaultRange = '10.96.0.0/16';

/** The address that `default/kubernetes` asks for: the serving certificate must be good for it. */
export const apiServiceAddress = (range: string = defaultRange): string => addressRange(range).first;

export interface KubernetesServiceOptions {
  readonly resources: Resources;
  readonly kinds: KindRegistry;
  readonly host: string;
  readonly port: number;
  readonly serviceRange: string | undefined;
  readonly signal: AbortSignal;
}

export async function publishKubernetesService(options: KubernetesServiceOptions): Promise<void> {
  const { resources, host, port, signal } = options;
  const context: RequestContext = {
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  };
  const kind = (group: string, plural: string): Kind | undefined =>
    options.kinds.kinds.find(each => each.group === group && each.plural === plural);

  /** Creates the object, or gives an existing one these members. */
  async function put(of: Kind | undefined, metadata: object, members: Record<string, unknown>): Promise<void> {
    if (of === undefined) return;
    const found = await resources.get(context, of, { name, namespace }).catch(error => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (found === undefined) {
      await resources.create(
        context,
        of,
        { namespace },
        { value: { metadata: { name, namespace, ...metadata }, ...members } },
      );
      return;
    }
    const object = found.object();
    if (Object.keys(members).every(member => sameJson(object[member], members[member]))) return;
    const next = { ...structuredClone(object), ...members } as DynamicObject;
    await resources.update(context, of, { name, namespace }, { value: next });
  }

  const services = kind('', 'services');
  if (services === undefined) return;
  const present = await resources.get(context, services, { name, namespace }).catch(error => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (present === undefined) {
    const create = (clusterIP: string | undefined) =>
      resources.create(
        context,
        services,
        { namespace },
        {
          value: {
            metadata: { name, namespace, labels },
            spec: {
              ...(clusterIP ? { clusterIP } : {}),
              ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
            },
          },
        },
      );
    await create(apiServiceAddress(options.serviceRange))
      // Somebody else has the address: any other does as well.
      .catch(error => (isInvalid(error) ? create(undefined) : Promise.reject(error)))
      .catch(error => {
        if (!isAlreadyExists(error)) throw error;
      });
  } else {
    const service = structuredClone(present.object()) as DynamicObject & {
      spec: { ports?: { targetPort?: unknown }[] };
    };
    if (service.spec.ports?.[0] && service.spec.ports[0].targetPort !== port) {
      service.spec.ports[0].targetPort = port;
      await resources.update(context, services, { name, namespace }, { value: service });
    }
  }
  const address = reachable(host);
  if (address === undefined) return;
  await put(
    kind('', 'endpoints'),
    { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    {
      subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
    },
  );
  await put(
    kind('discovery.k8s.io', 'endpointslices'),
    { labels: { 'kubernetes.io/service-name': name } },
    {
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: 'https', port, protocol: 'TCP' }],
    },
  );
}

/** The IPv4 address under which others reach a server that listens on `host`. */
function reachable(host: string): string | undefined {
  if (host !== '0.0.0.0' && host !== '::') return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? host : undefined;
  const own = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return own.find(each => each.family === 'IPv4' && !each.internal)?.address ?? '127.0.0.1';
}
