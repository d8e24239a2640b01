/** Defaults of limits, priorities, role bindings and flow control. Source: defaults of each group's v1 (v0.33). */
import type { corev1, flowcontrolv1, rbacv1, schedulingv1 } from '../generated/types/index.js';

/** What a container may use at most is its default limit; what it is limited to, or must ask for, is its default request. */
export function defaultLimitRange({ spec }: corev1.LimitRange): void {
  for (const item of spec.limits ?? []) {
    if (item.type !== 'Container') continue;
    item.default = { ...item.max, ...item.default };
    item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    for (const name of ['default', 'defaultRequest'] as const)
      if (Object.keys(item[name]!).length === 0) delete item[name];
  }
}

export function defaultPriorityClass(priorityClass: schedulingv1.PriorityClass): void {
  priorityClass.preemptionPolicy ??= 'PreemptLowerPriority';
}

const rbacGroup = 'rbac.authorization.k8s.io';

export function defaultRoleBinding({ roleRef, subjects }: rbacv1.RoleBinding | rbacv1.ClusterRoleBinding): void {
  roleRef.apiGroup ||= rbacGroup;
  for (const subject of subjects ?? [])
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= rbacGroup;
}

export function defaultFlowSchema({ spec }: flowcontrolv1.FlowSchema): void {
  spec.matchingPrecedence ||= 1000;
}

export function defaultPriorityLevel({ spec }: flowcontrolv1.PriorityLevelConfiguration): void {
  const { exempt, limited } = spec;
  if (exempt) {
    exempt.nominalConcurrencyShares ??= 0;
    exempt.lendablePercent ??= 0;
  }
  if (!limited) return;
  limited.nominalConcurrencyShares ??= 30;
  limited.lendablePercent ??= 0;
  const queuing = limited.limitResponse?.queuing;
  if (!queuing) return;
  queuing.handSize ||= 8;
  queuing.queues ||= 64;
  queuing.queueLengthLimit ||= 50;
}
