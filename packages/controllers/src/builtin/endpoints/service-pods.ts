/**
 * Which pods stand behind a service, and on which ports: what endpoints and endpoint slices have in common.
 *
 * Source of the rules: kubernetes `pkg/controller/endpoint`, `staging/src/k8s.io/endpointslice`, `pkg/api/v1/pod.FindPort`.
 */
import { keyOf, labelSet, type Service } from '@orbitkit/core';
import type { DeepReadonly, InformerHandler, Store, WorkQueue } from '@orbitkit/informer';
import type { PodView } from '../../pods/pod-state.js';

export type ServiceView = DeepReadonly<Service>;
export type AddressFamily = 'IPv4' | 'IPv6';

/** The label by which the proxy of a headless service's endpoints is told to leave them alone. */
export const headlessLabel = 'service.kubernetes.io/headless';

/** Whether a controller chooses this service's endpoints: it has a selector, and is no alias of a name. */
export const isManaged = (service: ServiceView): boolean =>
  service.spec.type !== 'ExternalName' && Object.keys(service.spec.selector ?? {}).length > 0;

export const isHeadless = (service: ServiceView): boolean => service.spec.clusterIP === 'None';

const familyOf = (ip: string): AddressFamily => (ip.includes(':') ? 'IPv6' : 'IPv4');

/** The families of a service; of one that names none, those of its address, or IPv4. */
export function familiesOf({ spec }: ServiceView): AddressFamily[] {
  const named = (spec.ipFamilies ?? []).filter((family): family is AddressFamily => family !== '');
  if (named.length > 0) return named;
  return [spec.clusterIP && spec.clusterIP !== 'None' ? familyOf(spec.clusterIP) : 'IPv4'];
}

export function addressOf(pod: PodView, family: AddressFamily): string | undefined {
  const all = [...(pod.status.podIPs ?? []).map(each => each.ip), ...(pod.status.podIP ? [pod.status.podIP] : [])];
  return all.find(ip => ip !== undefined && familyOf(ip) === family);
}

export interface PodPort {
  name: string;
  port: number;
  protocol: 'TCP' | 'UDP' | 'SCTP';
  appProtocol?: string;
}

/** The ports under which a pod serves. A named target port that the pod does not have is left out. */
export function portsOf(service: ServiceView, pod: PodView): PodPort[] {
  const ports: PodPort[] = [];
  for (const { name = '', protocol = 'TCP', port, targetPort = port, appProtocol } of service.spec.ports ?? []) {
    const found = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort, protocol);
    if (found) ports.push({ name, port: found, protocol, ...(appProtocol ? { appProtocol } : {}) });
  }
  return ports;
}

function namedPort(pod: PodView, name: string, protocol: string): number | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always');
  for (const container of [...pod.spec.containers, ...sidecars]) {
    const port = container.ports?.find(each => each.name === name && (each.protocol ?? 'TCP') === protocol);
    if (port) return port.containerPort;
  }
  // A text that is a number stands for it.
  return /^\d{1,5}$/.test(name) ? Number(name) : undefined;
}

/** The host name that the pod asks for, when its subdomain is this service. */
export const hostnameOf = (service: ServiceView, pod: PodView): string | undefined =>
  pod.spec.hostname && pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;

/** Enqueues the services to which a pod belongs, or belonged before it changed. */
export function podListener(
  services: Store<Service>,
  queue: WorkQueue<string>,
): InformerHandler<import('@orbitkit/core').Pod> {
  const enqueue = (...pods: PodView[]) => {
    for (const service of services.list(pods[0]!.metadata.namespace)) {
      if (!isManaged(service)) continue;
      const selector = labelSet(service.spec.selector ?? {});
      if (pods.some(pod => selector.matches(pod.metadata.labels))) queue.add(keyOf(service));
    }
  };
  return {
    onAdd: pod => enqueue(pod),
    onUpdate: (before, after) => {
      if (matters(before) !== matters(after)) enqueue(before, after);
    },
    onDelete: pod => enqueue(pod),
  };
}

/** All of a pod that endpoints can show; its other changes (logs of probes, restarts) need no look. */
function matters(pod: PodView): string {
  const { labels, deletionTimestamp } = pod.metadata;
  const { phase, podIP, podIPs, conditions } = pod.status;
  const ready = conditions?.find(condition => condition.type === 'Ready')?.status;
  const { nodeName, hostname, subdomain } = pod.spec;
  return JSON.stringify([
    labels,
    deletionTimestamp !== undefined,
    phase,
    podIP,
    podIPs,
    ready,
    nodeName,
    hostname,
    subdomain,
  ]);
}
