/**
 * Pods go where their volumes are, or can be.
 *
 * - A bound claim: the node affinity of its volume decides. An unbound claim of an Immediate class refuses every node until it is bound.
 * - An unbound claim of a WaitForFirstConsumer class: a free volume that matches and that the node can use, the smallest that is large enough;
 *   or else a class that can provision there (`allowedTopologies`).
 * - Reserve keeps the chosen volumes from others. PreBind names the claim on a chosen volume (`spec.claimRef`), sets the annotation
 *   `volume.kubernetes.io/selected-node` on the claim, and waits until the claims are bound.
 *
 * Source: the API's documentation of volume binding modes; kube-scheduler's VolumeBinding.
 */
import {
  labelSelectorOf,
  matchesNodeTerm,
  type Node,
  PersistentVolume,
  PersistentVolumeClaim,
  type Pod,
  Quantity,
} from '@orbitkit/core';
import type { SchedulerHandle } from '../framework/handle.js';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onPod } from '../framework/queueing-hints.js';
import type { Rules } from '../framework/rules.js';
import type { ClusterObjects } from '../snapshot/cluster-objects.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { type Claim, claimsOf, claimsVersion, type StorageClass, type Volume } from '../snapshot/volumes.js';
import { onOwnClaim, onOwnClass, onUsableVolume } from './volume-hints.js';

const selectedNode = 'volume.kubernetes.io/selected-node';
const noProvisioner = 'kubernetes.io/no-provisioner';

const conflict: Refusal = { reasons: ["node(s) didn't match PersistentVolume's node affinity"], unresolvable: true };
const missing: Refusal = {
  reasons: ['node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'],
  unresolvable: true,
};
const nothingToBind: Refusal = {
  reasons: ["node(s) didn't find available persistent volumes to bind"],
  unresolvable: true,
};
const refuseAll = (reason: string): Rules['refuseAll'] => ({ reasons: [reason], unresolvable: true });

/** What a pod's claims need on a node. */
type Need = { claim: Claim; bound: Volume | undefined } | { claim: Claim; unbound: StorageClass };

/** The plugin VolumeBinding: filters, reserves, and binds claims before the pod. */
export const volumeBinding = (): Plugin => {
  let handle: SchedulerHandle | undefined;
  /** Volumes that placements under way will bind, by pod. */
  const reserved = new Map<string, readonly string[]>();
  let reservations = 0;

  return {
    name: 'VolumeBinding',
    events: [
      'NodeAdd',
      'NodeLabel',
      ...onOwnClaim,
      ...onUsableVolume,
      ...onOwnClass,
      // A placement that was undone gives back the volumes that it would have bound.
      ...onPod(['PodDelete'], (_pod, { before }) => !before || claimsOf(before).length > 0),
    ],
    attach(given) {
      handle = given;
    },
    sign: pod => claimsOf(pod).join(),
    compile(pod, snapshot) {
      if (claimsOf(pod).length === 0) return undefined;
      const { objects } = snapshot;
      const version = claimsVersion(objects) + reservations;
      const stale = () => claimsVersion(objects) + reservations !== version;
      const needs = needsOf(pod, objects);
      if (typeof needs === 'string') return { stale, refuseAll: refuseAll(needs)! };
      const taken = new Set([...reserved.values()].flat());
      const refusalAt = (slot: number) => {
        const plan = planOn(snapshot.at(slot).node, needs, objects, taken);
        return 'reasons' in plan ? plan : undefined;
      };
      return {
        stale,
        filter: {
          scope: 'object',
          passes: slot => !refusalAt(slot),
          refusal: slot => refusalAt(slot) ?? nothingToBind,
        },
      };
    },
    reserve(pod, node) {
      const plan = handle && placementOf(pod, node, handle.snapshot, new Set([...reserved.values()].flat()));
      if (!plan) return;
      if ('reasons' in plan) return plan;
      reserved.set(
        pod.metadata.uid,
        [...plan.volumes.values()].map(volume => volume.metadata.name),
      );
      reservations += 1;
    },
    unreserve: pod => release(pod),
    async preBind(pod, node, signal) {
      if (!handle || claimsOf(pod).length === 0) return;
      const own = new Set(reserved.get(pod.metadata.uid));
      const others = new Set(
        [...reserved.entries()].filter(([uid]) => uid !== pod.metadata.uid).flatMap(([, list]) => list),
      );
      const plan = placementOf(pod, node, handle.snapshot, others, own);
      if (!plan) return;
      if ('reasons' in plan) throw new Error(`volumes changed since the node was chosen: ${plan.reasons.join(', ')}`);
      for (const [claim, volume] of plan.volumes) await claimVolume(handle, claim, volume, signal);
      for (const claim of plan.waiting) await selectNode(handle, claim, node, signal);
      await untilBound(handle, pod, signal);
    },
    postBind: pod => release(pod),
  };

  function release(pod: Pod): void {
    if (reserved.delete(pod.metadata.uid)) reservations += 1;
  }
};

/** Or why no node can do. */
function needsOf(pod: Pod, objects: ClusterObjects): Need[] | string {
  const needs: Need[] = [];
  for (const name of claimsOf(pod)) {
    const claim = objects.get<Claim>('PersistentVolumeClaim', pod.metadata.namespace, name);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
    const { volumeName, storageClassName } = claim.spec;
    if (volumeName) {
      needs.push({ claim, bound: objects.get<Volume>('PersistentVolume', undefined, volumeName) });
      continue;
    }
    const storageClass = storageClassName
      ? objects.get<StorageClass>('StorageClass', undefined, storageClassName)
      : undefined;
    if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer')
      return 'pod has unbound immediate PersistentVolumeClaims';
    needs.push({ claim, unbound: storageClass });
  }
  return needs;
}

interface VolumePlan {
  /** Existing volumes that claims will be bound to. */
  readonly volumes: ReadonlyMap<Claim, Volume>;
  /** Unbound claims, whose node is to be made known. */
  readonly waiting: readonly Claim[];
}

function planOn(
  node: Node,
  needs: readonly Need[],
  objects: ClusterObjects,
  taken: ReadonlySet<string>,
): VolumePlan | Refusal {
  const volumes = new Map<Claim, Volume>();
  const waiting: Claim[] = [];
  const used = new Set(taken);
  for (const need of needs) {
    if (!('unbound' in need)) {
      if (!need.bound) return missing;
      if (!usableOn(need.bound, node)) return conflict;
      continue;
    }
    waiting.push(need.claim);
    const volume = smallestFor(need.claim, node, objects, used);
    if (volume) {
      used.add(volume.metadata.name);
      volumes.set(need.claim, volume);
    } else if (!provisionsOn(need.unbound, node)) return nothingToBind;
  }
  return { volumes, waiting };
}

function placementOf(
  pod: Pod,
  node: string,
  snapshot: Snapshot,
  taken: ReadonlySet<string>,
  own: ReadonlySet<string> = new Set(),
): VolumePlan | Refusal | undefined {
  const needs = needsOf(pod, snapshot.objects);
  const info = snapshot.get(node);
  if (typeof needs === 'string') return needs.length > 0 ? { reasons: [needs] } : undefined;
  if (!info || needs.length === 0) return undefined;
  const others = new Set([...taken].filter(name => !own.has(name)));
  return planOn(info.node, needs, snapshot.objects, others);
}

function usableOn(volume: Volume, node: Node): boolean {
  const required = volume.spec.nodeAffinity?.required;
  return !required || required.nodeSelectorTerms.some(term => matchesNodeTerm(term, node));
}

function smallestFor(
  claim: Claim,
  node: Node,
  objects: ClusterObjects,
  taken: ReadonlySet<string>,
): Volume | undefined {
  const { spec } = claim;
  const wanted = bytes(spec.resources?.requests?.['storage']);
  const selector = spec.selector && labelSelectorOf(spec.selector);
  let best: { volume: Volume; size: number } | undefined;
  for (const volume of objects.list<Volume>('PersistentVolume')) {
    const { claimRef, accessModes = [], capacity, storageClassName, volumeMode } = volume.spec;
    const name = volume.metadata.name;
    if (volume.metadata.deletionTimestamp || taken.has(name)) continue;
    const mine = claimRef?.namespace === claim.metadata.namespace && claimRef?.name === claim.metadata.name;
    if (
      claimRef
        ? !mine || (claimRef.uid && claimRef.uid !== claim.metadata.uid)
        : (volume.status?.phase ?? 'Available') !== 'Available'
    )
      continue;
    if (
      (storageClassName ?? '') !== (spec.storageClassName ?? '') ||
      (volumeMode ?? 'Filesystem') !== (spec.volumeMode ?? 'Filesystem')
    )
      continue;
    if (!(spec.accessModes ?? []).every(mode => accessModes.includes(mode))) continue;
    if ((selector && !selector.matches(volume.metadata.labels ?? {})) || !usableOn(volume, node)) continue;
    const size = bytes(capacity?.['storage']);
    if (size < wanted) continue;
    if (mine) return volume;
    if (!best || size < best.size) best = { volume, size };
  }
  return best?.volume;
}

const bytes = (text: string | number | undefined): number =>
  text === undefined ? 0 : Number(Quantity.parse(text).value());

function provisionsOn(storageClass: StorageClass, node: Node): boolean {
  if (!storageClass.provisioner || storageClass.provisioner === noProvisioner) return false;
  const { allowedTopologies } = storageClass;
  if (!allowedTopologies?.length) return true;
  return allowedTopologies.some(term =>
    (term.matchLabelExpressions ?? []).every(({ key, values }) => values.includes(node.metadata.labels?.[key] ?? '')),
  );
}

async function claimVolume(handle: SchedulerHandle, claim: Claim, volume: Volume, signal: AbortSignal): Promise<void> {
  if (volume.spec.claimRef?.uid === claim.metadata.uid) return;
  const { name, namespace, uid, resourceVersion } = claim.metadata;
  const claimRef = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    name,
    namespace: namespace!,
    uid,
    resourceVersion,
  };
  // The version makes two schedulers that want one volume a conflict.
  const metadata = { resourceVersion: volume.metadata.resourceVersion };
  await handle.client.patch(
    PersistentVolume,
    volume.metadata,
    { type: 'merge', patch: { metadata, spec: { claimRef } } },
    { signal },
  );
}

async function selectNode(handle: SchedulerHandle, claim: Claim, node: string, signal: AbortSignal): Promise<void> {
  if (claim.metadata.annotations?.[selectedNode] === node) return;
  const { name, namespace, resourceVersion } = claim.metadata;
  const metadata = { resourceVersion, annotations: { [selectedNode]: node } };
  await handle.client.patch(
    PersistentVolumeClaim,
    { name, namespace: namespace! },
    { type: 'merge', patch: { metadata } },
    { signal },
  );
}

/** @throws the signal's reason when it takes too long; Error when a claim lost its node: provisioning failed there. */
async function untilBound(handle: SchedulerHandle, pod: Pod, signal: AbortSignal): Promise<void> {
  for (const name of claimsOf(pod)) {
    for (;;) {
      signal.throwIfAborted();
      const claim = handle.snapshot.objects.get<Claim>('PersistentVolumeClaim', pod.metadata.namespace, name);
      if (!claim) throw new Error(`persistentvolumeclaim "${name}" is gone`);
      if (claim.spec.volumeName) break;
      await handle.clock.sleep(pollMs, signal);
    }
  }
}
const pollMs = 100;
