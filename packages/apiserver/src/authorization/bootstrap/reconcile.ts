/**
 * Makes the bootstrap roles and bindings so, at each start: what is missing is created, rules and subjects that an existing object
 * lacks are added. What people added stays, and an object whose annotation `rbac.authorization.kubernetes.io/autoupdate` is not `true`
 * is theirs altogether. Source: upstream `component-helpers/auth/rbac/reconciliation`.
 *
 * The rules of aggregated roles are filled in at once: a server is usable before the controller that keeps them runs.
 */
import {
  type DynamicObject,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type Kind,
  type KindRegistry,
  type rbacv1,
} from '@orbitkit/core';
import type { RequestContext, Resources } from '../../registry/contract.js';
import { sameJson } from '../../registry/json-value.js';
import { uncovered } from '../rbac/policy-rule.js';
import { bootstrapBindings, controllerRoles } from './bindings.js';
import { componentRoles } from './component-roles.js';
import { type BootstrapBinding, type BootstrapRole, rbacGroup } from './policy-form.js';
import { userRoles } from './user-roles.js';

const bootstrapRoles: readonly BootstrapRole[] = [...userRoles, ...componentRoles, ...controllerRoles];

const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate';
const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const annotations = { [autoUpdate]: 'true' };
/** Writes under way at one time: the store gathers them into few commits. */
const atOnce = 32;
const attempts = 5;

interface Wanted {
  readonly kind: Kind;
  readonly object: DynamicObject;
  /** Brings what is there up to date, in place; false: nothing to do, `replace`: it must be made anew. */
  mend(present: DynamicObject): boolean | 'replace';
}

/** Undefined when these kinds are not served. */
export function rbacKinds(registry: KindRegistry): Readonly<Record<string, Kind>> | undefined {
  const kinds: Record<string, Kind> = {};
  for (const kind of registry.kinds) if (kind.group === rbacGroup) kinds[kind.kind] = kind;
  return kinds['ClusterRole'] && kinds['ClusterRoleBinding'] && kinds['Role'] && kinds['RoleBinding']
    ? kinds
    : undefined;
}

export async function reconcileBootstrapPolicy(
  resources: Resources,
  registry: KindRegistry,
  signal: AbortSignal,
): Promise<void> {
  const kinds = rbacKinds(registry);
  if (kinds === undefined) return;
  const context: RequestContext = {
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  };
  const wanted = [
    ...bootstrapRoles.map(role => wantedRole(kinds, role)),
    ...bootstrapBindings.map(binding => wantedBinding(kinds, binding)),
  ];
  for (let at = 0; at < wanted.length; at += atOnce)
    await Promise.all(wanted.slice(at, at + atOnce).map(each => ensure(resources, context, each)));
}

async function ensure(resources: Resources, context: RequestContext, { kind, object, mend }: Wanted): Promise<void> {
  const { name, namespace } = object.metadata;
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await resources.get(context, kind, { name, namespace }).catch(error => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (found === undefined) {
        await resources.create(context, kind, { namespace }, { value: structuredClone(object) });
        return;
      }
      const present = structuredClone(found.object()) as DynamicObject;
      if (present.metadata.annotations?.[autoUpdate] !== 'true') return;
      const change = mend(present);
      if (change === false) return;
      if (change === 'replace') {
        await resources.delete(context, kind, { name, namespace }, { preconditions: { uid: present.metadata.uid } });
        continue;
      }
      await resources.update(context, kind, { name, namespace }, { value: present });
      return;
    } catch (error) {
      // Another server of the same cluster starts as well.
      if (attempt >= attempts || !(isAlreadyExists(error) || isConflict(error) || isNotFound(error))) throw error;
    }
  }
}

function wantedRole(kinds: Readonly<Record<string, Kind>>, role: BootstrapRole): Wanted {
  const kind = kinds[role.namespace === undefined ? 'ClusterRole' : 'Role']!;
  const { aggregates } = role;
  const rules = aggregates === undefined ? role.rules : aggregated(aggregates);
  const aggregationRule = aggregates && { clusterRoleSelectors: [{ matchLabels: { [aggregates]: 'true' } }] };
  const object = {
    apiVersion: `${rbacGroup}/v1`,
    kind: kind.kind,
    metadata: {
      name: role.name,
      ...(role.namespace === undefined ? {} : { namespace: role.namespace }),
      labels: { ...labels, ...role.labels },
      annotations,
    },
    rules: [...rules],
    ...(aggregationRule ? { aggregationRule } : {}),
  } as unknown as DynamicObject;
  return {
    kind,
    object,
    mend(present) {
      const role = present as unknown as rbacv1.ClusterRole;
      // The rules of an aggregated role are its controller's.
      const missing = aggregates === undefined ? uncovered(role.rules ?? [], rules) : [];
      const lacksLabels = Object.entries(object.metadata.labels!).some(
        ([key, value]) => present.metadata.labels?.[key] !== value,
      );
      const otherSelectors =
        aggregationRule !== undefined && !sameJson(role.aggregationRule ?? null, aggregationRule || null);
      if (missing.length === 0 && !lacksLabels && !otherSelectors) return false;
      if (missing.length > 0) role.rules = [...(role.rules ?? []), ...(missing as rbacv1.PolicyRule[])];
      present.metadata.labels = { ...present.metadata.labels, ...object.metadata.labels };
      if (aggregationRule) role.aggregationRule = aggregationRule;
      return true;
    },
  };
}

function wantedBinding(kinds: Readonly<Record<string, Kind>>, binding: BootstrapBinding): Wanted {
  const kind = kinds[binding.namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding']!;
  const roleRef = { apiGroup: rbacGroup, ...binding.role };
  const object = {
    apiVersion: `${rbacGroup}/v1`,
    kind: kind.kind,
    metadata: {
      name: binding.name,
      ...(binding.namespace === undefined ? {} : { namespace: binding.namespace }),
      labels,
      annotations,
    },
    roleRef,
    ...(binding.subjects.length === 0 ? {} : { subjects: [...binding.subjects] }),
  } as unknown as DynamicObject;
  return {
    kind,
    object,
    mend(present) {
      const found = present as unknown as rbacv1.ClusterRoleBinding;
      // What a binding refers to cannot be changed.
      if (!sameJson(found.roleRef, roleRef)) return 'replace';
      const has = (subject: rbacv1.Subject) => (found.subjects ?? []).some(each => sameJson(each, subject));
      const missing = binding.subjects.filter(subject => !has(subject));
      if (missing.length === 0) return false;
      found.subjects = [...(found.subjects ?? []), ...missing];
      return true;
    },
  };
}

/** The rules of every bootstrap role that is aggregated into this label, over more than one step (view → edit → admin). */
function aggregated(label: string): rbacv1.PolicyRule[] {
  return bootstrapRoles
    .filter(role => role.labels?.[label] === 'true')
    .flatMap(role => (role.aggregates === undefined ? role.rules : aggregated(role.aggregates)));
}
