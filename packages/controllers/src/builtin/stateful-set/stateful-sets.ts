/**
 * Pods with names and volumes of their own, that come and go in order: what to do is stateful-plan's, done here.
 *
 * - A pod's claims are made before it, and stay when it goes, unless the retention policy says otherwise. Claims are never changed afterwards.
 * - The current revision becomes the update revision when every pod has it. Claims and revisions of another owner are left alone.
 */
import {
  ControllerRevision,
  type Draft,
  isAlreadyExists,
  isDeleting,
  isNotFound,
  keyOf,
  type LabelSelector,
  labelSelectorOf,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
} from '@orbitkit/core';
import { mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { claim } from '../../controller-ref-manager.js';
import { Expectations } from '../../expectations.js';
import { byController, orphansOf, type PodView } from '../../pods/pod-state.js';
import type { PodTemplateSpec } from '../../pods/pod-template.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import { newestRevision, type RevisionView, revisionLabel, trimHistory } from '../revision-history/revision-history.js';
import { planStateful, type StatefulPlan } from './stateful-plan.js';
import {
  claimOwners,
  claimsFor,
  claimTrouble,
  isClaimOf,
  missingIdentity,
  ordinalOf,
  podFor,
  podNameOf,
  type StatefulSetView,
} from './stateful-pods.js';

/** Everything has upstream's default. */
export interface StatefulSetsOptions {
  /** Sets reconciled at the same time. Default 5 (`--concurrent-statefulset-syncs`). */
  concurrency?: number;
}

const name = 'statefulset-controller';

/** The controller of StatefulSets. */
export function statefulSets({ concurrency = 5 }: StatefulSetsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const pods = context.informers.informer(Pod, { indexers: { byController } });
      const sets = context.informers.informer(StatefulSet);
      const claims = context.informers.informer(PersistentVolumeClaim);
      const revisions = context.informers.informer(ControllerRevision, { indexers: { byController } });
      const queue = controllerQueue(context, name);
      const worker = new StatefulSetWorker(context, sets.store, pods.store, claims.store, revisions.store);
      const changed = (pod: PodView) => {
        const key = ownerKeyOf(pod);
        if (key !== undefined) return queue.add(key);
        for (const set of pod.metadata.ownerReferences?.length ? [] : sets.store.list(pod.metadata.namespace))
          queue.add(keyOf(set));
      };
      const registrations = [
        sets.addHandler({
          onAdd: set => queue.add(keyOf(set)),
          onUpdate: (_, set) => queue.add(keyOf(set)),
          onDelete: set => queue.add(keyOf(set)),
        }),
        claims.addHandler({
          // Its pod may wait for that, or need another.
          onDelete: ({ metadata }) => {
            for (const set of sets.store.list(metadata.namespace))
              if (isClaimOf(set, metadata.name)) queue.add(keyOf(set));
          },
        }),
        pods.addHandler({
          onAdd: pod => {
            worker.seen(pod, 'added');
            changed(pod);
          },
          onUpdate: (before, pod) => {
            worker.seen(pod, 'updated');
            if (ownerKeyOf(before) !== ownerKeyOf(pod)) changed(before);
            changed(pod);
          },
          onDelete: pod => {
            worker.seen(pod, 'deleted');
            changed(pod);
          },
        }),
      ];
      const reconcile = (key: string) => worker.reconcile(key);
      const informers = [sets, pods, claims, revisions];
      await reconcileLoop(context, { name, queue, informers, concurrency, reconcile }, registrations);
    },
  };
}

function ownerKeyOf(pod: PodView): string | undefined {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
  return owner?.kind === StatefulSet.kind ? `${pod.metadata.namespace}/${owner.name}` : undefined;
}

class StatefulSetWorker {
  readonly #expectations: Expectations;

  constructor(
    private readonly context: ControllerContext,
    private readonly sets: Store<StatefulSet>,
    private readonly pods: Store<Pod>,
    private readonly claims: Store<PersistentVolumeClaim>,
    private readonly revisions: Store<ControllerRevision>,
  ) {
    this.#expectations = new Expectations(context.clock);
  }

  seen(pod: PodView, how: 'added' | 'updated' | 'deleted'): void {
    const key = ownerKeyOf(pod);
    if (key === undefined) return;
    this.#expectations.seen(key, pod, how);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, clock } = this.context;
    const set = this.sets.get(key);
    if (!set) {
      this.#expectations.forget(key);
      return undefined;
    }
    const selector = labelSelectorOf(set.spec.selector as LabelSelector);
    if (selector.everything) return undefined;
    const mayAct = this.#expectations.satisfied(key);
    const { uid, namespace } = set.metadata;
    const shared = { client, ownerKind: StatefulSet, owner: set, selector };
    const known = await claim({
      ...shared,
      kind: ControllerRevision,
      objects: [
        ...this.revisions.byIndex('byController', uid),
        ...this.revisions.byIndex('byController', orphansOf(namespace)),
      ],
    });
    const { revision: update, collisionCount } =
      isDeleting(set) && known.length > 0
        ? {
            revision: known.reduce((a, b) => (b.revision > a.revision ? b : a)),
            collisionCount: set.status.collisionCount ?? 0,
          }
        : await newestRevision({
            client,
            owner: set,
            template: set.spec.template,
            known,
            collisionCount: set.status.collisionCount ?? 0,
          });
    const current = known.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update;
    // A pod whose name is not the set's is nobody's ordinal, whatever its labels.
    const named = (pod: PodView) => ordinalOf(set, pod.metadata.name) !== undefined;
    const owned = await claim({
      ...shared,
      kind: Pod,
      objects: [
        ...this.pods.byIndex('byController', uid),
        ...this.pods.byIndex('byController', orphansOf(namespace)).filter(named),
      ],
    });
    const state = { set, pods: owned, current: current.metadata.name, update: update.metadata.name, now: clock.now() };
    const plan = planStateful(state);

    if (!isDeleting(set)) {
      await this.#identify(set, owned);
      await this.#retainClaims(set, owned, plan);
      if (mayAct) await this.#restoreClaims(set, owned, plan);
    }
    const failure = mayAct
      ? ((await this.#delete(key, set, plan)) ?? (await this.#create(key, set, plan, [...known, update])))
      : undefined;
    await this.#writeStatus(set, plan, state, collisionCount);
    const inUse = new Set([
      state.current,
      state.update,
      ...owned.map(pod => pod.metadata.labels?.[revisionLabel] ?? ''),
    ]);
    await trimHistory(client, known, inUse, set.spec.revisionHistoryLimit ?? 10);
    if (failure !== undefined) throw failure;
    const waits = [plan.recheckMs, mayAct ? undefined : this.#expectations.remainingMs(key)].filter(
      ms => ms !== undefined,
    );
    return waits.length === 0 ? undefined : { requeueAfter: Math.max(1, Math.ceil(Math.min(...waits))) };
  }

  async #create(
    key: string,
    set: StatefulSetView,
    { create }: StatefulPlan,
    known: readonly RevisionView[],
  ): Promise<unknown> {
    const { client, events } = this.context;
    for (const { ordinal, revision } of create) {
      const data = known.find(({ metadata }) => metadata.name === revision)?.data as
        | { spec?: { template?: PodTemplateSpec } }
        | undefined;
      const template = data?.spec?.template ?? set.spec.template;
      const podName = podNameOf(set, ordinal);
      try {
        await this.#makeClaims(set, ordinal);
        this.#expectations.expect(key, { creations: 1 });
        await client.create(Pod, podFor(set, ordinal, withoutDirective(template), revision));
        events.event(
          set,
          'Normal',
          'SuccessfulCreate',
          `create Pod ${podName} in StatefulSet ${set.metadata.name} successful`,
        );
      } catch (error) {
        this.#expectations.creationObserved(key);
        // The pod of that name is on its way out, or the cache is behind: the next look comes with its event.
        if (isAlreadyExists(error)) return error;
        const why = messageOf(error);
        events.event(
          set,
          'Warning',
          'FailedCreate',
          `create Pod ${podName} in StatefulSet ${set.metadata.name} failed error: ${why}`,
        );
        return error;
      }
      if (set.spec.podManagementPolicy !== 'Parallel') return undefined;
    }
    return undefined;
  }

  /** @throws Error when the pod has to wait for a claim that goes; it is tried again. */
  async #makeClaims(set: StatefulSetView, ordinal: number): Promise<void> {
    for (const draft of claimsFor(set, ordinal)) {
      const held = this.claims.get(draft.metadata as { name: string; namespace: string });
      if (!held) await this.#makeClaim(draft);
      const trouble = held && claimTrouble(set, held, podNameOf(set, ordinal));
      if (trouble) throw new Error(`${trouble}: it is waited for`);
    }
  }

  /** A pod whose claim was deleted before it was bound waits for one of that name. */
  async #restoreClaims(set: StatefulSetView, pods: readonly PodView[], plan: StatefulPlan): Promise<void> {
    if (!set.spec.volumeClaimTemplates?.length) return;
    for (const pod of pods) {
      if (pod.status.phase !== 'Pending' || isDeleting(pod) || plan.condemned.includes(pod)) continue;
      for (const draft of claimsFor(set, ordinalOf(set, pod.metadata.name)!))
        if (!this.claims.has(draft.metadata as { name: string; namespace: string })) await this.#makeClaim(draft);
    }
  }

  async #makeClaim(draft: Draft<PersistentVolumeClaim>): Promise<void> {
    try {
      await this.context.client.create(PersistentVolumeClaim, draft);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  /** A pod that was adopted gets the labels by which its ordinal is known. */
  async #identify(set: StatefulSetView, pods: readonly PodView[]): Promise<void> {
    for (const pod of pods) {
      const labels = isDeleting(pod) ? undefined : missingIdentity(set, pod);
      if (!labels) continue;
      const { name: podName, namespace, uid, resourceVersion } = pod.metadata;
      const patch = { metadata: { uid, resourceVersion, labels } };
      await this.context.client.patch(Pod, { name: podName, namespace }, { type: 'merge', patch });
    }
  }

  /** Sets who owns the claims; see claimOwners. */
  async #retainClaims(set: StatefulSetView, pods: readonly PodView[], plan: StatefulPlan): Promise<void> {
    if (!set.spec.volumeClaimTemplates?.length) return;
    for (const pod of pods) {
      const ordinal = ordinalOf(set, pod.metadata.name)!;
      for (const { metadata } of claimsFor(set, ordinal)) {
        const held = this.claims.get({ namespace: set.metadata.namespace, name: metadata.name! });
        const owners = held && claimOwners(set, held, pod, plan.condemned.includes(pod));
        if (!held || !owners) continue;
        const next = mutableCopy<PersistentVolumeClaim>(held);
        next.metadata.ownerReferences = owners.map(each => ({ ...each }));
        await this.context.client.update(PersistentVolumeClaim, next);
      }
    }
  }

  async #delete(key: string, set: StatefulSetView, plan: StatefulPlan): Promise<unknown> {
    const { client, events } = this.context;
    if (plan.delete.length === 0) return undefined;
    this.#expectations.expect(key, { deletions: plan.delete.map(({ metadata }) => metadata.uid) });
    for (const { metadata, status } of plan.delete) {
      const { uid } = metadata;
      const recreating = `StatefulSet ${set.metadata.namespace}/${set.metadata.name} is recreating`;
      if (status.phase === 'Failed')
        events.event(set, 'Warning', 'RecreatingFailedPod', `${recreating} failed Pod ${metadata.name}`);
      if (status.phase === 'Succeeded')
        events.event(set, 'Normal', 'RecreatingTerminatedPod', `${recreating} terminated Pod ${metadata.name}`);
      try {
        await client.delete(Pod, metadata as { name: string; namespace: string }, { preconditions: { uid } });
        events.event(
          set,
          'Normal',
          'SuccessfulDelete',
          `delete Pod ${metadata.name} in StatefulSet ${set.metadata.name} successful`,
        );
      } catch (error) {
        this.#expectations.deletionObserved(key, uid);
        if (!isNotFound(error)) return error;
      }
    }
    return undefined;
  }

  async #writeStatus(
    set: StatefulSetView,
    { counts }: StatefulPlan,
    state: { current: string; update: string },
    collisionCount: number,
  ): Promise<void> {
    const before = set.status;
    const done =
      counts.updatedReplicas === counts.replicas &&
      counts.readyReplicas === counts.replicas &&
      counts.replicas === (set.spec.replicas ?? 1);
    const finished =
      done && set.spec.updateStrategy?.type !== 'OnDelete' && !(set.spec.updateStrategy?.rollingUpdate?.partition ?? 0);
    const status = {
      ...mutableCopy<StatefulSet['status']>(before),
      ...counts,
      observedGeneration: set.metadata.generation ?? 0,
      currentRevision: finished ? state.update : state.current,
      updateRevision: state.update,
      ...(finished ? { currentReplicas: counts.updatedReplicas } : {}),
      ...(collisionCount > 0 ? { collisionCount } : {}),
    };
    const same = (Object.keys(status) as (keyof typeof status)[]).every(
      field => typeof status[field] === 'object' || (before[field] ?? 0) === (status[field] ?? 0),
    );
    if (!same) await this.context.client.updateStatus(StatefulSet, { ...mutableCopy<StatefulSet>(set), status });
  }
}

/** A revision's data is a patch. */
function withoutDirective(template: PodTemplateSpec): PodTemplateSpec {
  const { $patch: _directive, ...rest } = template as PodTemplateSpec & { $patch?: string };
  return rest;
}
