/**
 * Owner references are not everyone's to set: who changes the owners of an object must be allowed to delete it, and who has it block its
 * owner's deletion must be allowed to change the owner's finalizers. Source and texts: `plugin/pkg/admission/gc` (v0.33).
 */
import type { KindRegistry, OwnerReference } from '@orbitkit/core';
import type { Authorizer } from '../authorization/index.js';
import type { AdmissionPlugin, AdmissionRequest } from './contract.js';
import { refused } from './functions.js';

/** Upstream's OwnerReferencesPermissionEnforcement. Refuses with 403. @param kinds To find the plural under which an owner's kind is asked about. */
export function ownerReferencesPermissionEnforcement(authorizer: Authorizer, kinds: KindRegistry): AdmissionPlugin {
  async function may(
    request: AdmissionRequest,
    verb: string,
    what: { group: string; version: string; plural: string; namespaced: boolean; name: string; subresource?: string },
  ): Promise<boolean> {
    const namespace = what.namespaced ? request.namespace : undefined;
    const verdict = await authorizer.authorize({
      user: request.user,
      verb,
      isResource: true,
      path: '',
      group: what.group,
      version: what.version,
      resource: what.plural,
      subresource: what.subresource,
      namespace,
      name: what.name,
    });
    return verdict.decision === 'allow';
  }

  return {
    name: 'OwnerReferencesPermissionEnforcement',
    validate(request) {
      const { object, oldObject, operation, subresource } = request;
      if (operation === 'DELETE' || subresource === 'status' || object === undefined) return;
      const owners = object.metadata.ownerReferences ?? [];
      const before = oldObject?.metadata.ownerReferences ?? [];
      if (owners.length === 0 && before.length === 0) return;
      if (JSON.stringify(owners) === JSON.stringify(before)) return;
      return judge(request, owners, before);
    },
  };

  async function judge(
    request: AdmissionRequest,
    owners: readonly OwnerReference[],
    before: readonly OwnerReference[],
  ): Promise<void> {
    const { kind, operation } = request;
    // On a create nothing is taken from anyone.
    if (operation === 'UPDATE' && !(await may(request, 'delete', { ...kind, name: request.name }))) {
      throw refused(request, "cannot set an ownerRef on a resource you can't delete: , <nil>");
    }
    for (const owner of newlyBlocking(owners, before)) {
      const [group, version] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : ['', owner.apiVersion];
      const known = kinds.get({ group: group!, version: version!, kind: owner.kind });
      if (!known) {
        throw refused(
          request,
          `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}`,
        );
      }
      if (!(await may(request, 'update', { ...known, name: owner.name, subresource: 'finalizers' }))) {
        throw refused(
          request,
          "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>",
        );
      }
    }
  }
}

function newlyBlocking(owners: readonly OwnerReference[], before: readonly OwnerReference[]): OwnerReference[] {
  return owners.filter(
    owner => owner.blockOwnerDeletion && !before.some(each => each.uid === owner.uid && each.blockOwnerDeletion),
  );
}
