/**
 * Looks at one object and does what its owners' state asks for. Every decision is made on a live read, and every delete
 * and patch is bound to exactly the version that was read.
 */
import {
  type Client,
  isNotFound,
  type KindResolver,
  type ObjectMeta,
  type OwnerReference,
  type PartialObjectMetadata,
  type ResourceRef,
} from '@orbitkit/core';
import type { ControllerContext } from '../../controller.js';
import { patchOwners } from '../../controller-ref-manager.js';
import { foregroundFinalizer, type GraphNode, type OwnerGraph, orphanFinalizer } from './owner-graph.js';

/** How many owners that are known to be gone are remembered (`absentOwnerCache`). */
const rememberedOwners = 500;

type Policy = 'Background' | 'Foreground' | 'Orphan';

interface CollectorOptions {
  context: ControllerContext;
  /** Reads metadata only. */
  reader: Client;
  graph: OwnerGraph;
  resolver(): KindResolver;
  /** Asks for a closer look at an object. */
  look(uid: string): void;
  /** The object turned out to be gone. */
  gone(uid: string): void;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #absent = new Set<string>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Deletes an object that nobody owns any more, or moves a deletion that waits a step on. */
  async look(uid: string): Promise<void> {
    const { graph, gone } = this.#options;
    const node = graph.get(uid);
    if (!node) return;
    const live = await this.#read(node);
    if (!live) return gone(uid);
    const { metadata } = live;
    const deleting = metadata.deletionTimestamp !== undefined;
    const waits = deleting && (metadata.finalizers ?? []).includes(foregroundFinalizer);
    if (waits) return this.#finishForeground(node, metadata);
    if (deleting || !metadata.ownerReferences?.length) return;

    const owners = await this.#classify(node, metadata.ownerReferences);
    if (!owners) return;
    const { solid, dangling, waiting } = owners;
    if (solid.length > 0) {
      if (dangling.length + waiting.length > 0) await this.#writeOwners(node, metadata, solid);
      return;
    }
    if (waiting.length > 0 && graph.dependentsOf(uid).length > 0) {
      // In a circle of owners that all wait for each other one has to stop blocking.
      if (graph.dependentsOf(uid).some(dependent => dependent.deletingDependents)) {
        const unblocked = metadata.ownerReferences.map(owner => ({ ...owner, blockOwnerDeletion: false }));
        await this.#writeOwners(node, metadata, unblocked);
        const fresh = await this.#read(node);
        if (!fresh) return gone(uid);
        return this.#delete(node, fresh.metadata, 'Foreground');
      }
      return this.#delete(node, metadata, 'Foreground');
    }
    return this.#delete(node, metadata, policyOf(metadata));
  }

  /** Takes an owner out of its dependents, then lets it go. */
  async orphan(uid: string): Promise<void> {
    const { graph, gone } = this.#options;
    const owner = graph.get(uid);
    if (!owner) return;
    for (const dependent of graph.dependentsOf(uid)) {
      const live = await this.#read(dependent);
      const references = live?.metadata.ownerReferences ?? [];
      const rest = references.filter(reference => reference.uid !== uid);
      if (live && rest.length < references.length) await this.#writeOwners(dependent, live.metadata, rest);
    }
    const live = await this.#read(owner);
    if (!live) return gone(uid);
    await this.#removeFinalizer(owner, live.metadata, orphanFinalizer);
  }

  async #finishForeground(node: GraphNode, metadata: ObjectMeta): Promise<void> {
    const blockers = this.#options.graph.blockersOf(node.uid);
    if (blockers.length === 0) return this.#removeFinalizer(node, metadata, foregroundFinalizer);
    for (const blocker of blockers) if (!blocker.deletingDependents) this.#options.look(blocker.uid);
  }

  /** Undefined: one of the references makes no sense, so nothing is decided. */
  async #classify(node: GraphNode, references: readonly OwnerReference[]) {
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const reference of references) {
      const state = await this.#ownerState(node, reference);
      if (state === 'invalid') return undefined;
      (state === 'solid' ? solid : state === 'gone' ? dangling : waiting).push(reference);
    }
    return { solid, dangling, waiting };
  }

  async #ownerState(node: GraphNode, owner: OwnerReference): Promise<'solid' | 'gone' | 'waiting' | 'invalid'> {
    const { graph, reader, resolver, context } = this.#options;
    const known = graph.get(owner.uid);
    if (known && (known.namespace === undefined || known.namespace === node.namespace)) {
      // An old picture of an owner can only keep something alive for a moment longer.
      return known.deletingDependents ? 'waiting' : 'solid';
    }
    const remembered = JSON.stringify([node.namespace, owner.apiVersion, owner.kind, owner.name, owner.uid]);
    if (this.#absent.has(remembered)) return 'gone';
    const kind = resolver().byKind(owner.apiVersion, owner.kind);
    const tell = (what: string) => {
      const about = { apiVersion: apiVersion(node.kind), kind: node.kind.kind, metadata: metadataOf(node) };
      const text = `ownerRef [${owner.apiVersion}/${owner.kind}, name: ${owner.name}, uid: ${owner.uid}] ${what}`;
      context.events.event(about, 'Warning', 'OwnerRefInvalidNamespace', text);
    };
    if (kind.namespaced && node.namespace === undefined) {
      tell(`is namespaced, but ${node.name} is not`);
      return 'invalid';
    }
    const key = { name: owner.name, ...(kind.namespaced ? { namespace: node.namespace! } : {}) };
    try {
      const live = await reader.get(kind, key);
      if (live.metadata.uid === owner.uid) {
        const waits = live.metadata.deletionTimestamp !== undefined;
        return waits && live.metadata.finalizers?.includes(foregroundFinalizer) ? 'waiting' : 'solid';
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    if (known) tell(`does not exist in namespace "${node.namespace}"`);
    this.#absent.add(remembered);
    if (this.#absent.size > rememberedOwners) this.#absent.delete(this.#absent.values().next().value as string);
    return 'gone';
  }

  /** Undefined when it is gone, or another object has its name. */
  async #read(node: GraphNode): Promise<PartialObjectMetadata | undefined> {
    try {
      const live = await this.#options.reader.get(node.kind as ResourceRef<PartialObjectMetadata>, keyOfNode(node));
      return live.metadata.uid === node.uid ? live : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #delete(node: GraphNode, metadata: ObjectMeta, propagationPolicy: Policy): Promise<void> {
    const { client, log } = this.#options.context;
    const { uid, resourceVersion } = metadata;
    log.info('deleting an object whose owners are gone', {
      kind: node.kind.kind,
      key: node.namespace ? `${node.namespace}/${node.name}` : node.name,
      propagationPolicy,
    });
    try {
      await client.delete(node.kind, keyOfNode(node), { propagationPolicy, preconditions: { uid, resourceVersion } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#options.gone(node.uid);
    }
  }

  async #writeOwners(node: GraphNode, metadata: ObjectMeta, owners: readonly OwnerReference[]): Promise<void> {
    try {
      await patchOwners(this.#options.context.client, node.kind, { apiVersion: '', kind: '', metadata }, owners);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #removeFinalizer(node: GraphNode, metadata: ObjectMeta, finalizer: string): Promise<void> {
    const rest = (metadata.finalizers ?? []).filter(each => each !== finalizer);
    if (rest.length === (metadata.finalizers ?? []).length) return;
    const { uid, resourceVersion } = metadata;
    const patch = { metadata: { uid, resourceVersion, finalizers: rest.length > 0 ? rest : null } };
    try {
      await this.#options.context.client.patch(node.kind, keyOfNode(node), { type: 'merge', patch });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

const keyOfNode = ({ name, namespace }: GraphNode) => (namespace === undefined ? { name } : { name, namespace });
const apiVersion = ({ group, version }: ResourceRef): string => (group ? `${group}/${version}` : version);

function metadataOf({ name, namespace, uid }: GraphNode): ObjectMeta {
  return { name, uid, resourceVersion: '', creationTimestamp: '', ...(namespace ? { namespace } : {}) };
}

/** What the object itself asks for, when its deletion was begun and undone by others. */
function policyOf({ finalizers = [] }: ObjectMeta): Policy {
  if (finalizers.includes(orphanFinalizer)) return 'Orphan';
  return finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
}
