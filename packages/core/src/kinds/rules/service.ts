/**
 * Rules of Services. Source: core/validation `ValidateService`, `ValidateServiceUpdate` (v0.33).
 *
 * Whether an address or node port lies in the ranges of a cluster is its allocator's to say; here a node port is any port.
 */
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import { cidrProblem, ipProblem, isIpOfFamily, portProblem, portRefProblem } from './forms.js';
import { checkLabels } from './metadata.js';
import type { Report } from './report.js';

/** Where a cluster allocates node ports unless it is told otherwise (kube-apiserver `--service-node-port-range`). */
export const defaultNodePortRange = Object.freeze({ from: 30000, to: 32767 });

const exposesNodePorts = (type: string | undefined): boolean => type === 'NodePort' || type === 'LoadBalancer';

/** The addresses as one list: `clusterIPs`, or `clusterIP` alone. */
function addressesOf(spec: corev1.ServiceSpec): readonly string[] {
  return spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
}

export function checkService(report: Report, service: corev1.Service, previous?: corev1.Service): void {
  const { spec } = service;
  const headless = addressesOf(spec)[0] === 'None';
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') report.required('spec.ports');
  if (!spec.type) report.required('spec.type');
  checkPorts(report, spec);
  checkAddresses(report, spec);
  checkLabels(report, spec.selector, 'spec.selector');
  if (spec.type === 'ExternalName') {
    const name = spec.externalName?.replace(/\.$/, '');
    if (name) report.form('spec.externalName', spec.externalName!, dnsSubdomainProblem(name));
    else report.required('spec.externalName');
  }
  checkSessionAffinity(report, spec);
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    report.form(`spec.externalIPs[${index}]`, address, ipProblem(address));
  }
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    if (spec.type !== 'LoadBalancer') {
      report.forbidden('spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'");
      break;
    }
    report.form(`spec.loadBalancerSourceRanges[${index}]`, range, cidrProblem(range.trim()));
  }
  const reachableFromOutside =
    exposesNodePorts(spec.type) || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
  if (spec.externalTrafficPolicy && !reachableFromOutside) {
    report.invalid(
      'spec.externalTrafficPolicy',
      spec.externalTrafficPolicy,
      'may only be set for externally-accessible services',
    );
  }
  if (spec.healthCheckNodePort && (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local')) {
    report.invalid(
      'spec.healthCheckNodePort',
      spec.healthCheckNodePort,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  }
  if (previous) checkUpdate(report, spec, previous.spec);
}

function checkPorts(report: Report, spec: corev1.ServiceSpec): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const seen = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    if (!port.name) {
      if (ports.length > 1) report.required(`${field}.name`);
    } else {
      report.form(`${field}.name`, port.name, dnsLabelProblem(port.name));
      if (names.has(port.name)) report.duplicate(`${field}.name`, port.name);
      names.add(port.name);
    }
    const problem = portProblem(port.port);
    if (problem) report.invalid(`${field}.port`, port.port, problem);
    if (!port.protocol) report.required(`${field}.protocol`);
    if (port.targetPort !== undefined && port.targetPort !== 0 && port.targetPort !== '') {
      const targetProblem = portRefProblem(port.targetPort);
      if (targetProblem) report.invalid(`${field}.targetPort`, port.targetPort, targetProblem);
    }
    if (port.appProtocol) report.form(`${field}.appProtocol`, port.appProtocol, qualifiedNameProblem(port.appProtocol));
    const key = `${port.protocol}/${port.port}`;
    if (seen.has(key)) report.duplicate(field, { protocol: port.protocol, port: port.port });
    seen.add(key);
    if (!port.nodePort) continue;
    if (!exposesNodePorts(spec.type)) {
      report.forbidden(`${field}.nodePort`, `may not be used when \`type\` is '${spec.type}'`);
      continue;
    }
    const nodeProblem = portProblem(port.nodePort);
    if (nodeProblem) report.invalid(`${field}.nodePort`, port.nodePort, nodeProblem);
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodeKey)) report.duplicate(`${field}.nodePort`, port.nodePort);
    nodePorts.add(nodeKey);
  }
}

function checkAddresses(report: Report, spec: corev1.ServiceSpec): void {
  const addresses = spec.clusterIPs ?? [];
  if (spec.type === 'ExternalName') {
    if (addressesOf(spec).length > 0)
      report.forbidden('spec.clusterIPs', "may not be set when `type` is 'ExternalName'");
    return;
  }
  if (spec.clusterIP && addresses.length > 0 && spec.clusterIP !== addresses[0]) {
    report.invalid('spec.clusterIPs', addresses, 'first value must match `clusterIP`');
  }
  if (addresses.length > 2) report.invalid('spec.clusterIPs', addresses, 'may only hold up to 2 values');
  const seen = new Set<string>();
  for (const [index, address] of addressesOf(spec).entries()) {
    const field = `spec.clusterIPs[${index}]`;
    if (address === 'None') {
      if (exposesNodePorts(spec.type))
        report.invalid(field, address, `may not be set to 'None' for ${spec.type} services`);
      if (addresses.length > 1) report.invalid(field, address, "'None' must be the first and only value");
    } else {
      report.form(field, address, ipProblem(address));
      const family = spec.ipFamilies?.[index];
      if ((family === 'IPv4' || family === 'IPv6') && !ipProblem(address) && !isIpOfFamily(address, family)) {
        report.invalid(field, address, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``);
      }
    }
    if (seen.has(address)) report.duplicate(field, address);
    seen.add(address);
  }
  const families = spec.ipFamilies ?? [];
  if (families.length > 2) report.tooMany('spec.ipFamilies', families.length, 2);
  if (families.length === 2 && families[0] === families[1]) report.duplicate('spec.ipFamilies[1]', families[1]);
}

function checkSessionAffinity(report: Report, spec: corev1.ServiceSpec): void {
  if (!spec.sessionAffinity) report.required('spec.sessionAffinity');
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (spec.sessionAffinity === 'ClientIP') {
    if (seconds !== undefined && (seconds <= 0 || seconds > 86400)) {
      report.invalid(
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        seconds,
        'must be greater than 0 and less than 86400',
      );
    }
  } else if (spec.sessionAffinityConfig) {
    report.forbidden('spec.sessionAffinityConfig', "must not be set when session affinity is 'None'");
  }
}

/** Addresses once given stay, unless the type changes from or to one without addresses. */
function checkUpdate(report: Report, spec: corev1.ServiceSpec, before: corev1.ServiceSpec): void {
  if (spec.type === 'ExternalName' || before.type === 'ExternalName') return;
  const old = addressesOf(before);
  const now = addressesOf(spec);
  const [was, is] = [old[0], now[0]];
  if (was === undefined) return;
  if (is === undefined) report.invalid('spec.clusterIPs[0]', now, 'primary clusterIP can not be unset');
  else if (is !== was || (spec.clusterIP && spec.clusterIP !== was))
    report.invalid('spec.clusterIPs[0]', now, 'may not change once set');
  if (old.length > 1 && now.length > 1 && old[1] !== now[1])
    report.invalid('spec.clusterIPs[1]', now, 'may not change once set');
  const [family, familyBefore] = [spec.ipFamilies?.[0], before.ipFamilies?.[0]];
  if (familyBefore && family && family !== familyBefore)
    report.invalid('spec.ipFamilies[0]', family, 'field is immutable');
}
