/**
 * Rolls out pod templates: a replica set per template, and a controlled way from one to the next.
 *
 * - RollingUpdate within maxSurge and maxUnavailable; Recreate waits until the last old pod is gone; paused deployments
 *   are only resized. A change of size in the middle of a rollout is shared in proportion.
 * - Revisions, their history limit, and conditions are such that `kubectl rollout status|history|undo|pause|resume` work.
 *   Undo is nothing special: an older template comes back, and its replica set is found and grows again.
 * - A rollout that does not get on within progressDeadlineSeconds is reported, not reverted.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/deployment`.
 */
import {
  controllerOf,
  Deployment,
  isDeleting,
  keyOf,
  type LabelSelector,
  labelSelectorOf,
  type ParsedLabelSelector,
  Pod,
  ReplicaSet,
} from '@orbitkit/core';
import type { DeepReadonly, Store, WorkQueue } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { claim } from '../../controller-ref-manager.js';
import { OwnWrites, rememberedMs } from '../../own-writes.js';
import { byController, isTerminal, orphansOf, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import type { DeploymentView, SetView } from './revision.js';
import { Rollout } from './rollout.js';
import { isRecreate, resizeStep, rollingStep, sizeOf, wantedBy, wasResized } from './rollout-plan.js';
import { isComplete, pauseCondition } from './status.js';

/** Everything has upstream's default. */
export interface DeploymentsOptions {
  /** Deployments reconciled at the same time. Default 5 (`--concurrent-deployment-syncs`). */
  concurrency?: number;
}

const name = 'deployment-controller';

/** The controller of Deployments; it needs that of replica sets beside it. */
export function deployments({ concurrency = 5 }: DeploymentsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const { informers } = context;
      const deployments = informers.informer(Deployment);
      const sets = informers.informer(ReplicaSet, { indexers: { byController } });
      const pods = informers.informer(Pod, { indexers: { byController } });
      const queue = controllerQueue(context, name);
      const worker = new DeploymentWorker(context, deployments.store, sets.store, pods.store);
      const registrations = [
        deployments.addHandler({
          onAdd: deployment => queue.add(keyOf(deployment)),
          onUpdate: (_, deployment) => queue.add(keyOf(deployment)),
          onDelete: deployment => queue.add(keyOf(deployment)),
        }),
        sets.addHandler(setListener(deployments.store, queue)),
        pods.addHandler({ onDelete: pod => enqueueRecreating(pod, deployments.store, sets.store, pods.store, queue) }),
      ];
      const reconcile = (key: string) => worker.reconcile(key);
      const waitFor = [deployments, sets, pods];
      await reconcileLoop(context, { name, queue, informers: waitFor, concurrency, reconcile }, registrations);
    },
  };
}

function ownerOf(set: SetView, deployments: Store<Deployment>): DeploymentView | undefined {
  const reference = controllerOf(set);
  if (reference?.kind !== Deployment.kind) return undefined;
  const owner = deployments.get({ namespace: set.metadata.namespace, name: reference.name });
  return owner?.metadata.uid === reference.uid ? owner : undefined;
}

function setListener(deployments: Store<Deployment>, queue: WorkQueue<string>) {
  const enqueue = (set: SetView) => {
    const owner = ownerOf(set, deployments);
    if (owner) queue.add(keyOf(owner));
    if (controllerOf(set)) return;
    for (const deployment of deployments.list(set.metadata.namespace)) {
      const selector = selectorOf(deployment);
      if (selector && !selector.everything && selector.matches(set.metadata.labels)) queue.add(keyOf(deployment));
    }
  };
  return {
    onAdd: enqueue,
    onUpdate(before: SetView, after: SetView) {
      if (controllerOf(before)?.uid !== controllerOf(after)?.uid) enqueue(before);
      enqueue(after);
    },
    onDelete: enqueue,
  };
}

/** Recreate waits for the last pod to go, which no replica set needs to announce. */
function enqueueRecreating(
  pod: PodView,
  deployments: Store<Deployment>,
  sets: Store<ReplicaSet>,
  pods: Store<Pod>,
  queue: WorkQueue<string>,
): void {
  const reference = controllerOf(pod);
  if (reference?.kind !== ReplicaSet.kind) return;
  const set = sets.get({ namespace: pod.metadata.namespace, name: reference.name });
  const deployment = set && ownerOf(set, deployments);
  if (!deployment || !isRecreate(deployment)) return;
  const siblings = sets.byIndex('byController', deployment.metadata.uid);
  if (siblings.every(each => pods.byIndex('byController', each.metadata.uid).length === 0))
    queue.add(keyOf(deployment));
}

function selectorOf(deployment: DeploymentView): ParsedLabelSelector | undefined {
  try {
    return labelSelectorOf(deployment.spec.selector as LabelSelector | undefined);
  } catch {
    return undefined;
  }
}

class DeploymentWorker {
  /** A step weighs all sets against each other, so it waits until the cache shows the last one. */
  readonly #writes: OwnWrites<ReplicaSet>;

  constructor(
    private readonly context: ControllerContext,
    private readonly deployments: Store<Deployment>,
    private readonly sets: Store<ReplicaSet>,
    private readonly pods: Store<Pod>,
  ) {
    this.#writes = new OwnWrites<ReplicaSet>(sets, context.clock);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const deployment = this.deployments.get(key);
    if (!deployment) {
      this.#writes.forget(key);
      return undefined;
    }
    // The event that makes the write visible comes back here.
    if (!this.#writes.visible(key)) return { requeueAfter: rememberedMs + 1 };
    const selector = selectorOf(deployment);
    if (!selector || selector.everything) {
      const text = 'This deployment is selecting all pods. A non-empty selector is required.';
      this.context.events.event(deployment, 'Warning', 'SelectingAll', text);
      return undefined;
    }
    const rollout = new Rollout(this.context, deployment, await this.#claimSets(deployment, selector), set =>
      this.#writes.note(key, set),
    );
    if (isDeleting(deployment)) return rollout.reportCounts();

    const pause = pauseCondition(deployment, this.context.clock.now());
    if (pause) await rollout.reportCondition(pause);
    const all = [...rollout.oldSets, ...(rollout.newSet ? [rollout.newSet] : [])];
    if (deployment.spec.paused || wasResized(deployment, all)) return this.#resize(rollout);
    const checkMs = isRecreate(deployment) ? await this.#recreate(rollout) : await this.#roll(rollout);
    return checkMs === undefined ? undefined : { requeueAfter: checkMs };
  }

  #claimSets(deployment: DeploymentView, selector: ParsedLabelSelector): Promise<DeepReadonly<ReplicaSet>[]> {
    const objects = [
      ...this.sets.byIndex('byController', deployment.metadata.uid),
      ...this.sets.byIndex('byController', orphansOf(deployment.metadata.namespace)),
    ];
    const { client } = this.context;
    return claim({ client, kind: ReplicaSet, ownerKind: Deployment, owner: deployment, selector, objects });
  }

  async #resize(rollout: Rollout): Promise<void> {
    await rollout.prepareNewSet({ create: false });
    await rollout.scale(resizeStep(rollout.deployment, rollout.newSet, rollout.oldSets));
    if (rollout.deployment.spec.paused) await rollout.cleanUp();
    await rollout.reportCounts();
  }

  async #roll(rollout: Rollout): Promise<number | undefined> {
    await rollout.prepareNewSet({ create: true });
    const moved = await rollout.scale(rollingStep(rollout.deployment, rollout.newSet!, rollout.oldSets));
    if (!moved && isComplete(rollout.deployment, rollout.deployment.status)) await rollout.cleanUp();
    return rollout.reportRollout();
  }

  async #recreate(rollout: Rollout): Promise<number | undefined> {
    await rollout.prepareNewSet({ create: false });
    const shrink = rollout.oldSets.filter(set => sizeOf(set) > 0).map(set => ({ set, replicas: 0 }));
    if (await rollout.scale(shrink)) return rollout.reportRollout();
    if (this.#oldPodsRun(rollout)) return rollout.reportRollout();
    await rollout.prepareNewSet({ create: true });
    await rollout.scale([{ set: rollout.newSet!, replicas: wantedBy(rollout.deployment) }]);
    if (isComplete(rollout.deployment, rollout.deployment.status)) await rollout.cleanUp();
    return rollout.reportRollout();
  }

  /** Also a pod that is on its way out still runs. */
  #oldPodsRun(rollout: Rollout): boolean {
    return rollout.oldSets.some(set =>
      this.pods.byIndex('byController', set.metadata.uid).some(pod => !isTerminal(pod)),
    );
  }
}
