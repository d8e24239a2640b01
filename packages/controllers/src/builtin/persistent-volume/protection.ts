/**
 * Keeps claims while pods use them and volumes while they are bound: each has a finalizer from birth (admission's), and it goes when the object
 * is being deleted and nothing uses it any more.
 *
 * - A claim is in use as long as a pod that has a node uses it, ended or not: the pod's object goes after its volumes. A pod that is not placed yet
 *   does not count: no node starts it with a claim that is being deleted.
 * - The cache's no is asked again of the API server: a pod may have come a moment ago.
 *
 * Source: kube-controller-manager `volume/pvcprotection`, `volume/pvprotection` (v0.33).
 */
import {
  addFinalizer,
  isDeleting,
  isNotFound,
  type KubeObject,
  keyOf,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  type ResourceRef,
  removeFinalizer,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { controller } from '../../controller-builder.js';
import { isTerminal, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { claimsOf, usesClaim } from './claims-of-pods.js';
import { type ClaimView, finalizers } from './names.js';

const claimProtection = 'persistentvolumeclaim-protection-controller';

const has = ({ metadata }: DeepReadonly<KubeObject>, finalizer: string): boolean =>
  metadata.finalizers?.includes(finalizer) ?? false;

/** Whether anything is to be done: the finalizer goes from what is deleted, and comes to what is older than admission's plugin. */
const due = (object: DeepReadonly<KubeObject>, finalizer: string): boolean =>
  isDeleting(object) === has(object, finalizer);

async function write<T extends KubeObject>(
  { client }: Pick<ControllerContext, 'client'>,
  kind: ResourceRef<T>,
  object: DeepReadonly<T>,
  finalizer: string,
): Promise<void> {
  const draft = mutableCopy<T>(object);
  if (isDeleting(draft)) removeFinalizer(draft, finalizer);
  else addFinalizer(draft, finalizer);
  await client.update(kind, draft).catch(error => {
    if (!isNotFound(error)) throw error;
  });
}

/** The controller that lets claims go. Without it a claim that is deleted stays Terminating. */
export function persistentVolumeClaimProtection(): Controller {
  return {
    name: claimProtection,
    async run(context) {
      const { informers, client } = context;
      const claims = informers.informer(PersistentVolumeClaim);
      const pods = informers.informer(Pod, { indexers: { byClaim: claimsOf } });
      const queue = controllerQueue(context, claimProtection);
      const changed = (claim: ClaimView) => {
        if (due(claim, finalizers.claim)) queue.add(keyOf(claim));
      };
      /** A pod that is gone or over may have been the last one. */
      const released = (pod: PodView, gone: boolean) => {
        if (!gone && !isTerminal(pod) && pod.spec.nodeName) return;
        for (const key of claimsOf(pod)) {
          const claim = claims.store.get(key);
          if (claim) changed(claim);
        }
      };
      const inUse = async (claim: ClaimView): Promise<boolean> => {
        const users = (list: readonly PodView[]) => list.some(pod => pod.spec.nodeName && usesClaim(pod, claim));
        if (users(pods.store.byIndex('byClaim', keyOf(claim)))) return true;
        return users((await client.list(Pod, { namespace: claim.metadata.namespace })).items);
      };
      const reconcile = async (key: string): Promise<ReconcileResult> => {
        const claim = claims.store.get(key);
        if (!claim || !due(claim, finalizers.claim)) return undefined;
        if (isDeleting(claim) && (await inUse(claim))) return undefined;
        return write(context, PersistentVolumeClaim, claim, finalizers.claim);
      };
      const registrations = [
        claims.addHandler({ onAdd: changed, onUpdate: (_, claim) => changed(claim) }),
        pods.addHandler({
          onAdd: pod => released(pod, false),
          onUpdate(before, pod) {
            // The name may have been given to another pod in between.
            if (before.metadata.uid !== pod.metadata.uid) released(before, true);
            released(pod, false);
          },
          onDelete: pod => released(pod, true),
        }),
      ];
      await reconcileLoop(
        context,
        { name: claimProtection, queue, informers: [claims, pods], reconcile },
        registrations,
      );
    },
  };
}

/** The controller that lets volumes go. Without it a volume that is deleted stays Terminating. */
export const persistentVolumeProtection = (): Controller =>
  controller(PersistentVolume)
    .named('persistentvolume-protection-controller')
    .predicate(({ object }) => due(object as DeepReadonly<PersistentVolume>, finalizers.volume))
    .reconcile(async ({ object, client }) => {
      if (!due(object, finalizers.volume) || (isDeleting(object) && object.status.phase === 'Bound')) return;
      await write({ client }, PersistentVolume, object, finalizers.volume);
    });
