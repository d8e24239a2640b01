/** How the tables of bootstrap roles are written down: words separated by blanks, since most of them are long lists of words. */
import type { rbacv1 } from '@orbitkit/core';

export interface BootstrapRole {
  readonly name: string;
  readonly rules: readonly rbacv1.PolicyRule[];
  /** Absent: a ClusterRole. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Roles with this label (value `true`) are aggregated into this one. */
  readonly aggregates?: string;
}

export interface BootstrapBinding {
  readonly name: string;
  /** Absent: a ClusterRoleBinding. */
  readonly namespace?: string;
  readonly role: { readonly kind: 'ClusterRole' | 'Role'; readonly name: string };
  readonly subjects: readonly rbacv1.Subject[];
}

const words = (text: string): string[] => text.split(' ');

/** `allow('get list', 'apps', 'deployments deployments/scale')`; the core group is `''`. */
export function allow(verbs: string, groups: string, resources: string, names?: string): rbacv1.PolicyRule {
  return {
    verbs: words(verbs),
    apiGroups: groups.split(','),
    resources: words(resources),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

export const allowPaths = (verbs: string, urls: string): rbacv1.PolicyRule => ({
  verbs: words(verbs),
  nonResourceURLs: words(urls),
});

export const read = 'get list watch';
export const write = 'create delete deletecollection patch update';
export const readWrite = `${read} ${write}`;

/** Creating and updating events, which every component does. */
export const events = allow('create patch update', ',events.k8s.io', 'events');

export const rbacGroup = 'rbac.authorization.k8s.io';
export const group = (name: string): rbacv1.Subject => ({ kind: 'Group', apiGroup: rbacGroup, name });
export const user = (name: string): rbacv1.Subject => ({ kind: 'User', apiGroup: rbacGroup, name });
export const serviceAccount = (namespace: string, name: string): rbacv1.Subject => ({
  kind: 'ServiceAccount',
  namespace,
  name,
});
