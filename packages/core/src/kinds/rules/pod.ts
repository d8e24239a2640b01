/**
 * Rules of pods and of pod templates, and of what an update of a pod may change. Source: core/validation `ValidatePodCreate`,
 * `ValidatePodSpec`, `ValidatePodUpdate` (v0.33).
 *
 * A difference: an update may set `spec.nodeName` where it was empty, which upstream only the binding subresource does. Ephemeral
 * containers and resources change through subresources, whose own rules are the server's.
 */
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import { checkAffinity, checkTolerations, checkTopologySpread } from './affinity.js';
import { checkContainers } from './container.js';
import { ipProblem } from './forms.js';
import { checkAnnotations, checkLabels } from './metadata.js';
import { type Report, sameValue } from './report.js';
import { checkVolumes } from './volume.js';

export function checkPod(report: Report, pod: corev1.Pod, previous?: corev1.Pod): void {
  checkPodSpec(report, pod.spec ?? {}, 'spec');
  if (previous) checkPodUpdate(report, pod.spec, previous.spec);
}

/** The template of a workload: its labels, annotations and pod. */
export function checkPodTemplate(report: Report, template: corev1.PodTemplateSpec, field: string): void {
  checkLabels(report, template.metadata?.labels, `${field}.labels`);
  checkAnnotations(report, template.metadata?.annotations, `${field}.annotations`);
  checkPodSpec(report, template.spec ?? ({} as corev1.PodSpec), `${field}.spec`);
}

function checkPodSpec(report: Report, spec: corev1.PodSpec, field: string): void {
  const volumes = checkVolumes(report, spec.volumes, `${field}.volumes`);
  const graceSeconds = spec.terminationGracePeriodSeconds;
  checkContainers(
    report,
    spec,
    { volumes, hostNetwork: spec.hostNetwork === true, ...(graceSeconds === undefined ? {} : { graceSeconds }) },
    field,
  );
  if (!spec.restartPolicy) report.required(`${field}.restartPolicy`);
  if (!spec.dnsPolicy) report.required(`${field}.dnsPolicy`);
  report.notNegative(`${field}.terminationGracePeriodSeconds`, graceSeconds);
  report.within(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 1, 2147483647);
  checkLabels(report, spec.nodeSelector, `${field}.nodeSelector`);
  if (spec.nodeName) report.form(`${field}.nodeName`, spec.nodeName, dnsSubdomainProblem(spec.nodeName));
  if (spec.serviceAccountName)
    report.form(`${field}.serviceAccountName`, spec.serviceAccountName, dnsSubdomainProblem(spec.serviceAccountName));
  if (spec.hostname) report.form(`${field}.hostname`, spec.hostname, dnsLabelProblem(spec.hostname));
  if (spec.subdomain) report.form(`${field}.subdomain`, spec.subdomain, dnsLabelProblem(spec.subdomain));
  if (spec.priorityClassName)
    report.form(`${field}.priorityClassName`, spec.priorityClassName, dnsSubdomainProblem(spec.priorityClassName));
  if (spec.runtimeClassName)
    report.form(`${field}.runtimeClassName`, spec.runtimeClassName, dnsSubdomainProblem(spec.runtimeClassName));
  if (spec.schedulerName)
    report.form(`${field}.schedulerName`, spec.schedulerName, dnsSubdomainProblem(spec.schedulerName));
  for (const [index, alias] of (spec.hostAliases ?? []).entries()) {
    report.form(`${field}.hostAliases[${index}].ip`, alias.ip, ipProblem(alias.ip));
    for (const name of alias.hostnames ?? [])
      report.form(`${field}.hostAliases[${index}].hostnames`, name, dnsSubdomainProblem(name));
  }
  for (const [index, gate] of (spec.readinessGates ?? []).entries()) {
    report.form(
      `${field}.readinessGates[${index}].conditionType`,
      gate.conditionType,
      qualifiedNameProblem(gate.conditionType),
    );
  }
  const gates = new Set<string>();
  for (const [index, gate] of (spec.schedulingGates ?? []).entries()) {
    report.form(`${field}.schedulingGates[${index}]`, gate.name, qualifiedNameProblem(gate.name));
    if (gates.has(gate.name)) report.duplicate(`${field}.schedulingGates[${index}]`, gate.name);
    gates.add(gate.name);
  }
  if (gates.size > 0 && spec.nodeName)
    report.forbidden(`${field}.nodeName`, 'cannot be set until all schedulingGates have been cleared');
  checkAffinity(report, spec.affinity, `${field}.affinity`);
  checkTolerations(report, spec.tolerations, `${field}.tolerations`);
  checkTopologySpread(report, spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`);
  checkSecurity(report, spec.securityContext, `${field}.securityContext`);
  checkDns(report, spec, field);
}

function checkSecurity(report: Report, security: corev1.PodSecurityContext | undefined, field: string): void {
  if (!security) return;
  for (const name of ['runAsUser', 'runAsGroup', 'fsGroup'] as const)
    report.within(`${field}.${name}`, security[name], 0, 2147483647);
  for (const [index, group] of (security.supplementalGroups ?? []).entries()) {
    report.within(`${field}.supplementalGroups[${index}]`, group, 0, 2147483647);
  }
}

/** core/validation: at most 3 name servers, 32 search paths. */
function checkDns(report: Report, spec: corev1.PodSpec, field: string): void {
  const dns = spec.dnsConfig;
  const at = `${field}.dnsConfig`;
  if (spec.dnsPolicy === 'None' && !dns?.nameservers?.length) {
    report.required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None');
  }
  if (!dns) return;
  if ((dns.nameservers?.length ?? 0) > 3)
    report.invalid(`${at}.nameservers`, dns.nameservers, 'must not have more than 3 nameservers');
  for (const [index, server] of (dns.nameservers ?? []).entries())
    report.form(`${at}.nameservers[${index}]`, server, ipProblem(server));
  if ((dns.searches?.length ?? 0) > 32)
    report.invalid(`${at}.searches`, dns.searches, 'must not have more than 32 search paths');
}

const mayChange =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function checkPodUpdate(report: Report, spec: corev1.PodSpec, before: corev1.PodSpec): void {
  if (sameValue(spec, before)) return;
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (before[list]?.length ?? 0)) {
      report.forbidden(`spec.${list}`, 'pod updates may not add or remove containers');
      return;
    }
  }
  checkDeadline(report, spec.activeDeadlineSeconds, before.activeDeadlineSeconds);
  checkTolerationsUpdate(report, spec.tolerations ?? [], before.tolerations ?? []);
  const gatesBefore = new Set(before.schedulingGates?.map(gate => gate.name));
  for (const gate of spec.schedulingGates ?? []) {
    if (!gatesBefore.has(gate.name))
      report.forbidden('spec.schedulingGates', 'only deletion is allowed, but found new scheduling gate');
  }
  const munged: corev1.PodSpec = {
    ...spec,
    containers: withImagesOf(spec.containers, before.containers),
    initContainers: withImagesOf(spec.initContainers ?? [], before.initContainers ?? []),
  };
  for (const name of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'] as const) {
    (munged as unknown as Record<string, unknown>)[name] = before[name];
  }
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    munged.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds!;
  }
  if (!before.nodeName && spec.nodeName) delete munged.nodeName;
  // A gated pod is not scheduled yet: where it may run can still be narrowed.
  if (gatesBefore.size > 0) {
    munged.nodeSelector = before.nodeSelector ?? {};
    munged.affinity = before.affinity ?? {};
  }
  if (sameValue(munged, before)) return;
  const changed = Object.keys({ ...munged, ...before }).filter(
    name => !sameValue(munged[name as keyof corev1.PodSpec], before[name as keyof corev1.PodSpec]),
  );
  report.forbidden('spec', `${mayChange}; changed: ${changed.map(name => `spec.${name}`).join(', ')}`);
}

function withImagesOf(
  containers: readonly corev1.Container[],
  before: readonly corev1.Container[],
): corev1.Container[] {
  return containers.map((container, index) => {
    const image = before[index]?.image;
    return image === undefined ? container : { ...container, image };
  });
}

function checkDeadline(report: Report, deadline: number | undefined, before: number | undefined): void {
  if (before === undefined) return;
  if (deadline === undefined)
    report.invalid('spec.activeDeadlineSeconds', null, 'must not update from a positive integer to nil value');
  else if (deadline > before)
    report.invalid('spec.activeDeadlineSeconds', deadline, 'must be less than or equal to previous value');
}

/** Existing tolerations stay, except that their seconds may change. */
function checkTolerationsUpdate(
  report: Report,
  tolerations: readonly corev1.Toleration[],
  before: readonly corev1.Toleration[],
): void {
  const bare = ({ tolerationSeconds: _, ...rest }: corev1.Toleration): object => rest;
  for (const old of before) {
    if (!tolerations.some(each => sameValue(bare(each), bare(old)))) {
      report.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds');
      return;
    }
  }
}
