/**
 * Settles who controls what: of the objects that it is shown, an owner keeps those that it controls and that match its
 * selector, releases those that it controls and that match no longer, and adopts orphans that match.
 *
 * - Never touches an object that somebody else controls.
 * - Adopts only after a live look that the owner is still there, is the same and is not being deleted; an owner that is
 *   being deleted neither adopts nor releases, and an object that is being deleted is not adopted.
 * - Every write is guarded by uid and resourceVersion: from a stale cache it fails with a conflict and is tried again.
 *
 * Source of the rules: kube-controller-manager `controller_ref_manager.go`.
 */
import {
  type Client,
  controllerOf,
  controllerReference,
  isDeleting,
  isInvalid,
  isNotFound,
  type KubeObject,
  keyOf,
  type OwnerReference,
  type ParsedLabelSelector,
  type ResourceRef,
  StatusError,
} from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export interface ClaimOptions<T extends KubeObject, O extends KubeObject> {
  client: Client;
  /** Kind of what is claimed. */
  kind: ResourceRef<T>;
  ownerKind: ResourceRef<O>;
  owner: DeepReadonly<NoInfer<O>>;
  selector: ParsedLabelSelector;
  /** In the owner's namespace. */
  objects: readonly DeepReadonly<NoInfer<T>>[];
}

/**
 * What the owner controls afterwards.
 * @throws the first error of a write, after all were tried; what was claimed before stays claimed.
 */
export async function claim<T extends KubeObject, O extends KubeObject>(
  options: ClaimOptions<T, O>,
): Promise<DeepReadonly<T>[]> {
  const { owner, selector, objects } = options;
  const dying = isDeleting(owner);
  const { uid } = owner.metadata;
  let looked: Promise<void> | undefined;
  const mayAdopt = () => (looked ??= canAdopt(options));

  const decisions = await Promise.allSettled(
    objects.map(async object => {
      const controller = controllerOf(object);
      const matches = selector.matches(object.metadata.labels);
      if (controller) {
        if (controller.uid !== uid) return undefined;
        if (matches) return object;
        if (!dying) await release(options, object);
        return undefined;
      }
      if (dying || !matches || isDeleting(object)) return undefined;
      await mayAdopt();
      return (await adopt(options, object)) ? object : undefined;
    }),
  );
  const failed = decisions.find(decision => decision.status === 'rejected');
  if (failed) throw failed.reason;
  return decisions.flatMap(decision => (decision.status === 'fulfilled' && decision.value ? [decision.value] : []));
}

/** The cache may be old: an owner that was deleted, or made again under its name, must not adopt. */
async function canAdopt<T extends KubeObject, O extends KubeObject>({
  client,
  ownerKind,
  owner,
}: ClaimOptions<T, O>): Promise<void> {
  const fresh = await client.get(ownerKind, owner.metadata as { name: string; namespace?: string });
  const who = `${ownerKind.kind} ${keyOf(owner)}`;
  if (fresh.metadata.uid !== owner.metadata.uid) {
    throw new StatusError('Conflict', `${who} was replaced by another of its name; it cannot adopt`);
  }
  if (isDeleting(fresh)) throw new StatusError('Conflict', `${who} is being deleted; it cannot adopt`);
}

async function adopt<T extends KubeObject, O extends KubeObject>(
  { client, kind, owner }: ClaimOptions<T, O>,
  object: DeepReadonly<T>,
): Promise<boolean> {
  const others = (object.metadata.ownerReferences ?? []).filter(reference => reference.uid !== owner.metadata.uid);
  const references = [...others, controllerReference(owner as unknown as KubeObject)];
  try {
    await patchOwners(client, kind, object, references);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function release<T extends KubeObject, O extends KubeObject>(
  { client, kind, owner }: ClaimOptions<T, O>,
  object: DeepReadonly<T>,
): Promise<void> {
  const rest = (object.metadata.ownerReferences ?? []).filter(reference => reference.uid !== owner.metadata.uid);
  try {
    await patchOwners(client, kind, object, rest);
  } catch (error) {
    // Gone, or it is another object of the same name by now: nothing to release.
    if (!isNotFound(error) && !isInvalid(error)) throw error;
  }
}

/** Writes the owner references of exactly the object that was read. @throws StatusError Conflict when it changed. */
export async function patchOwners<T extends KubeObject>(
  client: Client,
  kind: ResourceRef<T>,
  object: DeepReadonly<KubeObject>,
  ownerReferences: readonly DeepReadonly<OwnerReference>[],
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  await client.patch(kind, object.metadata as { name: string; namespace?: string }, {
    type: 'merge',
    patch: { metadata: { uid, resourceVersion, ownerReferences: ownerReferences.length > 0 ? ownerReferences : null } },
  });
}
