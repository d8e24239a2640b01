/** Columns of Services, Endpoints and EndpointSlices. Rules: data/printer-columns.json. */
import type { corev1, discoveryv1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import { ageColumn, column, firstThree, nameColumn, none, pairs } from './column.js';

/** IPs, or host names, of a load balancer: sorted, each once. */
function ingressOf(status: corev1.ServiceStatus | undefined): string[] {
  const addresses = (status?.loadBalancer?.ingress ?? [])
    .map(({ ip, hostname }) => ip || hostname || '')
    .filter(Boolean);
  return [...new Set(addresses)].sort();
}

function externalAddress({ spec, status }: corev1.Service): string {
  const fixed = spec.externalIPs ?? [];
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return fixed.join(',') || none;
    case 'LoadBalancer':
      return [...ingressOf(status), ...fixed].join(',') || '<pending>';
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return '<unknown>';
  }
}

const portText = ({ port, nodePort, protocol }: corev1.ServicePort): string =>
  `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? 'TCP'}`;

export const serviceColumns: readonly Column<corev1.Service>[] = [
  nameColumn,
  column('Type', 'How the service is reached.', ({ spec }) => spec.type ?? ''),
  column('Cluster-IP', 'Address inside the cluster.', ({ spec }) => spec.clusterIPs?.[0] || spec.clusterIP || none),
  column('External-IP', 'Address outside the cluster.', externalAddress),
  column(
    'Port(s)',
    'Ports, with the port of the nodes where there is one.',
    ({ spec }) => (spec.ports ?? []).map(portText).join(',') || none,
  ),
  ageColumn,
  column('Selector', 'Which pods serve.', ({ spec }) => pairs(spec.selector), { wide: true }),
];

function endpointTexts({ subsets }: corev1.Endpoints): string[] {
  return (subsets ?? []).flatMap(({ addresses = [], ports = [] }) => {
    if (ports.length === 0) return addresses.map(({ ip }) => ip);
    return ports.flatMap(({ port }) =>
      addresses.map(({ ip }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
    );
  });
}

export const endpointsColumns: readonly Column<corev1.Endpoints>[] = [
  nameColumn,
  column('Endpoints', 'Where the service answers.', endpoints =>
    endpoints.subsets?.length ? firstThree(endpointTexts(endpoints)) : none,
  ),
  ageColumn,
];

export const endpointSliceColumns: readonly Column<discoveryv1.EndpointSlice>[] = [
  nameColumn,
  column('AddressType', 'What kind of address the endpoints have.', ({ addressType }) => addressType),
  column('Ports', 'Ports of the endpoints.', ({ ports }) =>
    ports?.length
      ? firstThree(ports.map(({ port, name }) => (port === undefined ? name || '*' : String(port))))
      : '<unset>',
  ),
  column('Endpoints', 'Where the service answers.', ({ endpoints }) =>
    endpoints?.length ? firstThree(endpoints.flatMap(({ addresses }) => addresses ?? [])) : '<unset>',
  ),
  ageColumn,
];
