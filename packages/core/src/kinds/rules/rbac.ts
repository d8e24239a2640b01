/** Rules of roles and role bindings. Source: rbac/validation (v0.33). */
import type { rbacv1 } from '../generated/types/index.js';
import { pathSegmentProblem } from './forms.js';
import { type Report, sameValue } from './report.js';
import { checkLabelSelector } from './selector.js';

const rbacGroup = 'rbac.authorization.k8s.io';

export function checkRole(report: Report, { rules }: rbacv1.Role): void {
  for (const [index, rule] of (rules ?? []).entries()) checkRule(report, rule, true, `rules[${index}]`);
}

export function checkClusterRole(report: Report, { rules, aggregationRule }: rbacv1.ClusterRole): void {
  for (const [index, rule] of (rules ?? []).entries()) checkRule(report, rule, false, `rules[${index}]`);
  if (!aggregationRule) return;
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  const field = 'aggregationRule.clusterRoleSelectors';
  if (selectors.length === 0)
    report.required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil');
  for (const [index, selector] of selectors.entries()) checkLabelSelector(report, selector, `${field}[${index}]`);
}

function checkRule(report: Report, rule: rbacv1.PolicyRule, namespaced: boolean, field: string): void {
  if (!rule.verbs?.length) report.required(`${field}.verbs`, 'verbs must contain at least one value');
  const urls = rule.nonResourceURLs ?? [];
  if (urls.length > 0) {
    if (namespaced)
      report.invalid(`${field}.nonResourceURLs`, urls, 'namespaced rules cannot apply to non-resource URLs');
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
      report.invalid(
        `${field}.nonResourceURLs`,
        urls,
        'rules cannot apply to both regular resources and non-resource URLs',
      );
    return;
  }
  if (!rule.apiGroups?.length)
    report.required(`${field}.apiGroups`, 'resource rules must supply at least one api group');
  if (!rule.resources?.length)
    report.required(`${field}.resources`, 'resource rules must supply at least one resource');
}

export function checkRoleBinding(report: Report, binding: rbacv1.RoleBinding, previous?: rbacv1.RoleBinding): void {
  checkBinding(report, binding, ['Role', 'ClusterRole'], previous);
}

export function checkClusterRoleBinding(
  report: Report,
  binding: rbacv1.ClusterRoleBinding,
  previous?: rbacv1.ClusterRoleBinding,
): void {
  checkBinding(report, binding, ['ClusterRole'], previous);
}

type Binding = Pick<rbacv1.RoleBinding, 'roleRef' | 'subjects'>;

function checkBinding(
  report: Report,
  { roleRef, subjects }: Binding,
  kinds: readonly string[],
  previous: Binding | undefined,
): void {
  if (roleRef.apiGroup !== rbacGroup) report.unsupported('roleRef.apiGroup', roleRef.apiGroup, [rbacGroup]);
  if (!kinds.includes(roleRef.kind)) report.unsupported('roleRef.kind', roleRef.kind, kinds);
  if (!roleRef.name) report.required('roleRef.name');
  else report.form('roleRef.name', roleRef.name, pathSegmentProblem(roleRef.name));
  for (const [index, subject] of (subjects ?? []).entries()) checkSubject(report, subject, `subjects[${index}]`);
  if (previous && !sameValue(roleRef, previous.roleRef)) report.invalid('roleRef', roleRef, 'cannot change roleRef');
}

function checkSubject(report: Report, subject: rbacv1.Subject, field: string): void {
  if (!subject.name) report.required(`${field}.name`);
  switch (subject.kind) {
    case 'ServiceAccount':
      if (subject.name) report.form(`${field}.name`, subject.name, pathSegmentProblem(subject.name));
      if (subject.apiGroup) report.unsupported(`${field}.apiGroup`, subject.apiGroup, ['']);
      if (!subject.namespace) report.required(`${field}.namespace`);
      break;
    case 'User':
    case 'Group':
      if (subject.apiGroup !== rbacGroup) report.unsupported(`${field}.apiGroup`, subject.apiGroup ?? '', [rbacGroup]);
      break;
    default:
      report.unsupported(`${field}.kind`, subject.kind, ['Group', 'ServiceAccount', 'User']);
  }
}
