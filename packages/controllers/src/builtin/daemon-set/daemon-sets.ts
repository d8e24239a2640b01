/**
 * A pod on every node where one belongs: what to do is daemon-plan's, done here. Pods and revisions are claimed as a replica set claims its own; the
 * scheduler binds the pods, which name their node by affinity.
 */
import {
  backoff,
  ControllerRevision,
  DaemonSet,
  isDeleting,
  isNotFound,
  keyOf,
  type LabelSelector,
  labelSelectorOf,
  Node,
  Pod,
} from '@orbitkit/core';
import { mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { claim } from '../../controller-ref-manager.js';
import { Expectations } from '../../expectations.js';
import { byController, orphansOf, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import { slowStart } from '../replica-set/slow-start.js';
import { newestRevision, revisionLabel, trimHistory } from '../revision-history/revision-history.js';
import { type DaemonPlan, planDaemons } from './daemon-plan.js';
import { type DaemonSetView, podFor } from './daemon-pods.js';

/** Everything has upstream's default. */
export interface DaemonSetsOptions {
  /** Sets reconciled at the same time. Default 2 (`--concurrent-daemonset-syncs`). */
  concurrency?: number;
}

const name = 'daemonset-controller';
/** Pods made or deleted in one round (`BurstReplicas`). */
const burst = 250;
/** Of a failed daemon pod, a node at a time. */
const failureBackoff = { initialMs: 1_000, maxMs: 15 * 60_000, factor: 2, jitter: 0 } as const;

/** The controller of DaemonSets. */
export function daemonSets({ concurrency = 2 }: DaemonSetsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const pods = context.informers.informer(Pod, { indexers: { byController } });
      const sets = context.informers.informer(DaemonSet);
      const nodes = context.informers.informer(Node);
      const revisions = context.informers.informer(ControllerRevision, { indexers: { byController } });
      const queue = controllerQueue(context, name);
      const worker = new DaemonSetWorker(context, sets.store, pods.store, nodes.store, revisions.store);
      const all = () => {
        for (const set of sets.store.list()) queue.add(keyOf(set));
      };
      const changed = (pod: PodView) => {
        const key = worker.keyOf(pod);
        if (key !== undefined) return queue.add(key);
        // An orphan may be somebody's.
        for (const set of pod.metadata.ownerReferences?.length ? [] : sets.store.list(pod.metadata.namespace))
          queue.add(keyOf(set));
      };
      const registrations = [
        sets.addHandler({
          onAdd: set => queue.add(keyOf(set)),
          onUpdate: (_, set) => queue.add(keyOf(set)),
          onDelete: set => queue.add(keyOf(set)),
        }),
        nodes.addHandler({
          onAdd: all,
          onUpdate(before, after) {
            const seen = (node: typeof after) => JSON.stringify([node.metadata.labels, node.spec.taints]);
            if (seen(before) !== seen(after)) all();
          },
          onDelete: all,
        }),
        pods.addHandler({
          onAdd: pod => {
            worker.seen(pod, 'added');
            changed(pod);
          },
          onUpdate: (before, pod) => {
            worker.seen(pod, 'updated');
            if (worker.keyOf(before) !== worker.keyOf(pod)) changed(before);
            changed(pod);
          },
          onDelete: pod => {
            worker.seen(pod, 'deleted');
            changed(pod);
          },
        }),
      ];
      const reconcile = (key: string) => worker.reconcile(key);
      const informers = [sets, pods, nodes, revisions];
      await reconcileLoop(context, { name, queue, informers, concurrency, reconcile }, registrations);
    },
  };
}

class DaemonSetWorker {
  readonly #expectations: Expectations;
  /** By set and node: when the pod that failed there may be replaced. */
  readonly #failures = new Map<string, { waits: ReturnType<typeof backoff>; until: number }>();

  constructor(
    private readonly context: ControllerContext,
    private readonly sets: Store<DaemonSet>,
    private readonly pods: Store<Pod>,
    private readonly nodes: Store<Node>,
    private readonly revisions: Store<ControllerRevision>,
  ) {
    this.#expectations = new Expectations(context.clock);
  }

  keyOf(pod: PodView): string | undefined {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
    return owner?.kind === DaemonSet.kind ? `${pod.metadata.namespace}/${owner.name}` : undefined;
  }

  seen(pod: PodView, how: 'added' | 'updated' | 'deleted'): void {
    const key = this.keyOf(pod);
    if (key === undefined) return;
    this.#expectations.seen(key, pod, how);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, clock, events } = this.context;
    const set = this.sets.get(key);
    if (!set) {
      this.#expectations.forget(key);
      for (const node of this.#failures.keys()) if (node.startsWith(`${key} `)) this.#failures.delete(node);
      return undefined;
    }
    const selector = labelSelectorOf(set.spec.selector as LabelSelector);
    if (selector.everything) {
      events.event(
        set,
        'Warning',
        'SelectingAll',
        'This daemon set is selecting all pods. A non-empty selector is required.',
      );
      return undefined;
    }
    if (isDeleting(set)) return undefined;
    const mayAct = this.#expectations.satisfied(key);
    const { uid, namespace } = set.metadata;
    const shared = { client, ownerKind: DaemonSet, owner: set, selector };
    const known = await claim({
      ...shared,
      kind: ControllerRevision,
      objects: [
        ...this.revisions.byIndex('byController', uid),
        ...this.revisions.byIndex('byController', orphansOf(namespace)),
      ],
    });
    const { revision, collisionCount } = await newestRevision({
      client,
      owner: set,
      template: set.spec.template,
      known,
      collisionCount: set.status.collisionCount ?? 0,
    });
    const hash = revision.metadata.labels?.[revisionLabel] ?? '';
    const owned = await claim({
      ...shared,
      kind: Pod,
      objects: [...this.pods.byIndex('byController', uid), ...this.pods.byIndex('byController', orphansOf(namespace))],
    });
    const now = clock.now();
    const backoffMs = (node: string) => Math.max(0, (this.#failures.get(`${key} ${node}`)?.until ?? 0) - now);
    const plan = planDaemons({ set, pods: owned, nodes: this.nodes.list(), hash, now, backoffMs });
    const failure = mayAct
      ? ((await this.#delete(key, set, plan)) ?? (await this.#create(key, set, plan, hash)))
      : undefined;
    const inUse = new Set([
      revision.metadata.name,
      ...owned.map(pod => `${set.metadata.name}-${pod.metadata.labels?.[revisionLabel]}`),
    ]);
    await trimHistory(client, known, inUse, set.spec.revisionHistoryLimit ?? 10);
    await this.#writeStatus(set, plan, collisionCount);
    if (failure !== undefined) throw failure;
    const waits = [plan.recheckMs, mayAct ? undefined : this.#expectations.remainingMs(key)].filter(
      ms => ms !== undefined,
    );
    return waits.length === 0 ? undefined : { requeueAfter: Math.max(1, Math.ceil(Math.min(...waits))) };
  }

  async #create(key: string, set: DaemonSetView, { create }: DaemonPlan, hash: string): Promise<unknown> {
    const nodes = create.slice(0, burst);
    if (nodes.length === 0) return undefined;
    const { client, events } = this.context;
    this.#expectations.expect(key, { creations: nodes.length });
    const { succeeded, error } = await slowStart(nodes.length, async index => {
      try {
        const pod = await client.create(Pod, podFor(set, nodes[index]!, hash));
        events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      } catch (error) {
        events.event(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
        throw error;
      }
    });
    if (error === undefined) return undefined;
    this.#expectations.creationObserved(key, nodes.length - succeeded);
    return error;
  }

  async #delete(key: string, set: DaemonSetView, plan: DaemonPlan): Promise<unknown> {
    const pods = plan.delete.slice(0, burst);
    if (pods.length === 0) return undefined;
    const { client, events, clock } = this.context;
    for (const pod of plan.failed) {
      const node = `${key} ${pod.spec.nodeName}`;
      const failure = this.#failures.get(node) ?? {
        waits: backoff({ ...failureBackoff, resetAfterMs: 30 * 60_000, clock }),
        until: 0,
      };
      failure.until = clock.now() + failure.waits.next();
      this.#failures.set(node, failure);
      events.event(
        set,
        'Warning',
        'FailedDaemonPod',
        `Found failed daemon pod ${keyOf(pod)} on node ${pod.spec.nodeName}, will try to kill it`,
      );
    }
    for (const pod of pods) {
      if (pod.status.phase !== 'Succeeded') continue;
      const text = `Found succeeded daemon pod ${keyOf(pod)} on node ${pod.spec.nodeName}, will try to delete it`;
      events.event(set, 'Normal', 'SucceededDaemonPod', text);
    }
    this.#expectations.expect(key, { deletions: pods.map(({ metadata }) => metadata.uid) });
    const results = await Promise.allSettled(
      pods.map(async ({ metadata }) => {
        const { uid } = metadata;
        try {
          await client.delete(Pod, metadata as { name: string; namespace: string }, { preconditions: { uid } });
          events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${metadata.name}`);
        } catch (error) {
          this.#expectations.deletionObserved(key, uid);
          if (!isNotFound(error)) throw error;
        }
      }),
    );
    return results.find(result => result.status === 'rejected')?.reason;
  }

  async #writeStatus(set: DaemonSetView, { counts }: DaemonPlan, collisionCount: number): Promise<void> {
    const before = set.status;
    const status = {
      ...mutableCopy<DaemonSet['status']>(before),
      ...counts,
      observedGeneration: set.metadata.generation ?? 0,
      numberUnavailable: counts.desiredNumberScheduled - counts.numberAvailable,
      ...(collisionCount > 0 ? { collisionCount } : {}),
    };
    const same = (Object.keys(status) as (keyof typeof status)[]).every(
      key => (before[key] ?? 0) === (status[key] ?? 0) || typeof status[key] === 'object',
    );
    if (same) return;
    await this.context.client.updateStatus(DaemonSet, { ...mutableCopy<DaemonSet>(set), status });
  }
}
