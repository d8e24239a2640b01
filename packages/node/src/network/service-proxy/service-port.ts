/**
 * What a service proxy has to do, computed from Services and EndpointSlices and nothing else.
 *
 * One entry per port of each service that has a cluster address. Its endpoints are the ready ones, in a stable order; when
 * none is ready, those that still serve while they terminate (KEP-1669, as kube-proxy). `publishNotReadyAddresses` needs
 * nothing here: such endpoints are marked ready. `internalTrafficPolicy: Local` leaves those of this node.
 */
import type { EndpointSlice, Service } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export interface ServicePort {
  /** `namespace/name:port-name`, or `namespace/name` for the only, unnamed port; with `/UDP` for UDP. */
  key: string;
  namespace: string;
  name: string;
  clusterIP: string;
  /** The address of the service range that the API server gave to stand for a clusterIP outside of it. */
  substitute?: string;
  protocol: 'TCP' | 'UDP';
  port: number;
  nodePort?: number;
  /** How long a client keeps its endpoint, seconds. */
  affinitySeconds?: number;
  endpoints: readonly ServiceEndpoint[];
}

export interface ServiceEndpoint {
  ip: string;
  port: number;
}

/** Kubernetes' default of `sessionAffinityConfig.clientIP.timeoutSeconds`. */
const defaultAffinitySeconds = 10_800;
const serviceNameLabel = 'kubernetes.io/service-name';
/** Written by orbitkit's API server (its `substituteAddressAnnotation`). */
const substituteAnnotation = 'orbitkit.dev/cluster-ip-substitute';
const ipv4 = /^\d+\.\d+\.\d+\.\d+$/;

export function servicePorts(
  services: Iterable<DeepReadonly<Service>>,
  slices: Iterable<DeepReadonly<EndpointSlice>>,
  nodeName: string,
): ServicePort[] {
  const byService = new Map<string, DeepReadonly<EndpointSlice>[]>();
  for (const slice of slices) {
    const name = slice.metadata.labels?.[serviceNameLabel];
    if (!name || slice.addressType !== 'IPv4') continue;
    const key = `${slice.metadata.namespace}/${name}`;
    const known = byService.get(key);
    if (known) known.push(slice);
    else byService.set(key, [slice]);
  }
  const found: ServicePort[] = [];
  for (const service of services) {
    const { name, namespace } = service.metadata;
    const { spec } = service;
    const clusterIP = [spec.clusterIP, ...(spec.clusterIPs ?? [])].find(ip => ip && ipv4.test(ip));
    if (!clusterIP || spec.type === 'ExternalName') continue;
    const substitute = service.metadata.annotations?.[substituteAnnotation];
    for (const port of spec.ports ?? []) {
      const protocol = port.protocol ?? 'TCP';
      if (protocol === 'SCTP') continue;
      const local = spec.internalTrafficPolicy === 'Local' ? nodeName : undefined;
      const suffix = protocol === 'UDP' ? '/UDP' : '';
      found.push({
        key: `${namespace}/${name}${port.name ? `:${port.name}` : ''}${suffix}`,
        namespace,
        name,
        clusterIP,
        ...(substitute && ipv4.test(substitute) ? { substitute } : {}),
        protocol,
        port: port.port,
        ...(port.nodePort ? { nodePort: port.nodePort } : {}),
        ...(spec.sessionAffinity === 'ClientIP'
          ? { affinitySeconds: spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds }
          : {}),
        endpoints: endpointsOf(byService.get(`${namespace}/${name}`) ?? [], port.name ?? '', protocol, local),
      });
    }
  }
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function endpointsOf(
  slices: readonly DeepReadonly<EndpointSlice>[],
  portName: string,
  protocol: 'TCP' | 'UDP',
  onlyNode: string | undefined,
): ServiceEndpoint[] {
  const ready = new Map<string, ServiceEndpoint>();
  const leaving = new Map<string, ServiceEndpoint>();
  for (const slice of slices) {
    for (const slicePort of slice.ports ?? []) {
      if ((slicePort.name ?? '') !== portName || (slicePort.protocol ?? 'TCP') !== protocol || !slicePort.port)
        continue;
      for (const { addresses, conditions, nodeName } of slice.endpoints) {
        const [ip] = addresses;
        if (!ip || (onlyNode !== undefined && nodeName !== onlyNode)) continue;
        const endpoint = { ip, port: slicePort.port };
        const key = `${ip}:${slicePort.port}`;
        if (conditions?.ready !== false) ready.set(key, endpoint);
        else if (conditions.serving && conditions.terminating) leaving.set(key, endpoint);
      }
    }
  }
  const chosen = ready.size > 0 ? ready : leaving;
  return [...chosen.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
