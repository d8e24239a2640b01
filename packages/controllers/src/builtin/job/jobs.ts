/**
 * Runs pods until enough of them have succeeded: what to do is job-plan's, done here.
 *
 * - Pods are claimed as a replica set claims its own. A Job whose `managedBy` names another controller is left alone.
 * - The status is written before a pod is let go, so that no end is lost; pods that lost their Job are let go as well.
 *
 * Not promised: that a name is used once, or that two pods of one index never overlap (a node that is lost may still run one).
 */
import { isNotFound, Job, keyOf, type LabelSelector, labelSelectorOf, Pod } from '@orbitkit/core';
import { mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { claim } from '../../controller-ref-manager.js';
import { Expectations } from '../../expectations.js';
import { byController, orphansOf, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { isNamespaceTerminating, messageOf } from '../../refusals.js';
import { slowStart } from '../replica-set/slow-start.js';
import { isFinished, type JobPlan, planJob } from './job-plan.js';
import { isTracked, type JobView, podFor, trackingFinalizer } from './job-pods.js';

/** Everything has upstream's default. */
export interface JobsOptions {
  /** Jobs reconciled at the same time. Default 5 (`--concurrent-job-syncs`). */
  concurrency?: number;
}

const name = 'job-controller';
/** What `spec.managedBy` says of Jobs that are ours; the default. */
const manager = 'kubernetes.io/job-controller';
/** In the queue, a pod that may have lost its Job; Jobs stand under their own key. */
const podPrefix = 'pod:';

/** The controller of Jobs. */
export function jobs({ concurrency = 5 }: JobsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const pods = context.informers.informer(Pod, { indexers: { byController } });
      const known = context.informers.informer(Job);
      const queue = controllerQueue(context, name);
      const worker = new JobWorker(context, known.store, pods.store);
      const changed = (pod: PodView) => {
        const owner = ownerOf(pod);
        if (owner) queue.add(`${pod.metadata.namespace}/${owner.name}`);
        if (isTracked(pod) && worker.jobOf(pod) === undefined) queue.add(podPrefix + keyOf(pod));
      };
      const registrations = [
        known.addHandler({
          onAdd: job => queue.add(keyOf(job)),
          onUpdate: (_, job) => queue.add(keyOf(job)),
          onDelete: job => {
            for (const pod of pods.store.byIndex('byController', job.metadata.uid)) queue.add(podPrefix + keyOf(pod));
            queue.add(keyOf(job));
          },
        }),
        pods.addHandler({
          onAdd: pod => {
            worker.seen(pod, 'added');
            changed(pod);
          },
          onUpdate: (before, pod) => {
            if (ownerOf(before)?.uid !== ownerOf(pod)?.uid) changed(before);
            worker.seen(pod, 'updated');
            changed(pod);
          },
          onDelete: pod => {
            worker.seen(pod, 'deleted');
            changed(pod);
          },
        }),
      ];
      const reconcile = (key: string) =>
        key.startsWith(podPrefix) ? worker.reconcilePod(key.slice(podPrefix.length)) : worker.reconcile(key);
      await reconcileLoop(context, { name, queue, informers: [known, pods], concurrency, reconcile }, registrations);
    },
  };
}

const ownerOf = (pod: PodView) => {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
  return owner?.kind === Job.kind && owner.apiVersion.startsWith('batch/') ? owner : undefined;
};

class JobWorker {
  readonly #expectations: Expectations;

  constructor(
    private readonly context: ControllerContext,
    private readonly jobs: Store<Job>,
    private readonly pods: Store<Pod>,
  ) {
    this.#expectations = new Expectations(context.clock);
  }

  jobOf(pod: PodView): JobView | undefined {
    const owner = ownerOf(pod);
    const job = owner && this.jobs.get({ namespace: pod.metadata.namespace, name: owner.name });
    return job?.metadata.uid === owner?.uid ? job : undefined;
  }

  /** The cache has the pod, or has it no more. */
  seen(pod: PodView, how: 'added' | 'updated' | 'deleted'): void {
    const owner = ownerOf(pod);
    if (!owner) return;
    const key = `${pod.metadata.namespace}/${owner.name}`;
    this.#expectations.seen(key, pod, how);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { client, clock } = this.context;
    const job = this.jobs.get(key);
    if (!job) {
      this.#expectations.forget(key);
      return undefined;
    }
    if ((job.spec.managedBy ?? manager) !== manager) return undefined;
    const mayAct = this.#expectations.satisfied(key);
    const selector = labelSelectorOf(job.spec.selector as LabelSelector | undefined);
    const objects = [
      ...this.pods.byIndex('byController', job.metadata.uid),
      ...(isFinished(job) ? [] : this.pods.byIndex('byController', orphansOf(job.metadata.namespace))),
    ];
    const owned = await claim({ client, kind: Pod, ownerKind: Job, owner: job, selector, objects });
    const plan = planJob(job, owned, clock.now(), mayAct);

    let failure: unknown;
    if (mayAct) failure = (await this.#delete(key, job, plan)) ?? (await this.#create(key, job, plan));
    await this.#writeStatus(job, plan);
    await Promise.all(plan.release.map(pod => this.#release(pod)));
    if (failure !== undefined) throw failure;
    const waits = [plan.recheckMs, mayAct ? undefined : this.#expectations.remainingMs(key)].filter(
      ms => ms !== undefined,
    );
    return waits.length === 0 ? undefined : { requeueAfter: Math.max(1, Math.ceil(Math.min(...waits))) };
  }

  /** A pod that is marked as a Job's, and has none: nobody will count it. */
  async reconcilePod(key: string): Promise<ReconcileResult> {
    const pod = this.pods.get(key);
    if (!pod || !isTracked(pod) || this.jobOf(pod)) return undefined;
    const owner = ownerOf(pod);
    if (owner) {
      // The cache of Jobs may be behind that of pods.
      const live = await this.context.client
        .get(Job, { namespace: pod.metadata.namespace!, name: owner.name })
        .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
      if (live?.metadata.uid === owner.uid) return undefined;
    }
    await this.#release(pod);
    return undefined;
  }

  async #create(key: string, job: JobView, { create }: JobPlan): Promise<unknown> {
    if (create.length === 0) return undefined;
    const { client, events } = this.context;
    const waiting = [...create];
    this.#expectations.expect(key, { creations: create.length });
    const { succeeded, error } = await slowStart(create.length, async () => {
      const { index, failures } = waiting.shift()!;
      try {
        const pod = await client.create(Pod, podFor(job, index, failures));
        events.event(job, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      } catch (error) {
        events.event(job, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
        throw error;
      }
    });
    if (error === undefined) return undefined;
    this.#expectations.creationObserved(key, create.length - succeeded);
    return isNamespaceTerminating(error) ? undefined : error;
  }

  async #delete(key: string, job: JobView, plan: JobPlan): Promise<unknown> {
    if (plan.delete.length === 0) return undefined;
    const { client, events } = this.context;
    this.#expectations.expect(key, { deletions: plan.delete.map(({ metadata }) => metadata.uid) });
    const results = await Promise.allSettled(
      plan.delete.map(async ({ metadata }) => {
        const { uid } = metadata;
        try {
          await client.delete(Pod, metadata as { name: string; namespace: string }, { preconditions: { uid } });
          events.event(job, 'Normal', 'SuccessfulDelete', `Deleted pod: ${metadata.name}`);
        } catch (error) {
          this.#expectations.deletionObserved(key, uid);
          if (!isNotFound(error)) throw error;
        }
      }),
    );
    return results.find(result => result.status === 'rejected')?.reason;
  }

  async #writeStatus(job: JobView, { status }: JobPlan): Promise<void> {
    if (substance(job.status) === substance(status)) return;
    await this.context.client.updateStatus(Job, { ...mutableCopy<Job>(job), status });
    const { events } = this.context;
    const before = new Set(job.status.conditions?.filter(each => each.status === 'True').map(({ type }) => type));
    for (const { type, status: value, reason = '', message = '' } of status.conditions ?? []) {
      const holds = value === 'True';
      if (holds === before.has(type)) continue;
      if (type === 'Suspended') events.event(job, 'Normal', holds ? 'Suspended' : 'Resumed', message);
      if (type === 'Complete' && holds) events.event(job, 'Normal', 'Completed', 'Job completed');
      if (type === 'Failed' && holds) events.event(job, 'Warning', reason, message);
    }
  }

  async #release(pod: PodView): Promise<void> {
    const { uid, resourceVersion } = pod.metadata;
    const rest = (pod.metadata.finalizers ?? []).filter(each => each !== trackingFinalizer);
    const patch = { metadata: { uid, resourceVersion, finalizers: rest.length > 0 ? rest : null } };
    try {
      await this.context.client.patch(Pod, pod.metadata as { name: string; namespace: string }, {
        type: 'merge',
        patch,
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** A status without what says nothing: a server may leave zeros out. */
const substance = (status: JobView['status']): string =>
  JSON.stringify(
    Object.entries(status)
      .filter(([, value]) => value !== 0 && value !== '' && JSON.stringify(value) !== '{}')
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
