/** Rules of Ingresses and IngressClasses. Source: networking/validation (v0.33). */
import { isIP } from 'node:net';
import { dns1035LabelProblem, dnsSubdomainProblem } from '../../meta/names.js';
import type { networkingv1 } from '../generated/types/index.js';
import { pathSegmentProblem, portNameProblem, portProblem } from './forms.js';
import { checkFinalizers } from './metadata.js';
import type { Report } from './report.js';

const classAnnotation = 'kubernetes.io/ingress.class';

export function checkIngress(
  report: Report,
  { metadata, spec, status }: networkingv1.Ingress,
  previous?: networkingv1.Ingress,
): void {
  checkFinalizers(report, metadata.finalizers, 'metadata.finalizers');
  const annotated = metadata.annotations?.[classAnnotation];
  if (!previous && annotated !== undefined && spec?.ingressClassName !== undefined)
    report.invalid(
      `metadata.annotations.${classAnnotation}`,
      annotated,
      'can not be set when the class field is also set',
    );
  if (!spec?.rules?.length && !spec?.defaultBackend)
    report.invalid('spec', spec?.rules ?? [], 'either `defaultBackend` or `rules` must be specified');
  if (spec?.defaultBackend) checkBackend(report, spec.defaultBackend, 'spec.defaultBackend');
  for (const [index, { hosts }] of (spec?.tls ?? []).entries())
    for (const [at, host] of (hosts ?? []).entries()) checkHost(report, host, `spec.tls[${index}].hosts[${at}]`);
  for (const [index, rule] of (spec?.rules ?? []).entries()) {
    const field = `spec.rules[${index}]`;
    if (rule.host) {
      if (isIP(rule.host)) report.invalid(`${field}.host`, rule.host, 'must be a DNS name, not an IP address');
      checkHost(report, rule.host, `${field}.host`);
    }
    if (rule.http && !rule.http.paths?.length) report.required(`${field}.http.paths`);
    for (const [at, path] of (rule.http?.paths ?? []).entries()) checkPath(report, path, `${field}.http.paths[${at}]`);
  }
  if (spec?.ingressClassName !== undefined)
    report.form('spec.ingressClassName', spec.ingressClassName, dnsSubdomainProblem(spec.ingressClassName));
  for (const [index, { ip, hostname }] of (status?.loadBalancer?.ingress ?? []).entries()) {
    const field = `status.loadBalancer.ingress[${index}]`;
    if (ip && !isIP(ip))
      report.invalid(`${field}.ip`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)');
    if (hostname && isIP(hostname))
      report.invalid(`${field}.hostname`, hostname, 'must be a DNS name, not an IP address');
  }
}

/** A name, or one whose first label is `*`. */
function checkHost(report: Report, host: string, field: string): void {
  if (!host.includes('*')) {
    report.form(field, host, dnsSubdomainProblem(host));
    return;
  }
  if (host.startsWith('*.') && dnsSubdomainProblem(host.slice(2)) === undefined) return;
  report.invalid(
    field,
    host,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  );
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const forbiddenParts = ['//', '/./', '/../', '%2f', '%2F'];
const forbiddenEnds = ['/..', '/.'];

function checkPath(report: Report, path: networkingv1.HTTPIngressPath, field: string): void {
  const { pathType, path: text = '' } = path;
  if (!pathType) {
    report.required(`${field}.pathType`, 'pathType must be specified');
  } else if (!pathTypes.includes(pathType)) {
    report.unsupported(`${field}.pathType`, pathType, pathTypes);
  } else if (pathType === 'ImplementationSpecific') {
    if (text !== '' && !text.startsWith('/')) report.invalid(`${field}.path`, text, 'must be an absolute path');
  } else {
    if (!text.startsWith('/')) report.invalid(`${field}.path`, text, 'must be an absolute path');
    for (const part of forbiddenParts)
      if (text.includes(part)) report.invalid(`${field}.path`, text, `must not contain '${part}'`);
    for (const end of forbiddenEnds)
      if (text.endsWith(end)) report.invalid(`${field}.path`, text, `cannot end with '${end}'`);
  }
  checkBackend(report, path.backend ?? {}, `${field}.backend`);
}

function checkBackend(report: Report, { service, resource }: networkingv1.IngressBackend, field: string): void {
  if (resource && service) {
    report.invalid(field, '', 'cannot set both resource and service backends');
    return;
  }
  if (resource) {
    if (!resource.kind) report.required(`${field}.resource.kind`);
    if (!resource.name) report.required(`${field}.resource.name`);
    return;
  }
  if (!service) {
    report.required(field, 'must specify a service or a resource');
    return;
  }
  if (!service.name) report.required(`${field}.service.name`);
  else report.form(`${field}.service.name`, service.name, dns1035LabelProblem(service.name));
  const { name, number } = service.port ?? {};
  const at = `${field}.service.port`;
  if (name && number) report.invalid(at, '', 'cannot set both port name & port number');
  else if (name) report.form(`${at}.name`, name, portNameProblem(name));
  else if (number !== undefined && number !== 0) {
    const problem = portProblem(number);
    if (problem) report.invalid(`${at}.number`, number, problem);
  } else report.required(at, 'port name or number is required');
}

const maxControllerLength = 250;

export function checkIngressClass(
  report: Report,
  { spec }: networkingv1.IngressClass,
  previous?: networkingv1.IngressClass,
): void {
  const controller = spec?.controller ?? '';
  if (controller.length > maxControllerLength) report.tooLong('spec.controller', maxControllerLength);
  const [domain, ...path] = controller.split('/');
  if (controller === '') {
    if (!previous) report.required('spec.controller');
  } else if (path.length === 0 || path.join('/') === '') {
    report.invalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")');
  } else {
    report.form('spec.controller', controller, dnsSubdomainProblem(domain!));
  }
  if (previous) report.immutable('spec.controller', spec?.controller, previous.spec?.controller);
  const parameters = spec?.parameters;
  if (!parameters) return;
  const field = 'spec.parameters';
  if (parameters.apiGroup)
    report.form(`${field}.apiGroup`, parameters.apiGroup, dnsSubdomainProblem(parameters.apiGroup));
  if (!parameters.kind) report.required(`${field}.kind`, 'kind is required');
  if (!parameters.name) report.required(`${field}.name`, 'name is required');
  else report.form(`${field}.name`, parameters.name, pathSegmentProblem(parameters.name));
  if (!parameters.scope) report.required(`${field}.scope`);
  else if (parameters.scope !== 'Cluster' && parameters.scope !== 'Namespace')
    report.unsupported(`${field}.scope`, parameters.scope, ['Cluster', 'Namespace']);
  if (parameters.scope === 'Namespace' && !parameters.namespace)
    report.required(`${field}.namespace`, "`parameters.scope` is set to 'Namespace'");
  if (parameters.scope === 'Cluster' && parameters.namespace !== undefined)
    report.forbidden(`${field}.namespace`, "`parameters.scope` is set to 'Cluster'");
}
