/** The bootstrap roles and bindings are upstream's, rule by rule; where they are not, it stands here. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { rbacv1 } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { uncovered } from '../rbac/policy-rule.js';
import { bootstrapBindings, controllerRoles } from './bindings.js';
import { componentRoles } from './component-roles.js';
import { type BootstrapRole, rbacGroup } from './policy-form.js';
import { userRoles } from './user-roles.js';

interface Listed {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  rules?: rbacv1.PolicyRule[] | null;
  aggregationRule?: { clusterRoleSelectors: { matchLabels: Record<string, string> }[] };
  roleRef?: { kind: string; name: string };
  subjects?: rbacv1.Subject[];
}

const upstream = (...names: string[]): Listed[] =>
  names.flatMap(name => {
    const file = new URL(`../../../testdata/bootstrap-policy/${name}.yaml`, import.meta.url);
    return (parse(readFileSync(fileURLToPath(file), 'utf8')) as { items: Listed[] }).items;
  });

const full = ({ name, namespace }: { name: string; namespace?: string | undefined }) =>
  namespace === undefined ? name : `${namespace}/${name}`;
const text = (rule: rbacv1.PolicyRule): string =>
  [
    rule.verbs.join(),
    rule.nonResourceURLs?.join() ?? `${rule.resources?.join()}.${rule.apiGroups?.join()}`,
    ...(rule.resourceNames ?? []),
  ].join(' ');
const differences = (held: readonly rbacv1.PolicyRule[], wanted: readonly rbacv1.PolicyRule[]) =>
  uncovered(held, wanted)
    // A group that Kubernetes itself no longer serves.
    .filter(({ apiGroups }) => apiGroups?.[0] !== 'extensions')
    .map(each => text(each as rbacv1.PolicyRule))
    .sort();

const theirs = new Map(
  upstream('cluster-roles', 'controller-roles', 'namespace-roles').map(role => [full(role.metadata), role]),
);
const ours = new Map<string, BootstrapRole>(
  [...userRoles, ...componentRoles, ...controllerRoles].map(role => [full(role), role]),
);

describe('roles', () => {
  it('have the same names, and one more', () => {
    expect([...theirs.keys()].filter(name => !ours.has(name))).toEqual([]);
    expect([...ours.keys()].filter(name => !theirs.has(name))).toEqual(furtherRoles);
  });

  it.each([...theirs.keys()].filter(name => ours.has(name)))('%s', name => {
    const [own, other] = [ours.get(name)!, theirs.get(name)!];
    const selectors = other.aggregationRule?.clusterRoleSelectors.map(({ matchLabels }) => matchLabels);
    expect(own.aggregates === undefined ? undefined : [{ [own.aggregates]: 'true' }]).toEqual(selectors);
    expect({ ...own.labels, 'kubernetes.io/bootstrapping': 'rbac-defaults' }).toEqual(other.metadata.labels);
    if (selectors !== undefined) return;
    expect({
      more: differences(other.rules ?? [], own.rules),
      less: differences(own.rules, other.rules ?? []),
    }).toEqual({ more: [], less: [] });
  });
});

describe('bindings', () => {
  const bound = new Map(
    upstream('cluster-role-bindings', 'controller-role-bindings', 'namespace-role-bindings').map(each => [
      full(each.metadata),
      each,
    ]),
  );
  const manager = { kind: 'User', apiGroup: rbacGroup, name: 'system:kube-controller-manager' };

  it.each(bootstrapBindings.map(binding => [full(binding), binding] as const))('%s', (name, binding) => {
    const other = bound.get(name);
    if (other === undefined) {
      expect(furtherBindings).toContain(name);
      return;
    }
    expect(binding.role).toEqual({ kind: other.roleRef!.kind, name: other.roleRef!.name });
    // All controllers of a manager act as one user: it is bound beside each account, as upstream does without accounts for each.
    const ofManager = name.startsWith('system:controller:');
    const subjects = ofManager ? [...other.subjects!, manager] : (other.subjects ?? []);
    expect(sorted(binding.subjects)).toEqual(sorted(subjects));
  });

  it('are all there', () => {
    const names = new Set(bootstrapBindings.map(full));
    expect([...bound.keys()].filter(name => !names.has(name))).toEqual([]);
  });
});

const sorted = (subjects: readonly rbacv1.Subject[]) =>
  subjects
    .map(({ kind, name, namespace, apiGroup }) => [kind, apiGroup, namespace, name].filter(Boolean).join(' '))
    .sort();

const furtherRoles = ['orbitkit:service-proxy'];
const furtherBindings = ['orbitkit:service-proxy', 'orbitkit:node-certificate-rotation'];
