/** Columns of Services and their endpoints, of Ingresses, NetworkPolicies and addresses. Rules: data/printer-columns.json. */
import type { corev1, discoveryv1, networkingv1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import { ageColumn, column, firstThree, nameColumn, none, pairs, selectorText } from './column.js';

/** IPs, or host names, of a load balancer: sorted, each once. */
function ingressOf(status: corev1.ServiceStatus | networkingv1.IngressStatus | undefined): string[] {
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

/** The hosts of the first three rules; rules without a host do not count among the names. */
function hostsText({ spec }: networkingv1.Ingress): string {
  const rules = spec?.rules ?? [];
  const hosts: string[] = [];
  for (const { host } of rules) {
    if (hosts.length === 3) return `${hosts.join(',')} + ${rules.length - 3} more...`;
    if (host) hosts.push(host);
  }
  return hosts.join(',') || '*';
}

export const ingressColumns: readonly Column<networkingv1.Ingress>[] = [
  nameColumn,
  column('Class', 'Which controller serves it.', ({ spec }) => spec?.ingressClassName ?? none),
  column('Hosts', 'Names it answers to.', hostsText),
  column('Address', 'Where it is reached.', ({ status }) => ingressOf(status).join(',')),
  column('Ports', 'On which ports.', ({ spec }) => (spec?.tls?.length ? '80, 443' : '80')),
  ageColumn,
];

export const ingressClassColumns: readonly Column<networkingv1.IngressClass>[] = [
  nameColumn,
  column('Controller', 'Who serves ingresses of the class.', ({ spec }) => spec?.controller ?? ''),
  column('Parameters', 'Its settings.', ({ spec }) => {
    const parameters = spec?.parameters;
    if (!parameters) return none;
    return `${parameters.kind}${parameters.apiGroup ? `.${parameters.apiGroup}` : ''}/${parameters.name}`;
  }),
  ageColumn,
];

export const networkPolicyColumns: readonly Column<networkingv1.NetworkPolicy>[] = [
  nameColumn,
  column('Pod-Selector', 'To which pods it applies.', ({ spec }) =>
    selectorText(spec?.podSelector, { empty: none, invalid: '<error>' }),
  ),
  ageColumn,
];

export const ipAddressColumns: readonly Column<networkingv1.IPAddress>[] = [
  nameColumn,
  column('ParentRef', 'Who has the address.', ({ spec }) => {
    const parent = spec?.parentRef;
    if (!parent) return none;
    const resource = `${parent.resource ?? ''}${parent.group ? `.${parent.group}` : ''}`.toLowerCase();
    return `${resource}${parent.namespace ? `/${parent.namespace}` : ''}/${parent.name ?? ''}`;
  }),
];

export const serviceCidrColumns: readonly Column<networkingv1.ServiceCIDR>[] = [
  nameColumn,
  column('CIDRs', 'Its ranges.', ({ spec }) => (spec?.cidrs ?? []).join(',')),
  ageColumn,
];
