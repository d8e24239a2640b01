/** Services and slices for tests. */
import type { EndpointSlice, Service } from '@orbitkit/core';

type ServicePorts = NonNullable<Service['spec']['ports']>;

export function service(name: string, clusterIP: string, ports: ServicePorts): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '',
      creationTimestamp: '',
    } as Service['metadata'],
    spec: { clusterIP, ports },
    status: {},
  };
}

export interface EndpointDraft {
  ip: string;
  nodeName?: string;
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
}

let slices = 0;

export function slice(
  serviceName: string,
  endpoints: readonly EndpointDraft[],
  ports: readonly { name?: string; port: number; protocol?: 'TCP' | 'UDP' }[],
): EndpointSlice {
  slices += 1;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${serviceName}-${slices}`,
      namespace: 'default',
      uid: `uid-slice-${slices}`,
      labels: { 'kubernetes.io/service-name': serviceName },
      resourceVersion: '',
      creationTimestamp: '',
    } as EndpointSlice['metadata'],
    addressType: 'IPv4',
    endpoints: endpoints.map(({ ip, ...rest }) => ({ addresses: [ip], ...rest })),
    ports: ports.map(port => ({ name: '', protocol: 'TCP' as const, ...port })),
  };
}
