/**
 * Rules of ReplicaSets and Deployments, and what all that keeps pods running has in common. Source: apps/validation
 * `ValidateReplicaSetSpec`, `ValidateDeploymentSpec` (v0.33).
 */
import { labelSelectorOf } from '../../meta/label-selector.js';
import type { LabelSelector } from '../../meta/object.js';
import type { appsv1, corev1 } from '../generated/types/index.js';
import { percentProblem } from './forms.js';
import { checkPodTemplate } from './pod.js';
import type { Report } from './report.js';
import { checkLabelSelector, isEmptySelector } from './selector.js';

interface WorkloadSpec {
  selector?: LabelSelector;
  template?: corev1.PodTemplateSpec;
}

/** A selector that is there, selects something, and selects the template; and a template that may run for ever. */
export function checkSelectorAndTemplate(report: Report, spec: WorkloadSpec, kind: string, owner = 'ReplicaSet'): void {
  const { selector, template } = spec;
  let selectable = false;
  if (!selector) {
    report.required('spec.selector');
  } else {
    selectable = checkLabelSelector(report, selector, 'spec.selector');
    if (isEmptySelector(selector)) {
      report.invalid('spec.selector', selector, `empty selector is invalid for ${kind}`);
      selectable = false;
    }
  }
  if (!template) {
    report.required('spec.template');
    return;
  }
  const labels = template.metadata?.labels ?? {};
  if (selectable && !labelSelectorOf(selector).matches(labels)) {
    report.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  }
  checkLastingTemplate(report, template, owner);
}

/** A template of pods that are meant to run for ever. */
export function checkLastingTemplate(report: Report, template: corev1.PodTemplateSpec, owner: string): void {
  checkPodTemplate(report, template, 'spec.template');
  const restartPolicy = template.spec?.restartPolicy;
  if (restartPolicy && restartPolicy !== 'Always')
    report.unsupported('spec.template.spec.restartPolicy', restartPolicy, ['Always']);
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    report.forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${owner} is not Supported`);
  }
}

export function checkReplicaSet(report: Report, set: appsv1.ReplicaSet, previous?: appsv1.ReplicaSet): void {
  const { spec } = set;
  report.notNegative('spec.replicas', spec.replicas);
  report.notNegative('spec.minReadySeconds', spec.minReadySeconds);
  checkSelectorAndTemplate(report, spec, 'deployment');
  if (previous) report.immutable('spec.selector', spec.selector, previous.spec.selector);
  const { replicas, fullyLabeledReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = set.status ?? {};
  checkCounts(report, set.status ?? {}, [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ]);
  if (replicas === undefined) return;
  if (fullyLabeledReplicas > replicas)
    report.invalid('status.fullyLabeledReplicas', fullyLabeledReplicas, 'cannot be greater than status.replicas');
  if (readyReplicas > replicas)
    report.invalid('status.readyReplicas', readyReplicas, 'cannot be greater than status.replicas');
  if (availableReplicas > replicas)
    report.invalid('status.availableReplicas', availableReplicas, 'cannot be greater than status.replicas');
  if (availableReplicas > readyReplicas)
    report.invalid('status.availableReplicas', availableReplicas, 'cannot be greater than readyReplicas');
}

export function checkDeployment(report: Report, deployment: appsv1.Deployment, previous?: appsv1.Deployment): void {
  const { spec } = deployment;
  report.notNegative('spec.replicas', spec.replicas);
  report.notNegative('spec.minReadySeconds', spec.minReadySeconds);
  report.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit);
  checkSelectorAndTemplate(report, spec, 'deployment');
  checkStrategy(report, spec.strategy ?? {});
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined) {
    report.notNegative('spec.progressDeadlineSeconds', deadline);
    if (deadline <= (spec.minReadySeconds ?? 0)) {
      report.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds');
    }
  }
  if (previous) report.immutable('spec.selector', spec.selector, previous.spec.selector);
  checkCounts(report, deployment.status ?? {}, [
    'observedGeneration',
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
    'collisionCount',
  ]);
}

export function checkCounts<S extends object>(report: Report, status: S, names: readonly (keyof S & string)[]): void {
  for (const name of names) report.notNegative(`status.${name}`, status[name] as number | undefined);
}

function checkStrategy(report: Report, strategy: appsv1.DeploymentStrategy): void {
  const field = 'spec.strategy';
  const { type, rollingUpdate } = strategy;
  if (type === 'Recreate') {
    if (rollingUpdate)
      report.forbidden(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'");
    return;
  }
  if (!type) report.required(`${field}.type`);
  if (type !== 'RollingUpdate') return;
  if (!rollingUpdate) {
    report.required(`${field}.rollingUpdate`, 'this should be defaulted and never be nil');
    return;
  }
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
  const unavailable = checkShare(report, maxUnavailable, `${field}.rollingUpdate.maxUnavailable`);
  const surge = checkShare(report, maxSurge, `${field}.rollingUpdate.maxSurge`);
  if (unavailable === 0 && surge === 0) {
    report.invalid(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0');
  }
  if (typeof maxUnavailable === 'string' && (unavailable ?? 0) > 100) {
    report.invalid(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable, 'must not be greater than 100%');
  }
}

/** Answers the number or percentage, undefined when it is neither. */
export function checkShare(report: Report, share: number | string, field: string): number | undefined {
  if (typeof share === 'number') {
    report.notNegative(field, share);
    return share;
  }
  const problem = percentProblem(share);
  if (problem) {
    report.invalid(field, share, problem);
    return undefined;
  }
  return Number(share.slice(0, -1));
}
