/** Rules of NetworkPolicies, IPAddresses and ServiceCIDRs. Source: networking/validation (v0.33). */
import { BlockList, isIP, isIPv4 } from 'node:net';
import type { networkingv1 } from '../generated/types/index.js';
import { cidrProblem, ipProblem, portNameProblem, portProblem } from './forms.js';
import { type Report, sameValue } from './report.js';
import { checkLabelSelector } from './selector.js';

export function checkNetworkPolicy(report: Report, { spec }: networkingv1.NetworkPolicy): void {
  checkLabelSelector(report, spec?.podSelector ?? {}, 'spec.podSelector');
  for (const [index, rule] of (spec?.ingress ?? []).entries())
    checkRule(report, rule.ports, rule.from, `spec.ingress[${index}]`, 'from');
  for (const [index, rule] of (spec?.egress ?? []).entries())
    checkRule(report, rule.ports, rule.to, `spec.egress[${index}]`, 'to');
  const types = spec?.policyTypes ?? [];
  if (types.length > 2) {
    report.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes');
    return;
  }
  for (const [index, type] of types.entries())
    if (type !== 'Ingress' && type !== 'Egress')
      report.unsupported(`spec.policyTypes[${index}]`, type, ['Egress', 'Ingress']);
}

function checkRule(
  report: Report,
  ports: readonly networkingv1.NetworkPolicyPort[] | undefined,
  peers: readonly networkingv1.NetworkPolicyPeer[] | undefined,
  field: string,
  peersName: 'from' | 'to',
): void {
  for (const [index, port] of (ports ?? []).entries()) checkPort(report, port, `${field}.ports[${index}]`);
  for (const [index, peer] of (peers ?? []).entries()) checkPeer(report, peer, `${field}.${peersName}[${index}]`);
}

function checkPort(report: Report, { protocol, port, endPort }: networkingv1.NetworkPolicyPort, field: string): void {
  if (protocol && !['TCP', 'UDP', 'SCTP'].includes(protocol))
    report.unsupported(`${field}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']);
  if (port === undefined) {
    if (endPort !== undefined) report.invalid(`${field}.endPort`, endPort, 'must specify `port` if `endPort` is set');
    return;
  }
  const problem = typeof port === 'number' ? portProblem(port) : portNameProblem(port);
  if (problem) report.invalid(`${field}.port`, port, problem);
  if (endPort === undefined) return;
  if (typeof port === 'string') {
    report.invalid(`${field}.endPort`, endPort, 'may not be specified when `port` is non-numeric');
    return;
  }
  if (endPort < port) report.invalid(`${field}.endPort`, endPort, 'must be greater than or equal to `port`');
  const endProblem = portProblem(endPort);
  if (endProblem) report.invalid(`${field}.endPort`, endPort, endProblem);
}

function checkPeer(report: Report, peer: networkingv1.NetworkPolicyPeer, field: string): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (podSelector) checkLabelSelector(report, podSelector, `${field}.podSelector`);
  if (namespaceSelector) checkLabelSelector(report, namespaceSelector, `${field}.namespaceSelector`);
  if (!podSelector && !namespaceSelector && !ipBlock) {
    report.required(field, 'must specify a peer');
    return;
  }
  if (!ipBlock) return;
  if (podSelector || namespaceSelector) report.forbidden(field, 'may not specify both ipBlock and another peer');
  const at = `${field}.ipBlock`;
  if (!ipBlock.cidr) {
    report.required(`${at}.cidr`);
    return;
  }
  const problem = cidrProblem(ipBlock.cidr);
  report.form(`${at}.cidr`, ipBlock.cidr, problem);
  if (problem) return;
  for (const [index, except] of (ipBlock.except ?? []).entries()) {
    const here = `${at}.except[${index}]`;
    const exceptProblem = cidrProblem(except);
    if (exceptProblem) report.invalid(here, except, exceptProblem);
    else if (!isStrictSubset(except, ipBlock.cidr)) report.invalid(here, except, 'must be a strict subset of `cidr`');
  }
}

function isStrictSubset(inner: string, outer: string): boolean {
  const [address, bits] = inner.split('/') as [string, string];
  const [network, prefix] = outer.split('/') as [string, string];
  if (isIP(address) !== isIP(network) || Number(bits) <= Number(prefix)) return false;
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  const range = new BlockList();
  range.addSubnet(network, Number(prefix), family);
  return range.check(address, family);
}

export function checkIpAddress(
  report: Report,
  { metadata, spec }: networkingv1.IPAddress,
  previous?: networkingv1.IPAddress,
): void {
  if (metadata.name) report.form('metadata.name', metadata.name, ipProblem(metadata.name));
  const parent = spec?.parentRef;
  if (!parent) {
    report.required('spec.parentRef');
    return;
  }
  if (!parent.resource) report.required('spec.parentRef.resource');
  if (!parent.name) report.required('spec.parentRef.name');
  if (previous) report.immutable('spec.parentRef', parent, previous.spec?.parentRef);
}

export function checkServiceCidr(
  report: Report,
  { spec }: networkingv1.ServiceCIDR,
  previous?: networkingv1.ServiceCIDR,
): void {
  const cidrs = spec?.cidrs ?? [];
  if (cidrs.length === 0) report.required('spec.cidrs', 'at least one CIDR required');
  if (cidrs.length > 2) report.invalid('spec', spec, 'may only hold up to 2 values');
  for (const [index, cidr] of cidrs.entries()) report.form(`spec.cidrs[${index}]`, cidr, cidrProblem(cidr));
  const families = cidrs.filter(cidr => !cidrProblem(cidr)).map(cidr => isIP(cidr.slice(0, cidr.indexOf('/'))));
  if (families.length === 2 && families[0] === families[1])
    report.invalid(
      'spec.cidrs',
      cidrs,
      'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    );
  if (previous && !sameValue(cidrs, previous.spec?.cidrs)) {
    const added = previous.spec?.cidrs?.length === 1 && cidrs.length === 2 && cidrs[0] === previous.spec.cidrs[0];
    if (!added) report.invalid('spec.cidrs', cidrs, 'field is immutable');
  }
}
