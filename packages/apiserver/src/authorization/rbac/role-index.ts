/**
 * Roles and bindings as an authorizer needs them: bindings found by subject, rules by role. It follows the watch cache change by
 * change, so that a request costs a look-up for the user and each of its groups and never a scan.
 *
 * `generation` grows with every change that may alter a decision.
 */
import type { rbacv1, UserInfo } from '@orbitkit/core';
import { serviceAccountUser } from '../../authentication/service-account/service-account-user.js';
import type { CacheObserver, WatchCache } from '../../registry/watch-cache.js';
import type { PolicyRule } from './policy-rule.js';

type Role = rbacv1.Role | rbacv1.ClusterRole;
type Binding = rbacv1.RoleBinding | rbacv1.ClusterRoleBinding;

/** A rule that a user has in a namespace (or everywhere), and through what. */
export interface Grant {
  readonly rules: readonly PolicyRule[];
  readonly binding: BoundSubject;
}

export interface BoundSubject {
  /** `ClusterRoleBinding "x" of ClusterRole "y" to User "z"`, for reasons. */
  readonly text: string;
  readonly roleRef: rbacv1.RoleRef;
  readonly namespace: string | undefined;
}

type BySubject = Map<string, Set<BoundSubject>>;

const rbacGroup = 'rbac.authorization.k8s.io';
const noRules: readonly PolicyRule[] = [];

const userKey = (name: string): string => `u ${name}`;
const groupKey = (name: string): string => `g ${name}`;

function subjectKey(subject: rbacv1.Subject, namespace: string | undefined): string | undefined {
  switch (subject.kind) {
    case 'User':
      return userKey(subject.name);
    case 'Group':
      return groupKey(subject.name);
    case 'ServiceAccount': {
      const of = subject.namespace || namespace;
      return of === undefined ? undefined : userKey(serviceAccountUser(of, subject.name));
    }
    default:
      return undefined;
  }
}

export class RoleIndex {
  /** By name, or `namespace/name`. */
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  readonly #clusterWide: BySubject = new Map();
  readonly #inNamespace = new Map<string, BySubject>();
  /** What each binding has put into the maps above, to be taken out again. */
  readonly #entries = new Map<string, { of: BySubject; key: string; bound: BoundSubject }[]>();
  #generation = 0;

  get generation(): number {
    return this.#generation;
  }

  /** Calls `visit` with everything that the user was granted, until it answers true. */
  visit(
    user: UserInfo,
    namespace: string | undefined,
    visit: (grant: Grant) => boolean,
    missing?: (text: string) => void,
  ): boolean {
    if (this.#visit(this.#clusterWide, user, visit, missing)) return true;
    const local = namespace === undefined ? undefined : this.#inNamespace.get(namespace);
    return local !== undefined && this.#visit(local, user, visit, missing);
  }

  #visit(
    bindings: BySubject,
    user: UserInfo,
    visit: (grant: Grant) => boolean,
    missing: ((text: string) => void) | undefined,
  ): boolean {
    const through = (key: string): boolean => {
      for (const binding of bindings.get(key) ?? []) {
        const rules = this.rulesOf(binding.roleRef, binding.namespace);
        if (rules === undefined) {
          missing?.(
            `${binding.roleRef.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(binding.roleRef.name)} not found`,
          );
        } else if (visit({ rules, binding })) return true;
      }
      return false;
    };
    return through(userKey(user.username)) || user.groups.some(group => through(groupKey(group)));
  }

  /** Undefined: there is no such role. */
  rulesOf(roleRef: rbacv1.RoleRef, namespace: string | undefined): readonly PolicyRule[] | undefined {
    return this.#roles.get(roleRef.kind === 'Role' ? `${namespace}/${roleRef.name}` : roleRef.name);
  }

  #setRole(path: string, role: Role | undefined): void {
    this.#generation++;
    if (role === undefined) this.#roles.delete(path);
    else this.#roles.set(path, role.rules ?? noRules);
  }

  #setBinding(kind: string, path: string, binding: Binding | undefined): void {
    this.#generation++;
    const id = `${kind} ${path}`;
    for (const { of, key, bound } of this.#entries.get(id) ?? []) {
      const known = of.get(key);
      known?.delete(bound);
      if (known?.size === 0) of.delete(key);
    }
    this.#entries.delete(id);
    if (binding === undefined) return;
    const { namespace, name } = binding.metadata as { namespace?: string; name: string };
    const of = namespace === undefined ? this.#clusterWide : this.#bindingsIn(namespace);
    const shownName = namespace === undefined ? name : `${name}/${namespace}`;
    const entries = (binding.subjects ?? []).flatMap(subject => {
      const key = subjectKey(subject, namespace);
      if (key === undefined) return [];
      const who = subject.namespace ? `${subject.name}/${subject.namespace}` : subject.name;
      const text = `${kind} ${JSON.stringify(shownName)} of ${binding.roleRef.kind} ${JSON.stringify(binding.roleRef.name)} to ${subject.kind} ${JSON.stringify(who)}`;
      return [{ of, key, bound: { text, roleRef: binding.roleRef, namespace } }];
    });
    for (const { key, bound } of entries) {
      const known = of.get(key);
      if (known === undefined) of.set(key, new Set([bound]));
      else known.add(bound);
    }
    this.#entries.set(id, entries);
  }

  #bindingsIn(namespace: string): BySubject {
    let bindings = this.#inNamespace.get(namespace);
    if (bindings === undefined) {
      bindings = new Map();
      this.#inNamespace.set(namespace, bindings);
    }
    return bindings;
  }

  /** Roles of one kind void: cluster roles have no `/` in their path. */
  #forgetRoles(namespaced: boolean): void {
    this.#generation++;
    for (const path of [...this.#roles.keys()]) if (path.includes('/') === namespaced) this.#roles.delete(path);
  }

  #forgetBindings(kind: string): void {
    for (const id of [...this.#entries.keys()]) {
      if (id.startsWith(`${kind} `)) this.#setBinding(kind, id.slice(kind.length + 1), undefined);
    }
  }

  /** Follows the cache from now on. Answers the end of it. */
  follow(cache: WatchCache): () => void {
    const roles = (namespaced: boolean): CacheObserver => ({
      changed: (path, object) => this.#setRole(path, object?.object() as unknown as Role | undefined),
      reset: () => this.#forgetRoles(namespaced),
    });
    const bindings = (kind: string): CacheObserver => ({
      changed: (path, object) => this.#setBinding(kind, path, object?.object() as unknown as Binding | undefined),
      reset: () => this.#forgetBindings(kind),
    });
    const ends = [
      cache.observe(`${rbacGroup}/roles`, roles(true)),
      cache.observe(`${rbacGroup}/clusterroles`, roles(false)),
      cache.observe(`${rbacGroup}/rolebindings`, bindings('RoleBinding')),
      cache.observe(`${rbacGroup}/clusterrolebindings`, bindings('ClusterRoleBinding')),
    ];
    return () => {
      for (const end of ends) end();
    };
  }
}
