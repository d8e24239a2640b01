/**
 * Service `default/kubernetes`: how pods find the API. It has the first address of the service range when that is free, port 443, and the
 * addresses of all living servers behind it (`server-register.ts`). It has no selector, so no other controller touches its endpoints.
 *
 * Endpoints are looked at every five seconds while several servers share a store: a server that stops takes itself out, a killed one is gone
 * within 20 s. The last server is left there, as upstream does: endpoints without an address would help nobody.
 */
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  type Clock,
  type DynamicObject,
  isAlreadyExists,
  isConflict,
  isInvalid,
  isNotFound,
  type Kind,
  type KindRegistry,
  type Logger,
} from '@orbitkit/core';
import { addressRanges } from '../registry/address-range.js';
import type { RequestContext, Resources } from '../registry/contract.js';
import { sameJson } from '../registry/json-value.js';
import type { Store } from '../storage/contract.js';
import { renewMs, type ServerAddress, serverRegister } from './server-register.js';

const name = 'kubernetes';
const namespace = 'default';
const labels = { component: 'apiserver', provider: 'kubernetes' };
const defaultRange = '10.96.0.0/16';

/** The address that `default/kubernetes` asks for: the serving certificate must be good for it. */
export const apiServiceAddress = (range: string = defaultRange): string => addressRanges(range)[0].first;

export interface KubernetesServiceOptions {
  readonly resources: Resources;
  readonly kinds: KindRegistry;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where clients reach this server. */
  readonly address: ServerAddress;
  readonly serviceRange: string | undefined;
}

export interface KubernetesService {
  /** Makes the service, with this server behind it. */
  publish(signal: AbortSignal): Promise<void>;
  /** Follows the other servers until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
  /** Takes this server out. Bounded in time; a failure is logged: the others notice soon. */
  withdraw(): Promise<void>;
}

const withdrawMs = 3_000;
const attempts = 5;

export function kubernetesService(options: KubernetesServiceOptions): KubernetesService {
  const { resources, store, clock, log, address, serviceRange } = options;
  const register = serverRegister(store, address);
  const kind = (group: string, plural: string): Kind | undefined =>
    options.kinds.kinds.find(each => each.group === group && each.plural === plural);
  const contextOf = (signal: AbortSignal): RequestContext => ({
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  });

  const present = (context: RequestContext, of: Kind, named: string) =>
    resources.get(context, of, { name: named, namespace }).catch(error => {
      if (isNotFound(error)) return undefined;
      throw error;
    });

  /** Creates the object, or gives an existing one these members. */
  async function put(
    context: RequestContext,
    of: Kind,
    named: string,
    metadata: object,
    members: Record<string, unknown>,
  ): Promise<void> {
    const found = await present(context, of, named);
    if (found === undefined) {
      const value = { metadata: { name: named, namespace, ...metadata }, ...members };
      await resources.create(context, of, { namespace }, { value });
      return;
    }
    const object = found.object();
    if (Object.keys(members).every(member => sameJson(object[member], members[member]))) return;
    const next = { ...structuredClone(object), ...members } as DynamicObject;
    await resources.update(context, of, { name: named, namespace }, { value: next });
  }

  /** Several servers do this at the same time. */
  async function settled(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const raced = isConflict(error) || isAlreadyExists(error) || isNotFound(error);
        if (!raced || attempt >= attempts) throw error;
      }
    }
  }

  async function ensureService(context: RequestContext): Promise<void> {
    const services = kind('', 'services');
    if (services === undefined) return;
    const found = await present(context, services, name);
    if (found === undefined) {
      const ports = [{ name: 'https', port: 443, protocol: 'TCP', targetPort: address.port }];
      const create = (clusterIP: string | undefined) => {
        const value = { metadata: { name, namespace, labels }, spec: { ...(clusterIP ? { clusterIP } : {}), ports } };
        return resources.create(context, services, { namespace }, { value });
      };
      await create(apiServiceAddress(serviceRange))
        // Somebody else has the address: any other does as well.
        .catch(error => (isInvalid(error) ? create(undefined) : Promise.reject(error)));
      return;
    }
    const service = structuredClone(found.object()) as DynamicObject & {
      spec: { ports?: { targetPort?: unknown }[] };
    };
    if (service.spec.ports?.[0] && service.spec.ports[0].targetPort !== address.port) {
      service.spec.ports[0].targetPort = address.port;
      await resources.update(context, services, { name, namespace }, { value: service });
    }
  }

  async function ensureEndpoints(context: RequestContext, servers: readonly ServerAddress[]): Promise<void> {
    const [endpoints, slices] = [kind('', 'endpoints'), kind('discovery.k8s.io', 'endpointslices')];
    const groups = byPort(servers);
    if (groups.length === 0) return;
    const before = endpoints && (await present(context, endpoints, name));
    if (slices !== undefined) {
      // One slice has one port; servers of one cluster seldom have several.
      const names = new Set(groups.map(sliceName));
      const subsets = (before?.object() as { subsets?: { ports?: { port: number }[] }[] } | undefined)?.subsets ?? [];
      for (const [index, { ports }] of subsets.entries()) {
        const old = ports?.[0] && sliceName({ port: ports[0].port }, index);
        if (old === undefined || names.has(old)) continue;
        await resources.delete(context, slices, { name: old, namespace }).catch(error => {
          if (!isNotFound(error)) throw error;
        });
      }
      for (const [index, { port, ips }] of groups.entries()) {
        const metadata = { labels: { 'kubernetes.io/service-name': name } };
        await put(context, slices, sliceName({ port }, index), metadata, {
          addressType: 'IPv4',
          endpoints: ips.map(ip => ({ addresses: [ip], conditions: { ready: true } })),
          ports: [{ name: 'https', port, protocol: 'TCP' }],
        });
      }
    }
    if (endpoints === undefined) return;
    const metadata = { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } };
    await put(context, endpoints, name, metadata, {
      subsets: groups.map(({ port, ips }) => ({
        addresses: ips.map(ip => ({ ip })),
        ports: [{ name: 'https', port, protocol: 'TCP' }],
      })),
    });
  }

  return {
    async publish(signal) {
      const context = contextOf(signal);
      await settled(() => ensureService(context));
      const servers = await register.renew();
      await settled(() => ensureEndpoints(context, servers));
    },
    async follow(signal) {
      if (!store.shared) return;
      const context = contextOf(signal);
      for (;;) {
        await clock.sleep(renewMs, signal).catch(() => undefined);
        if (signal.aborted) return;
        try {
          const servers = await register.renew();
          await settled(() => ensureEndpoints(context, servers));
        } catch (error) {
          if (!signal.aborted) log.warn('the endpoints of default/kubernetes could not be renewed', { error });
        }
      }
    },
    async withdraw() {
      if (!store.shared) return;
      const signal = AbortSignal.timeout(withdrawMs);
      const late = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      const done = (async () => {
        const servers = await register.withdraw();
        await settled(() => ensureEndpoints(contextOf(signal), servers));
      })();
      await Promise.race([done, late]).catch(error => {
        log.warn('this server could not take itself out of default/kubernetes', { error });
      });
    },
  };
}

/** In order, so that all servers write the same. */
function byPort(servers: readonly ServerAddress[]): { port: number; ips: string[] }[] {
  const ports = [...new Set(servers.map(({ port }) => port))].sort((a, b) => a - b);
  return ports.map(port => ({
    port,
    ips: [...new Set(servers.filter(each => each.port === port).map(({ ip }) => ip))].sort(),
  }));
}

const sliceName = ({ port }: { port: number }, index: number): string => (index === 0 ? name : `${name}-${port}`);

/**
 * The IPv4 address under which others reach a server that listens on `host`; undefined when it has none: then it stands behind no service.
 * @throws TypeError
 */
export function advertisedAddress(host: string, advertised: string | undefined): string | undefined {
  if (advertised !== undefined) {
    if (!isIPv4(advertised) || advertised === '0.0.0.0')
      throw new TypeError(
        `advertiseAddress ${JSON.stringify(advertised)}: the IPv4 address at which clients find this server is expected`,
      );
    return advertised;
  }
  if (host === 'localhost') return '127.0.0.1';
  if (host !== '0.0.0.0' && host !== '::') return isIPv4(host) ? host : undefined;
  const own = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return own.find(each => each.family === 'IPv4' && !each.internal)?.address ?? '127.0.0.1';
}
