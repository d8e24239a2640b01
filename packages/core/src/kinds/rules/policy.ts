/**
 * Rules of PodDisruptionBudgets, PriorityClasses and RuntimeClasses. Source: policy/validation, scheduling/validation,
 * node/validation (v0.33).
 */
import { dnsLabelProblem } from '../../meta/names.js';
import type { nodev1, policyv1, schedulingv1 } from '../generated/types/index.js';
import { checkTolerations } from './affinity.js';
import { checkLabels } from './metadata.js';
import type { Report } from './report.js';
import { checkAmounts } from './resources.js';
import { checkLabelSelector } from './selector.js';
import { checkCounts, checkShare } from './workload.js';

export function checkDisruptionBudget(report: Report, { spec, status }: policyv1.PodDisruptionBudget): void {
  if (spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined)
    report.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set');
  for (const name of ['minAvailable', 'maxUnavailable'] as const) {
    const share = spec?.[name];
    if (share === undefined) continue;
    const value = checkShare(report, share, `spec.${name}`);
    if (typeof share === 'string' && (value ?? 0) > 100)
      report.invalid(`spec.${name}`, share, 'must not be greater than 100%');
  }
  checkLabelSelector(report, spec?.selector, 'spec.selector');
  const policy = spec?.unhealthyPodEvictionPolicy;
  if (policy !== undefined && policy !== 'IfHealthyBudget' && policy !== 'AlwaysAllow')
    report.unsupported('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']);
  checkCounts(report, status ?? {}, ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods']);
}

const highestUserPriority = 1_000_000_000;
const systemPrefix = 'system-';
/** What Kubernetes makes by itself. */
const systemPriorities: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

function systemClassProblem({ metadata, value, globalDefault }: schedulingv1.PriorityClass): string | undefined {
  const known = systemPriorities[metadata.name];
  if (known === undefined) return `${metadata.name} is not a known system priority class`;
  if (value !== known) return `value of ${metadata.name} PriorityClass must be ${known}`;
  if (globalDefault) return `globalDefault of ${metadata.name} PriorityClass must be false`;
  return undefined;
}

export function checkPriorityClass(
  report: Report,
  priorityClass: schedulingv1.PriorityClass,
  previous?: schedulingv1.PriorityClass,
): void {
  const { metadata, value, preemptionPolicy } = priorityClass;
  if (metadata.name?.startsWith(systemPrefix)) {
    const problem = systemClassProblem(priorityClass);
    if (problem)
      report.forbidden(
        'metadata.name',
        `priority class names with '${systemPrefix}' prefix are reserved for system use only. error: ${problem}`,
      );
  } else if (value > highestUserPriority) {
    report.forbidden('value', `maximum allowed value of a user defined priority is ${highestUserPriority}`);
  }
  if (preemptionPolicy !== undefined) {
    if (preemptionPolicy !== 'PreemptLowerPriority' && preemptionPolicy !== 'Never')
      report.unsupported('preemptionPolicy', preemptionPolicy, ['Never', 'PreemptLowerPriority']);
  }
  if (!previous) return;
  if (value !== previous.value) report.forbidden('value', 'may not be changed in an update.');
  report.immutable('preemptionPolicy', preemptionPolicy, previous.preemptionPolicy);
}

export function checkRuntimeClass(
  report: Report,
  { handler, overhead, scheduling }: nodev1.RuntimeClass,
  previous?: nodev1.RuntimeClass,
): void {
  if (!handler) report.required('handler');
  else report.form('handler', handler, dnsLabelProblem(handler));
  checkAmounts(report, overhead?.podFixed, 'overhead.podFixed');
  checkLabels(report, scheduling?.nodeSelector, 'scheduling.nodeSelector');
  checkTolerations(report, scheduling?.tolerations, 'scheduling.tolerations');
  if (previous) report.immutable('handler', handler, previous.handler);
}
