/**
 * Who owns whom, in memory: every object that is watched, its owners, and by owner its dependents. Pure bookkeeping; it
 * answers which objects are worth a closer look after a change, and never decides by itself that something is garbage.
 */
import type { KubeObject, OwnerReference, ResourceRef } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

export interface GraphNode {
  readonly uid: string;
  readonly kind: ResourceRef;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly owners: readonly OwnerReference[];
  readonly deleting: boolean;
  /** It is being deleted, and waits until its dependents are gone. */
  readonly deletingDependents: boolean;
  /** It is being deleted, and its dependents are to lose their owner first. */
  readonly orphaning: boolean;
}

/** What is worth a look after a change. */
export interface Attention {
  /** uids of objects that may have to go, or whose waiting may be over. */
  look: string[];
  /** uids of owners whose dependents are to be set free. */
  orphan: string[];
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  /** By the uid of the owner, whether that is known or not. */
  readonly #dependents = new Map<string, Set<string>>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  get size(): number {
    return this.#nodes.size;
  }

  dependentsOf(uid: string): GraphNode[] {
    return Array.from(this.#dependents.get(uid) ?? [], each => this.#nodes.get(each)!);
  }

  /** Dependents that the deletion of their owner has to wait for. */
  blockersOf(uid: string): GraphNode[] {
    return this.dependentsOf(uid).filter(node =>
      node.owners.some(owner => owner.uid === uid && owner.blockOwnerDeletion === true),
    );
  }

  /** Objects with an owner that is not in the graph, or not in their namespace: it may be gone, or not be seen yet. */
  withUnknownOwner(): string[] {
    return [...this.#nodes.values()].filter(node => this.#hasUnknownOwner(node)).map(node => node.uid);
  }

  observe(kind: ResourceRef, object: DeepReadonly<KubeObject>): Attention {
    const { metadata } = object;
    const before = this.#nodes.get(metadata.uid);
    const deleting = metadata.deletionTimestamp !== undefined;
    const finalizers = metadata.finalizers ?? [];
    const node: GraphNode = {
      uid: metadata.uid,
      kind,
      name: metadata.name,
      namespace: metadata.namespace,
      owners: (metadata.ownerReferences ?? []) as readonly OwnerReference[],
      deleting,
      deletingDependents: deleting && finalizers.includes(foregroundFinalizer),
      orphaning: deleting && finalizers.includes(orphanFinalizer),
    };
    this.#nodes.set(node.uid, node);
    this.#relink(before, node);

    const attention: Attention = { look: [], orphan: [] };
    if (node.orphaning && !before?.orphaning) attention.orphan.push(node.uid);
    if (node.deletingDependents && !before?.deletingDependents) {
      attention.look.push(node.uid, ...(this.#dependents.get(node.uid) ?? []));
    }
    if (JSON.stringify(before?.owners ?? []) !== JSON.stringify(node.owners)) {
      if (this.#hasUnknownOwner(node) || node.owners.some(owner => this.#nodes.get(owner.uid)?.deletingDependents)) {
        attention.look.push(node.uid);
      }
      attention.look.push(...this.#waitingOwners(before));
    }
    return attention;
  }

  remove(uid: string): Attention {
    const node = this.#nodes.get(uid);
    if (!node) return { look: [], orphan: [] };
    this.#nodes.delete(uid);
    this.#relink(node, undefined);
    return { look: [...(this.#dependents.get(uid) ?? []), ...this.#waitingOwners(node)], orphan: [] };
  }

  /** An object of another namespace owns nothing, so it is not known as an owner. */
  #hasUnknownOwner(node: GraphNode): boolean {
    return node.owners.some(({ uid }) => {
      const owner = this.#nodes.get(uid);
      return owner === undefined || (owner.namespace !== undefined && owner.namespace !== node.namespace);
    });
  }

  #waitingOwners(node: GraphNode | undefined): string[] {
    return (node?.owners ?? []).map(owner => owner.uid).filter(uid => this.#nodes.get(uid)?.deletingDependents);
  }

  #relink(before: GraphNode | undefined, after: GraphNode | undefined): void {
    for (const { uid } of before?.owners ?? []) {
      const dependents = this.#dependents.get(uid);
      dependents?.delete(before!.uid);
      if (dependents?.size === 0) this.#dependents.delete(uid);
    }
    for (const { uid } of after?.owners ?? []) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      dependents.add(after!.uid);
      this.#dependents.set(uid, dependents);
    }
  }
}
