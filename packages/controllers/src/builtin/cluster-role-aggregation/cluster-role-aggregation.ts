/**
 * Keeps the rules of aggregated ClusterRoles (`admin`, `edit`, `view`, and anybody's): the union of the rules of all roles that their
 * selectors choose, selector by selector in the order of the roles' names, without repetitions. Source: upstream `pkg/controller/clusterroleaggregation`.
 */
import { isDeepStrictEqual } from 'node:util';
import { ClusterRole, type LabelSelector, labelSelectorOf, type rbacv1 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller } from '../../controller-builder.js';

type Role = DeepReadonly<ClusterRole>;

/** The controller `clusterrole-aggregation-controller`. */
export function clusterRoleAggregation(): Controller {
  // Any role may be part of any other: a change of one is a look at all that aggregate, and few do.
  const all = '*';
  return controller(ClusterRole)
    .named('clusterrole-aggregation-controller')
    .watches(ClusterRole, () => all)
    .predicate(() => false)
    .reconcileKey(async ({ key, client, read }) => {
      if (key !== all) return;
      const roles = [...read(ClusterRole).list()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      for (const role of roles) {
        if (!role.aggregationRule) continue;
        const rules = aggregated(role, roles);
        if (isDeepStrictEqual(rules, role.rules ?? [])) continue;
        await client.patch(
          ClusterRole,
          { name: role.metadata.name },
          { type: 'merge', patch: { metadata: { resourceVersion: role.metadata.resourceVersion }, rules } },
        );
      }
    });
}

function aggregated(into: Role, roles: readonly Role[]): rbacv1.PolicyRule[] {
  const rules = new Map<string, rbacv1.PolicyRule>();
  for (const given of into.aggregationRule?.clusterRoleSelectors ?? []) {
    const selector = labelSelectorOf(given as LabelSelector);
    for (const role of roles) {
      if (role.metadata.name === into.metadata.name || !selector.matches(role.metadata.labels ?? {})) continue;
      for (const rule of role.rules ?? []) rules.set(JSON.stringify(rule), rule as rbacv1.PolicyRule);
    }
  }
  return [...rules.values()];
}
