/** Rules of HorizontalPodAutoscalers. Source: autoscaling/validation (v0.33). */
import type { autoscalingv2 } from '../generated/types/index.js';
import type { Report } from './report.js';
import { checkQuantity } from './resources.js';
import { checkLabelSelector } from './selector.js';

export function checkAutoscaler(report: Report, autoscaler: autoscalingv2.HorizontalPodAutoscaler): void {
  const { spec } = autoscaler;
  checkReference(report, spec.scaleTargetRef, 'spec.scaleTargetRef');
  if (spec.minReplicas !== undefined && spec.minReplicas < 1) {
    report.invalid('spec.minReplicas', spec.minReplicas, 'must be greater than or equal to 1');
  }
  report.positive('spec.maxReplicas', spec.maxReplicas);
  if (spec.minReplicas !== undefined && spec.maxReplicas < spec.minReplicas) {
    report.invalid('spec.maxReplicas', spec.maxReplicas, 'must be greater than or equal to `minReplicas`');
  }
  for (const [index, metric] of (spec.metrics ?? []).entries()) checkMetric(report, metric, `spec.metrics[${index}]`);
  for (const direction of ['scaleUp', 'scaleDown'] as const) {
    const rules = spec.behavior?.[direction];
    if (rules) checkScaling(report, rules, `spec.behavior.${direction}`);
  }
}

function checkReference(
  report: Report,
  reference: autoscalingv2.CrossVersionObjectReference | undefined,
  field: string,
): void {
  if (!reference?.kind) report.required(`${field}.kind`);
  if (!reference?.name) report.required(`${field}.name`);
}

const sources = {
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
  External: 'external',
} as const;

function checkMetric(report: Report, metric: autoscalingv2.MetricSpec, field: string): void {
  const expected = sources[metric.type as keyof typeof sources];
  if (!metric.type) report.required(`${field}.type`, 'must specify a metric source type');
  else if (!expected) report.unsupported(`${field}.type`, metric.type, Object.keys(sources));
  const given = Object.values(sources).filter(name => metric[name]);
  for (const extra of given.slice(1))
    report.forbidden(`${field}.${extra}`, 'must populate the given metric source only');
  if (!expected) return;
  const source = metric[expected];
  if (!source) {
    report.required(`${field}.${expected}`, 'must populate information for the given metric source');
    return;
  }
  const at = `${field}.${expected}`;
  if ('name' in source && !source.name) report.required(`${at}.name`, 'must specify a resource name');
  if ('container' in source && !source.container) report.required(`${at}.container`, 'must specify a container');
  if ('metric' in source) {
    if (!source.metric?.name) report.required(`${at}.metric.name`, 'must specify a metric name');
    checkLabelSelector(report, source.metric?.selector, `${at}.metric.selector`);
  }
  if ('describedObject' in source) checkReference(report, source.describedObject, `${at}.describedObject`);
  checkTarget(report, source.target ?? { type: '' }, metric.type, `${at}.target`);
}

function checkTarget(report: Report, target: autoscalingv2.MetricTarget, metricType: string, field: string): void {
  report.oneOf(`${field}.type`, target.type, ['Utilization', 'Value', 'AverageValue']);
  report.positive(`${field}.averageUtilization`, target.averageUtilization);
  for (const name of ['value', 'averageValue'] as const) {
    const amount = target[name];
    if (amount === undefined) continue;
    if (checkQuantity(report, amount, `${field}.${name}`)?.isZero())
      report.invalid(`${field}.${name}`, amount, 'must be positive');
  }
  const { averageUtilization, averageValue, value } = target;
  if (metricType === 'Resource' || metricType === 'ContainerResource') {
    if (averageUtilization === undefined && averageValue === undefined) {
      report.required(`${field}.averageUtilization`, 'must set either a target raw value or a target utilization');
    }
    if (averageUtilization !== undefined && averageValue !== undefined) {
      report.forbidden(`${field}.averageValue`, 'may not set both a target raw value and a target utilization');
    }
  } else if (metricType === 'Pods') {
    if (averageValue === undefined)
      report.required(`${field}.averageValue`, 'must specify a positive target averageValue');
  } else if (value === undefined && averageValue === undefined) {
    report.required(`${field}.averageValue`, 'must set either a target value for metric or a per-pod target');
  } else if (value !== undefined && averageValue !== undefined) {
    report.forbidden(`${field}.value`, 'may not set both a target value for metric and a per-pod target');
  }
}

function checkScaling(report: Report, rules: autoscalingv2.HPAScalingRules, field: string): void {
  const window = rules.stabilizationWindowSeconds;
  report.notNegative(`${field}.stabilizationWindowSeconds`, window);
  if (window !== undefined && window > 3600) {
    report.invalid(`${field}.stabilizationWindowSeconds`, window, 'must be less than or equal to 3600');
  }
  if (rules.selectPolicy && !['Max', 'Min', 'Disabled'].includes(rules.selectPolicy)) {
    report.unsupported(`${field}.selectPolicy`, rules.selectPolicy, ['Max', 'Min', 'Disabled']);
  }
  if (!rules.policies?.length) report.required(`${field}.policies`, 'must specify at least one Policy');
  for (const [index, policy] of (rules.policies ?? []).entries()) {
    const at = `${field}.policies[${index}]`;
    if (policy.type !== 'Pods' && policy.type !== 'Percent')
      report.unsupported(`${at}.type`, policy.type, ['Pods', 'Percent']);
    report.positive(`${at}.value`, policy.value);
    report.positive(`${at}.periodSeconds`, policy.periodSeconds);
    if (policy.periodSeconds > 1800)
      report.invalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be less than or equal to 1800');
  }
}
