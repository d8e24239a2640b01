/**
 * Owner references: who is responsible for an object, by uid. At most one owner is the controller.
 *
 * Rules: `metav1.GetControllerOf`, controller-runtime `SetControllerReference`.
 */
import { StatusError } from '../errors/status-error.js';
import type { KubeObject, OwnerReference } from './object.js';

interface Owned {
  metadata: { name?: string; namespace?: string; ownerReferences?: OwnerReference[] };
}

/** The owner that is the controller. Undefined: nobody's. */
export function controllerOf(object: {
  metadata: { ownerReferences?: readonly OwnerReference[] };
}): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(reference => reference.controller === true);
}

/** Whether `owner` is among the owners, as controller or not. Names can be used again, uids cannot. */
export function ownedBy(
  object: { metadata: { ownerReferences?: readonly OwnerReference[] } },
  owner: { metadata: { uid: string } },
): boolean {
  return object.metadata.ownerReferences?.some(reference => reference.uid === owner.metadata.uid) ?? false;
}

/** By uid: an owner that was made anew under the same name is another one. */
export function isControlledBy(
  object: { metadata: { ownerReferences?: readonly OwnerReference[] } },
  owner: { metadata: { uid: string } },
): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** A reference that makes `owner` the controller and lets foreground deletion wait for the object. */
export function controllerReference(owner: KubeObject): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

/**
 * Makes `owner` the controller of `object`, in place.
 * @throws StatusError Conflict when another owner controls it, or when the owner lives in another namespace.
 */
export function setControllerReference(owner: KubeObject, object: Owned): void {
  const name = object.metadata.name ?? '(unnamed)';
  const { namespace } = owner.metadata;
  if (namespace !== undefined && namespace !== object.metadata.namespace) {
    throw new StatusError(
      'Conflict',
      `${owner.kind} ${namespace}/${owner.metadata.name} cannot own ${name}: an owner must be in the same namespace or cluster-scoped`,
    );
  }
  const current = controllerOf(object);
  if (current && current.uid !== owner.metadata.uid) {
    throw new StatusError('Conflict', `${name} is already controlled by ${current.kind} ${current.name}`);
  }
  const others = (object.metadata.ownerReferences ?? []).filter(reference => reference.uid !== owner.metadata.uid);
  object.metadata.ownerReferences = [...others, controllerReference(owner)];
}
