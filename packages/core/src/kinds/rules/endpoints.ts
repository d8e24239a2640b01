/**
 * Rules of Endpoints and EndpointSlices. Source: core/validation `ValidateEndpoints`, discovery/validation (v0.33).
 *
 * A difference: addresses of 127/8 are legal, since pods of an unprivileged node live there.
 */
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { corev1, discoveryv1 } from '../generated/types/index.js';
import { ipProblem, isIpOfFamily, portProblem } from './forms.js';
import type { Report } from './report.js';

export function checkEndpoints(report: Report, endpoints: corev1.Endpoints): void {
  for (const [index, subset] of (endpoints.subsets ?? []).entries()) {
    const field = `subsets[${index}]`;
    if (!subset.addresses?.length && !subset.notReadyAddresses?.length) {
      report.required(field, 'must specify `addresses` or `notReadyAddresses`');
    }
    for (const list of ['addresses', 'notReadyAddresses'] as const) {
      for (const [at, address] of (subset[list] ?? []).entries())
        checkAddress(report, address, `${field}.${list}[${at}]`);
    }
    const ports = subset.ports ?? [];
    for (const [at, port] of ports.entries()) {
      const here = `${field}.ports[${at}]`;
      if (!port.name) {
        if (ports.length > 1) report.required(`${here}.name`);
      } else report.form(`${here}.name`, port.name, dnsLabelProblem(port.name));
      const problem = portProblem(port.port);
      if (problem) report.invalid(`${here}.port`, port.port, problem);
      if (!port.protocol) report.required(`${here}.protocol`);
      if (port.appProtocol)
        report.form(`${here}.appProtocol`, port.appProtocol, qualifiedNameProblem(port.appProtocol));
    }
  }
}

/** Neither a wildcard nor link-local nor multicast: nothing could be reached there. */
function unreachableProblem(ip: string): string | undefined {
  if (ip === '0.0.0.0' || ip === '::') return `may not be unspecified (${ip})`;
  if (ip.startsWith('169.254.')) return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  const first = Number(ip.split('.')[0]);
  if (first >= 224 && first <= 239) return 'may not be in the multicast range (224.0.0.0/4, ff00::/8)';
  return undefined;
}

function checkAddress(report: Report, address: corev1.EndpointAddress, field: string): void {
  report.form(`${field}.ip`, address.ip, ipProblem(address.ip) ?? unreachableProblem(address.ip));
  if (address.hostname) report.form(`${field}.hostname`, address.hostname, dnsLabelProblem(address.hostname));
  if (address.nodeName) report.form(`${field}.nodeName`, address.nodeName, dnsSubdomainProblem(address.nodeName));
}

const maxEndpoints = 1000;
const maxPorts = 20_000;
const maxAddresses = 100;

export function checkEndpointSlice(
  report: Report,
  slice: discoveryv1.EndpointSlice,
  previous?: discoveryv1.EndpointSlice,
): void {
  if (!slice.addressType) report.required('addressType');
  if (previous) report.immutable('addressType', slice.addressType, previous.addressType);
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > maxEndpoints) report.tooMany('endpoints', endpoints.length, maxEndpoints);
  for (const [index, endpoint] of endpoints.entries())
    checkEndpoint(report, endpoint, slice.addressType, `endpoints[${index}]`);
  const ports = slice.ports ?? [];
  if (ports.length > maxPorts) report.tooMany('ports', ports.length, maxPorts);
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `ports[${index}]`;
    const name = port.name ?? '';
    if (name) report.form(`${field}.name`, name, dnsLabelProblem(name));
    if (names.has(name)) report.duplicate(`${field}.name`, name);
    names.add(name);
    if (!port.protocol) report.required(`${field}.protocol`);
    if (port.port !== undefined && portProblem(port.port))
      report.invalid(`${field}.port`, port.port, portProblem(port.port)!);
    if (port.appProtocol) report.form(`${field}.appProtocol`, port.appProtocol, qualifiedNameProblem(port.appProtocol));
  }
}

function checkEndpoint(report: Report, endpoint: discoveryv1.Endpoint, type: string, field: string): void {
  const addresses = endpoint.addresses ?? [];
  if (addresses.length === 0) report.required(`${field}.addresses`, 'must contain at least 1 address');
  if (addresses.length > maxAddresses) report.tooMany(`${field}.addresses`, addresses.length, maxAddresses);
  for (const [index, address] of addresses.entries()) {
    const at = `${field}.addresses[${index}]`;
    if (type === 'FQDN') report.form(at, address, dnsSubdomainProblem(address));
    else if ((type === 'IPv4' || type === 'IPv6') && !isIpOfFamily(address, type)) {
      report.invalid(at, address, `must be a valid ${type} address`);
    } else report.form(at, address, unreachableProblem(address));
  }
  if (endpoint.hostname) report.form(`${field}.hostname`, endpoint.hostname, dnsLabelProblem(endpoint.hostname));
  if (endpoint.nodeName) report.form(`${field}.nodeName`, endpoint.nodeName, dnsSubdomainProblem(endpoint.nodeName));
  for (const key in endpoint.deprecatedTopology) {
    report.form(`${field}.deprecatedTopology`, key, qualifiedNameProblem(key));
    if (key === 'kubernetes.io/hostname')
      report.invalid(
        `${field}.deprecatedTopology[kubernetes.io/hostname]`,
        key,
        'must not be set when `nodeName` is available',
      );
  }
}
