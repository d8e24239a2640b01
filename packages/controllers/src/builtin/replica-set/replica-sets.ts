/**
 * Keeps as many pods of a replica set, or of a replication controller, running as it asks for.
 *
 * - Owns by reference, never by label alone: orphans that match are adopted, pods that match no longer are released and
 *   keep running, pods of others are not touched. A set that is being deleted does neither.
 * - A pod that failed, succeeded or is being deleted does not count and is replaced.
 * - Too few: creates in batches of 1, 2, 4, …, at most 500 a round. Too many: see deletion-order.
 * - Does not act twice on one cause: until its cache shows what it did, it only reports status (expectations).
 * - Writes status only when it changed, and after it has acted not before its cache shows that. An empty selector would match every pod; such a set is left alone.
 *
 * Source of the rules and constants: kube-controller-manager `replica_set.go`.
 */
import {
  type Client,
  controllerOf,
  controllerReference,
  isDeleting,
  isNotFound,
  type KubeObject,
  keyOf,
  type LabelSelector,
  labelSelectorOf,
  type ParsedLabelSelector,
  Pod,
  ReplicaSet,
  ReplicationController,
  type ResourceRef,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store, type WorkQueue } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { claim } from '../../controller-ref-manager.js';
import { Expectations } from '../../expectations.js';
import { byController, isActive, isPodReady, orphansOf, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { isNamespaceTerminating, messageOf } from '../../refusals.js';
import { inDeletionOrder } from './deletion-order.js';
import { slowStart } from './slow-start.js';
import { sameStatus, statusOf } from './status.js';

/** Pods created or deleted in one round. */
const burstReplicas = 500;

/** Everything has upstream's default. */
export interface ReplicaSetsOptions {
  /** Sets reconciled at the same time. Default 5 (`--concurrent-replicaset-syncs`, `--concurrent-rc-syncs`). */
  concurrency?: number;
}

type SetView = DeepReadonly<ReplicaSet>;

/** What differs between the two kinds; the rest of their shape is the same. */
interface Variant {
  name: string;
  kind: ResourceRef<ReplicaSet>;
  selector(set: SetView): LabelSelector | undefined;
}

/** Keeps the pods of ReplicaSets. */
export function replicaSets(options: ReplicaSetsOptions = {}): Controller {
  const selector = (set: SetView) => set.spec.selector as LabelSelector | undefined;
  return replicating({ name: 'replicaset-controller', kind: ReplicaSet, selector }, options);
}

/** Keeps the pods of ReplicationControllers, whose selector is a plain set of labels. */
export function replicationControllers(options: ReplicaSetsOptions = {}): Controller {
  const kind = ReplicationController as unknown as ResourceRef<ReplicaSet>;
  const selector = (set: SetView) => {
    const matchLabels = set.spec.selector as Record<string, string> | undefined;
    return matchLabels && { matchLabels };
  };
  return replicating({ name: 'replicationcontroller-controller', kind, selector }, options);
}

function replicating(variant: Variant, { concurrency = 5 }: ReplicaSetsOptions): Controller {
  const { name, kind } = variant;
  return {
    name,
    async run(context) {
      const pods = context.informers.informer(Pod, { indexers: { byController } });
      const sets = context.informers.informer(kind, { indexers: { byController } });
      const queue = controllerQueue(context, name);
      const expectations = new Expectations(context.clock);
      const worker = new ReplicaSetWorker(variant, context, sets.store, pods.store, expectations);
      const listener = podListener(variant, sets.store, queue, expectations);
      const registrations = [
        sets.addHandler({
          onAdd: set => queue.add(keyOf(set)),
          onUpdate: (_, set) => queue.add(keyOf(set)),
          onDelete: set => {
            expectations.forget(keyOf(set));
            queue.add(keyOf(set));
          },
        }),
        pods.addHandler(listener),
      ];
      const reconcile = (key: string) => worker.reconcile(key);
      await reconcileLoop(context, { name, queue, informers: [sets, pods], concurrency, reconcile }, registrations);
    },
  };
}

/** What changes of pods mean for sets. */
function podListener(variant: Variant, sets: Store<ReplicaSet>, queue: WorkQueue<string>, expectations: Expectations) {
  const ownerOf = (pod: PodView): SetView | undefined => {
    const reference = controllerOf(pod);
    if (reference?.kind !== variant.kind.kind) return undefined;
    const set = sets.get({ namespace: pod.metadata.namespace, name: reference.name });
    return set?.metadata.uid === reference.uid ? set : undefined;
  };
  const enqueueMatching = (pod: PodView) => {
    for (const set of sets.list(pod.metadata.namespace)) {
      const selector = selectorOf(variant, set);
      if (selector && !selector.everything && selector.matches(pod.metadata.labels)) queue.add(keyOf(set));
    }
  };
  const deleted = (pod: PodView) => {
    const set = ownerOf(pod);
    if (!set) return;
    expectations.deletionObserved(keyOf(set), pod.metadata.uid);
    queue.add(keyOf(set));
  };
  return {
    onAdd(pod: PodView) {
      // A pod that is on its way out when it is first seen counts as deleted.
      if (isDeleting(pod)) return deleted(pod);
      if (!controllerOf(pod)) return enqueueMatching(pod);
      const set = ownerOf(pod);
      if (!set) return;
      expectations.creationObserved(keyOf(set));
      queue.add(keyOf(set));
    },
    onUpdate(before: PodView, after: PodView) {
      if (isDeleting(after)) {
        deleted(after);
        return;
      }
      const moved = controllerOf(before)?.uid !== controllerOf(after)?.uid;
      if (moved && controllerOf(before)) {
        const set = ownerOf(before);
        if (set) queue.add(keyOf(set));
      }
      if (!controllerOf(after)) {
        if (moved || JSON.stringify(before.metadata.labels) !== JSON.stringify(after.metadata.labels)) {
          enqueueMatching(after);
        }
        return;
      }
      const set = ownerOf(after);
      if (!set) return;
      queue.add(keyOf(set));
      // It will be available later, without any further event.
      const minReadySeconds = set.spec.minReadySeconds ?? 0;
      if (minReadySeconds > 0 && !isPodReady(before) && isPodReady(after)) {
        queue.addAfter(keyOf(set), minReadySeconds * 1000 + 1000);
      }
    },
    onDelete: deleted,
  };
}

function selectorOf(variant: Variant, set: SetView): ParsedLabelSelector | undefined {
  try {
    return labelSelectorOf(variant.selector(set));
  } catch {
    return undefined;
  }
}

interface Failure {
  reason: 'FailedCreate' | 'FailedDelete';
  message: string;
  error: unknown;
}

interface Scaled {
  /** Pods were made or deleted. */
  acted: boolean;
  failure?: Failure;
}

class ReplicaSetWorker {
  readonly #client: Client;

  constructor(
    private readonly variant: Variant,
    private readonly context: ControllerContext,
    private readonly sets: Store<ReplicaSet>,
    private readonly pods: Store<Pod>,
    private readonly expectations: Expectations,
  ) {
    this.#client = context.client;
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const set = this.sets.get(key);
    if (!set) {
      this.expectations.forget(key);
      return undefined;
    }
    const selector = selectorOf(this.variant, set);
    if (!selector || selector.everything) {
      this.context.events.event(
        set,
        'Warning',
        'InvalidSelector',
        'the selector is empty or cannot be read; it is ignored',
      );
      return undefined;
    }
    // Asked before the pods are listed: what is observed in between can only make it act later, not twice.
    const mayAct = this.expectations.satisfied(key);
    const candidates = [
      ...this.pods.byIndex('byController', set.metadata.uid),
      ...this.pods.byIndex('byController', orphansOf(set.metadata.namespace)),
    ].filter(isActive);
    const client = this.#client;
    const owned = await claim({
      ...{ client, kind: Pod, ownerKind: this.variant.kind, owner: set, selector },
      objects: candidates,
    });

    const { acted, failure }: Scaled =
      mayAct && !isDeleting(set) ? await this.#scale(key, set, owned) : { acted: false };
    // What was done just now brings the set here again when the cache shows it, also when it did so already: its status is written then, once.
    if (failure || !acted) await this.#writeStatus(set, owned, failure);
    if (failure) throw failure.error;

    const { minReadySeconds = 0, replicas = 1 } = set.spec;
    const ready = owned.filter(isPodReady).length;
    if (minReadySeconds > 0 && ready === replicas && (set.status.availableReplicas ?? 0) !== replicas) {
      return { requeueAfter: minReadySeconds * 1000 };
    }
    const left = mayAct ? undefined : this.expectations.remainingMs(key);
    return left === undefined ? undefined : { requeueAfter: left + 1 };
  }

  async #scale(key: string, set: SetView, owned: readonly PodView[]): Promise<Scaled> {
    const surplus = owned.length - (set.spec.replicas ?? 1);
    if (surplus < 0) return this.#create(key, set, Math.min(-surplus, burstReplicas));
    if (surplus > 0) return this.#delete(key, set, owned, Math.min(surplus, burstReplicas));
    return { acted: false };
  }

  async #create(key: string, set: SetView, count: number): Promise<Scaled> {
    this.expectations.expect(key, { creations: count });
    const { succeeded, error } = await slowStart(count, async () => {
      try {
        const pod = await this.#client.create(Pod, podOf(set));
        this.context.events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      } catch (error) {
        this.context.events.event(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
        throw error;
      }
    });
    const acted = succeeded > 0;
    if (error === undefined) return { acted };
    this.expectations.creationObserved(key, count - succeeded);
    // The namespace is going: the set will go too.
    if (isNamespaceTerminating(error)) return { acted };
    return { acted, failure: { reason: 'FailedCreate', message: messageOf(error), error } };
  }

  async #delete(key: string, set: SetView, owned: readonly PodView[], count: number): Promise<Scaled> {
    const victims = inDeletionOrder(owned, this.#related(set, owned), this.context.clock.now()).slice(0, count);
    this.expectations.expect(key, { deletions: victims.map(pod => pod.metadata.uid) });
    const results = await Promise.allSettled(
      victims.map(async pod => {
        const { uid } = pod.metadata;
        try {
          await this.#client.delete(Pod, pod.metadata as { name: string; namespace: string }, {
            preconditions: { uid },
          });
          this.context.events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
        } catch (error) {
          this.expectations.deletionObserved(key, uid);
          if (isNotFound(error)) return;
          this.context.events.event(set, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
          throw error;
        }
      }),
    );
    const failed = results.find(result => result.status === 'rejected');
    if (!failed) return { acted: true };
    return {
      acted: true,
      failure: { reason: 'FailedDelete', message: messageOf(failed.reason), error: failed.reason },
    };
  }

  /** Pods of all sets under the same owner: during a rollout, old and new ones share the nodes. */
  #related(set: SetView, owned: readonly PodView[]): readonly PodView[] {
    const owner = controllerOf(set);
    if (!owner) return owned;
    return this.sets
      .byIndex('byController', owner.uid)
      .flatMap(sibling => this.pods.byIndex('byController', sibling.metadata.uid).filter(isActive));
  }

  async #writeStatus(set: SetView, owned: readonly PodView[], failure: Failure | undefined): Promise<void> {
    const reported = failure && { reason: failure.reason, message: failure.message };
    const status = statusOf(set, owned, reported, this.context.clock.now());
    if (sameStatus(set.status, status)) return;
    await this.#client.updateStatus(this.variant.kind, { ...mutableCopy<ReplicaSet>(set), status });
  }
}

/** The pod that a set's template asks for. */
function podOf(set: SetView) {
  const template = mutableCopy<ReplicaSet>(set).spec.template;
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  return {
    metadata: {
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers ? { finalizers } : {}),
      ownerReferences: [controllerReference(set as unknown as KubeObject)],
    },
    spec: template?.spec as Pod['spec'],
  };
}
