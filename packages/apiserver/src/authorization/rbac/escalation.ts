/**
 * Nobody gives away what they do not have: who writes a role must hold all of its rules, and who binds one must hold what it allows, or
 * the right to `escalate` the role or to `bind` it. Source: upstream `registry/rbac` (policybased storage), `validation.ConfirmNoEscalation`;
 * the texts are those that clients show.
 *
 * An admission plugin that the server adds to every chain: it validates, so it sees the object as it will be stored.
 */
import { type DynamicObject, isStatusError, notFound, type rbacv1, StatusError, type UserInfo } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionRequest } from '../../admission/contract.js';
import { sameJson } from '../../registry/json-value.js';
import { type Authorizer, mastersGroup } from '../authorizer.js';
import { compact, listText, type PolicyRule, ruleText, uncovered } from './policy-rule.js';
import type { RbacAuthorizer } from './rbac-authorizer.js';
import type { RoleIndex } from './role-index.js';

const rbacGroup = 'rbac.authorization.k8s.io';

/** What an aggregation rule can come to hold: everything. */
const fullAuthority: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

export function escalationCheck(rbac: RbacAuthorizer, index: RoleIndex, authorizer: Authorizer): AdmissionPlugin {
  async function may(verb: string, request: AdmissionRequest, resource: string, name: string): Promise<boolean> {
    if (name === '') return false;
    const verdict = await authorizer.authorize({
      user: request.user,
      verb,
      isResource: true,
      path: '',
      group: rbacGroup,
      version: 'v1',
      namespace: request.namespace,
      resource,
      subresource: undefined,
      name,
    });
    return verdict.decision === 'allow';
  }

  function confirm(user: UserInfo, namespace: string | undefined, rules: readonly PolicyRule[]): void {
    const held = rbac.rulesFor(user, namespace);
    const missing = compact(uncovered(held.rules, rules));
    if (missing.length === 0) return;
    const who = `user ${JSON.stringify(user.username)} (groups=${listText(user.groups)})`;
    const errors = held.errors.length === 0 ? '' : `; resolution errors: ${listText(held.errors)}`;
    throw new Error(
      `${who} is attempting to grant RBAC permissions not currently held:\n${missing.map(ruleText).join('\n')}${errors}`,
    );
  }

  async function checkRole(request: AdmissionRequest, role: rbacv1.ClusterRole): Promise<void> {
    if (await may('escalate', request, request.kind.plural, request.name)) return;
    confirm(request.user, request.namespace, role.rules ?? []);
    if (role.aggregationRule === undefined) return;
    try {
      confirm(request.user, undefined, fullAuthority);
    } catch {
      throw new Error('must have cluster-admin privileges to use an aggregationRule');
    }
  }

  async function checkBinding(request: AdmissionRequest, { roleRef }: rbacv1.RoleBinding): Promise<void> {
    const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
    if (await may('bind', request, resource, roleRef.name)) return;
    const rules = index.rulesOf(roleRef, request.namespace);
    if (rules === undefined) throw notFound({ group: rbacGroup, plural: resource }, roleRef.name);
    confirm(request.user, request.namespace, rules);
  }

  return {
    name: 'RBACEscalation',
    async validate(request) {
      const { kind, object, oldObject, user } = request;
      if (kind.group !== rbacGroup || object === undefined || user.groups.includes(mastersGroup)) return;
      if (oldObject !== undefined && onlyForTheCollector(object, oldObject)) return;
      try {
        if (kind.plural === 'roles' || kind.plural === 'clusterroles') await checkRole(request, object as never);
        else await checkBinding(request, object as never);
      } catch (error) {
        if (isStatusError(error)) throw error;
        throw new StatusError(
          'Forbidden',
          `${kind.plural}.${rbacGroup} ${JSON.stringify(request.name)} is forbidden: ${(error as Error).message}`,
          { details: { name: request.name, group: rbacGroup, kind: kind.plural } },
        );
      }
    },
  };
}

/** The garbage collector may take its marks off an object whose rules it does not hold. */
function onlyForTheCollector(object: DynamicObject, old: Readonly<DynamicObject>): boolean {
  const rest = ({ metadata, ...others }: Readonly<DynamicObject>) => {
    const {
      ownerReferences: _owners,
      finalizers: _finalizers,
      managedFields: _managed,
      ...kept
    } = metadata as never as Record<string, unknown>;
    return { ...others, metadata: { ...kept, resourceVersion: undefined } };
  };
  return sameJson(rest(object), rest(old));
}
