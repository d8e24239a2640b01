/**
 * The writes of one reconciliation of a deployment: makes and scales replica sets, numbers revisions, reports status.
 * What is decided comes from rollout-plan; every write carries the resourceVersion that was read, so a stale cache can
 * only cause a conflict and another look.
 */
import {
  controllerOf,
  controllerReference,
  type Deployment,
  Deployment as DeploymentKind,
  findCondition,
  isAlreadyExists,
  isDeleting,
  isNotFound,
  type KubeObject,
  ReplicaSet,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { ControllerContext } from '../../controller.js';
import { isNamespaceTerminating, messageOf } from '../../refusals.js';
import {
  byCreation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  newSetAnnotations,
  nextRevision,
  revisionAnnotation,
  revisionOf,
  type SetView,
} from './revision.js';
import { heldBy, mostReplicas, newSetSize, type Scaling, sizeOf, wantedBy } from './rollout-plan.js';
import {
  conditionOf,
  countedStatus,
  type DeploymentStatus,
  deadlineCheckMs,
  deadlineOf,
  rolloutStatus,
  sameStatus,
  withCondition,
} from './status.js';
import { sameTemplate, templateHash, templateHashLabel } from './template.js';

export class Rollout {
  /** Our own copy; its resourceVersion follows our writes. */
  deployment: Deployment;
  newSet: SetView | undefined;
  readonly oldSets: SetView[];

  constructor(
    private readonly context: ControllerContext,
    deployment: DeepReadonly<Deployment>,
    sets: readonly SetView[],
    /** Hears of every replica set that was written. */
    private readonly noteWrite: (set: SetView) => void,
  ) {
    this.deployment = mutableCopy<Deployment>(deployment);
    const oldestFirst = [...sets].sort(byCreation);
    this.newSet = oldestFirst.find(set => sameTemplate(set.spec.template, deployment.spec.template));
    this.oldSets = oldestFirst.filter(set => set !== this.newSet);
  }

  /** Gives the set of the current template its revision, and makes that set when `create` says so and there is none. */
  async prepareNewSet({ create }: { create: boolean }): Promise<void> {
    const revision = nextRevision(this.oldSets);
    if (this.newSet) {
      await this.#refreshNewSet(this.newSet, revision);
      await this.#showRevision(revisionOf(this.newSet));
      await this.#noteProgress('FoundNewReplicaSet', `Found new replica set "${this.newSet.metadata.name}"`);
    } else if (create) {
      await this.#createNewSet(revision);
    }
  }

  async #refreshNewSet(set: SetView, revision: number): Promise<void> {
    const annotations = newSetAnnotations(this.deployment, set.metadata.annotations ?? {}, revision);
    const minReadySeconds = this.deployment.spec.minReadySeconds ?? 0;
    if (annotations === set.metadata.annotations && minReadySeconds === (set.spec.minReadySeconds ?? 0)) return;
    const next = mutableCopy<ReplicaSet>(set);
    next.metadata.annotations = { ...annotations };
    next.spec.minReadySeconds = minReadySeconds;
    this.newSet = await this.context.client.update(ReplicaSet, next);
    this.noteWrite(this.newSet);
  }

  async #createNewSet(revision: number): Promise<void> {
    const { client, events } = this.context;
    const { deployment } = this;
    const { metadata, spec, status } = deployment;
    const hash = templateHash(spec.template, status.collisionCount ?? 0);
    const template = mutableCopy<Deployment['spec']['template']>(spec.template);
    template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [templateHashLabel]: hash } };
    const replicas = newSetSize(
      deployment,
      0,
      this.oldSets.reduce((total, set) => total + heldBy(set), 0),
    );
    const draft = {
      metadata: {
        name: `${metadata.name}-${hash}`,
        namespace: metadata.namespace,
        labels: { ...template.metadata.labels },
        annotations: {
          ...newSetAnnotations(deployment, {}, revision),
          [desiredReplicasAnnotation]: String(wantedBy(deployment)),
          [maxReplicasAnnotation]: String(mostReplicas(deployment)),
        },
        ownerReferences: [controllerReference(deployment as unknown as KubeObject)],
      },
      spec: {
        replicas,
        minReadySeconds: spec.minReadySeconds ?? 0,
        selector: {
          ...spec.selector,
          matchLabels: { ...spec.selector.matchLabels, [templateHashLabel]: hash },
        },
        template,
      },
    };
    try {
      this.newSet = await client.create(ReplicaSet, draft);
      this.noteWrite(this.newSet);
    } catch (error) {
      if (!isAlreadyExists(error)) return this.#creationFailed(error);
      await this.#takeOverOrRename(draft.metadata.name, metadata.namespace);
      return;
    }
    await this.#showRevision(revision);
    await this.#noteProgress('NewReplicaSetCreated', `Created new replica set "${this.newSet.metadata.name}"`);
    if (replicas > 0) {
      const text = `Scaled up replica set ${this.newSet.metadata.name} from 0 to ${replicas}`;
      events.event(deployment, 'Normal', 'ScalingReplicaSet', text);
    }
  }

  /** The name is taken: by our own set that the cache does not show yet, or by another template with the same hash. */
  async #takeOverOrRename(name: string, namespace: string): Promise<void> {
    const { client } = this.context;
    const existing = await client.get(ReplicaSet, { name, namespace });
    const ours = controllerOf(existing)?.uid === this.deployment.metadata.uid;
    if (ours && sameTemplate(existing.spec.template, this.deployment.spec.template)) {
      this.newSet = existing;
      return;
    }
    const status = { ...this.deployment.status, collisionCount: (this.deployment.status.collisionCount ?? 0) + 1 };
    await this.#writeStatus(status);
    throw new Error(`the name ${name} is taken by another replica set; trying the next one`);
  }

  async #creationFailed(error: unknown): Promise<never> {
    const message = messageOf(error);
    if (!isNamespaceTerminating(error)) {
      const text = `Failed to create new replica set: ${message}`;
      this.context.events.event(this.deployment, 'Warning', 'ReplicaSetCreateError', text);
      await this.#noteProgress('ReplicaSetCreateError', text, 'False');
    }
    throw error;
  }

  /** The revision on the deployment itself. */
  async #showRevision(revision: number): Promise<void> {
    const { deployment } = this;
    if (deployment.metadata.annotations?.[revisionAnnotation] === String(revision)) return;
    const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: String(revision) };
    const next = mutableCopy<Deployment>(deployment);
    next.metadata.annotations = annotations;
    this.deployment = await this.context.client.update(DeploymentKind, next);
  }

  /** The first word about a rollout; later ones come with its status. */
  async #noteProgress(reason: string, message: string, value: 'True' | 'False' = 'True'): Promise<void> {
    if (deadlineOf(this.deployment) === undefined) return;
    const known = findCondition(this.deployment.status.conditions, 'Progressing');
    if (reason === 'FoundNewReplicaSet' && known) return;
    const status = { ...this.deployment.status };
    withCondition(status, conditionOf('Progressing', value, reason, message, this.context.clock.now()));
    await this.#writeStatus(status);
  }

  /** Writes the sizes that differ; true when a set got another size. */
  async scale(scalings: readonly Scaling[]): Promise<boolean> {
    let resized = false;
    for (const { set, replicas } of scalings) resized = (await this.#scaleOne(set, replicas)) || resized;
    return resized;
  }

  async #scaleOne(set: SetView, replicas: number): Promise<boolean> {
    const annotations = {
      [desiredReplicasAnnotation]: String(wantedBy(this.deployment)),
      [maxReplicasAnnotation]: String(mostReplicas(this.deployment)),
    };
    const before = sizeOf(set);
    const annotated = Object.entries(annotations).every(([name, value]) => set.metadata.annotations?.[name] === value);
    if (before === replicas && annotated) return false;
    const next = mutableCopy<ReplicaSet>(set);
    next.spec.replicas = replicas;
    next.metadata.annotations = { ...next.metadata.annotations, ...annotations };
    const written = await this.context.client.update(ReplicaSet, next);
    this.noteWrite(written);
    this.#replace(set, written);
    if (before === replicas) return false;
    const direction = replicas > before ? 'up' : 'down';
    const text = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`;
    this.context.events.event(this.deployment, 'Normal', 'ScalingReplicaSet', text);
    return true;
  }

  #replace(set: SetView, written: SetView): void {
    if (this.newSet === set) this.newSet = written;
    else this.oldSets.splice(this.oldSets.indexOf(set), 1, written);
  }

  /** Deletes old, empty sets beyond the history limit, lowest revision first. */
  async cleanUp(): Promise<void> {
    const limit = this.deployment.spec.revisionHistoryLimit ?? 10;
    const alive = this.oldSets.filter(set => !isDeleting(set));
    const surplus = alive.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, alive.length - limit));
    for (const set of surplus) {
      const { uid, resourceVersion, generation = 0, name, namespace } = set.metadata;
      const empty =
        sizeOf(set) === 0 && set.status.replicas === 0 && generation <= (set.status.observedGeneration ?? 0);
      if (!empty) continue;
      try {
        await this.context.client.delete(ReplicaSet, { name, namespace }, { preconditions: { uid, resourceVersion } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }

  /** Counts only: while paused, resized or deleted. */
  async reportCounts(): Promise<void> {
    await this.#writeStatus(countedStatus(this.deployment, this.newSet, this.oldSets, this.context.clock.now()));
  }

  /** @returns when to look again, in milliseconds, should nothing change: a rollout may run out of time silently. */
  async reportRollout(): Promise<number | undefined> {
    const now = this.context.clock.now();
    const status = rolloutStatus(this.deployment, this.newSet, this.oldSets, now);
    await this.#writeStatus(status);
    return deadlineCheckMs(this.deployment, status, now);
  }

  async reportCondition(condition: NonNullable<DeploymentStatus['conditions']>[number]): Promise<void> {
    const status = { ...this.deployment.status };
    withCondition(status, condition);
    await this.#writeStatus(status);
  }

  async #writeStatus(status: DeploymentStatus): Promise<void> {
    if (sameStatus(this.deployment.status, status)) return;
    this.deployment = await this.context.client.updateStatus(DeploymentKind, { ...this.deployment, status });
  }
}
