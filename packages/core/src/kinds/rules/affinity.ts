/**
 * Rules of what attracts and repels pods: node and pod affinity, tolerations, topology spread. Source: core/validation
 * `validateAffinity`, `ValidateTolerations`, `validateTopologySpreadConstraints` (v0.33).
 */
import { dnsLabelProblem, labelValueProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import type { Report } from './report.js';
import { checkLabelSelector } from './selector.js';

export function checkAffinity(report: Report, affinity: corev1.Affinity | undefined, field: string): void {
  if (!affinity) return;
  const node = affinity.nodeAffinity;
  if (node?.requiredDuringSchedulingIgnoredDuringExecution) {
    checkNodeSelector(
      report,
      node.requiredDuringSchedulingIgnoredDuringExecution,
      `${field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`,
    );
  }
  for (const [index, term] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    checkWeight(report, term.weight, at);
    checkNodeTerm(report, term.preference ?? {}, `${at}.preference`);
  }
  checkPodAffinity(report, affinity.podAffinity, `${field}.podAffinity`);
  checkPodAffinity(report, affinity.podAntiAffinity, `${field}.podAntiAffinity`);
}

function checkWeight(report: Report, weight: number, at: string): void {
  if (weight <= 0 || weight > 100) report.invalid(`${at}.weight`, weight, 'must be in the range 1-100');
}

function checkNodeSelector(report: Report, selector: corev1.NodeSelector, field: string): void {
  const terms = selector.nodeSelectorTerms ?? [];
  if (terms.length === 0) report.required(`${field}.nodeSelectorTerms`, 'must have at least one node selector term');
  for (const [index, term] of terms.entries()) checkNodeTerm(report, term, `${field}.nodeSelectorTerms[${index}]`);
}

function checkNodeTerm(report: Report, term: corev1.NodeSelectorTerm, field: string): void {
  for (const [index, { key, operator, values = [] }] of (term.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          report.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0)
          report.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        break;
      case 'Gt':
      case 'Lt':
        if (values.length !== 1)
          report.required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        break;
      default:
        if (!operator) report.invalid(`${at}.operator`, '', 'not a valid selector operator');
    }
    report.form(`${at}.key`, key, qualifiedNameProblem(key));
    for (const [valueIndex, value] of values.entries()) {
      report.form(`${at}.values[${valueIndex}]`, value, labelValueProblem(value));
    }
  }
  for (const [index, { key, operator, values = [] }] of (term.matchFields ?? []).entries()) {
    const at = `${field}.matchFields[${index}]`;
    if (operator !== 'In' && operator !== 'NotIn')
      report.invalid(`${at}.operator`, operator, 'not a valid selector operator');
    else if (values.length !== 1) {
      report.required(
        `${at}.values`,
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
    }
    if (key !== 'metadata.name') report.invalid(`${at}.key`, key, 'not a valid field selector key');
  }
}

function checkPodAffinity(report: Report, affinity: corev1.PodAffinity | undefined, field: string): void {
  for (const [index, term] of (affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    checkPodTerm(report, term, `${field}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`);
  }
  for (const [index, weighted] of (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${field}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    checkWeight(report, weighted.weight, at);
    checkPodTerm(report, weighted.podAffinityTerm, `${at}.podAffinityTerm`);
  }
}

function checkPodTerm(report: Report, term: corev1.PodAffinityTerm, field: string): void {
  checkLabelSelector(report, term.labelSelector, `${field}.labelSelector`);
  checkLabelSelector(report, term.namespaceSelector, `${field}.namespaceSelector`);
  for (const [index, namespace] of (term.namespaces ?? []).entries()) {
    report.form(`${field}.namespaces[${index}]`, namespace, dnsLabelProblem(namespace));
  }
  if (!term.topologyKey) report.required(`${field}.topologyKey`, 'can not be empty');
  else report.form(`${field}.topologyKey`, term.topologyKey, qualifiedNameProblem(term.topologyKey));
}

export function checkTolerations(
  report: Report,
  tolerations: readonly corev1.Toleration[] | undefined,
  path: string,
): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) {
    const field = `${path}[${index}]`;
    const { key, operator, value = '', effect, tolerationSeconds } = toleration;
    if (key) report.form(`${field}.key`, key, qualifiedNameProblem(key));
    else if (operator !== 'Exists') {
      report.invalid(
        `${field}.operator`,
        operator ?? '',
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      report.invalid(`${field}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (operator === undefined || operator === 'Equal')
      report.form(`${field}.operator`, value, labelValueProblem(value));
    else if (operator === 'Exists' && value !== '') {
      report.invalid(`${field}.operator`, toleration, "value must be empty when `operator` is 'Exists'");
    }
  }
}

export function checkTopologySpread(
  report: Report,
  constraints: readonly corev1.TopologySpreadConstraint[] | undefined,
  path: string,
): void {
  const seen = new Set<string>();
  for (const [index, constraint] of (constraints ?? []).entries()) {
    const field = `${path}[${index}]`;
    const { maxSkew, minDomains, topologyKey, whenUnsatisfiable } = constraint;
    if (maxSkew <= 0) report.invalid(`${field}.maxSkew`, maxSkew, 'must be greater than zero');
    if (!topologyKey) report.required(`${field}.topologyKey`, 'can not be empty');
    if (!whenUnsatisfiable) report.unsupported(`${field}.whenUnsatisfiable`, '', ['DoNotSchedule', 'ScheduleAnyway']);
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (seen.has(pair)) report.duplicate(`${field}.{topologyKey, whenUnsatisfiable}`, pair);
    seen.add(pair);
    if (minDomains !== undefined) {
      report.positive(`${field}.minDomains`, minDomains);
      if (whenUnsatisfiable === 'ScheduleAnyway') {
        report.invalid(
          `${field}.minDomains`,
          minDomains,
          'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
        );
      }
    }
    checkLabelSelector(report, constraint.labelSelector, `${field}.labelSelector`);
  }
}
