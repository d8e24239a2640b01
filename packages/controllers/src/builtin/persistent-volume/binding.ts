/**
 * What binding does next about a claim, or a volume, seen from what is known now. Pure: the binder carries it out, and looks again.
 *
 * A binding is two references: the volume's `claimRef` (with the claim's uid), written first, and the claim's `volumeName`. Each can name one
 * object only and each is written against the version that was read, so that whoever loses a race finds out. A volume whose claim chose
 * another one is let go of.
 *
 * Source of rules and texts: kube-controller-manager `persistentvolume/pv_controller.go` (v0.33). Of our own: a claim that waits for its first
 * consumer also takes the node of a pod that is bound already, so that schedulers that know nothing of volumes do.
 */
import type { EventType, Node } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import {
  annotationOf,
  annotations,
  type ClaimView,
  type ClassView,
  classOf,
  isBoundTo,
  type VolumeView,
  waitsForConsumer,
} from './names.js';
import { differentModes, findMatchingVolume, mismatch } from './volume-match.js';

export interface Note {
  type: EventType;
  reason: string;
  message: string;
}

/** A pod that uses a claim, and its node once it has one. */
export interface Consumer {
  pod: string;
  nodeName?: string;
  node?: DeepReadonly<Node> | undefined;
}

export interface BindingWorld {
  volume(name: string): VolumeView | undefined;
  /** Free volumes of the claim's class, and volumes reserved for it. */
  candidates(claim: ClaimView): Iterable<VolumeView>;
  storageClass(name: string): ClassView | undefined;
  /** Name of the class of claims that name none. */
  defaultClass(): string | undefined;
  consumer(claim: ClaimView): Consumer | undefined;
}

export type ClaimDecision =
  | { do: 'bind'; volume: VolumeView }
  | { do: 'wait'; note?: Note }
  | { do: 'lost'; note: Note }
  | { do: 'assign-class'; name: string }
  | { do: 'select-node'; nodeName: string }
  | { do: 'provision'; storageClass: ClassView };

const noProvisioner = 'kubernetes.io/no-provisioner';
const wait = (type: EventType, reason: string, message: string): ClaimDecision => ({
  do: 'wait',
  note: { type, reason, message },
});
const lost = (reason: string, message: string): ClaimDecision => ({
  do: 'lost',
  note: { type: 'Warning', reason, message },
});

export function decideClaim(claim: ClaimView, world: BindingWorld): ClaimDecision {
  const { volumeName } = claim.spec;
  if (annotationOf(claim, annotations.bindCompleted) !== undefined) return decideBoundClaim(claim, world);
  if (!volumeName) return decideOpenClaim(claim, world);
  const volume = world.volume(volumeName);
  if (!volume) return { do: 'wait' };
  if (!volume.spec.claimRef) {
    const why = mismatch(volume, claim);
    if (why === undefined) return { do: 'bind', volume };
    return wait('Warning', 'VolumeMismatch', `Cannot bind to requested volume "${volumeName}": ${why}`);
  }
  if (isBoundTo(volume, claim)) return { do: 'bind', volume };
  return wait('Warning', 'FailedBinding', `volume "${volumeName}" already bound to a different claim.`);
}

function decideBoundClaim(claim: ClaimView, world: BindingWorld): ClaimDecision {
  const { volumeName } = claim.spec;
  if (!volumeName)
    return lost('ClaimLost', 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!');
  const volume = world.volume(volumeName);
  if (!volume) return lost('ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  const ref = volume.spec.claimRef;
  if (!ref || ref.uid === claim.metadata.uid) return { do: 'bind', volume };
  return lost('ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
}

function decideOpenClaim(claim: ClaimView, world: BindingWorld): ClaimDecision {
  const className = classOf(claim);
  const storageClass = className === '' ? undefined : world.storageClass(className);
  const selected = annotationOf(claim, annotations.selectedNode);
  const delayed = waitsForConsumer(storageClass);
  const consumer = delayed && !selected ? world.consumer(claim) : undefined;
  const volume = findMatchingVolume(claim, world.candidates(claim), {
    delayed,
    ...(consumer?.node ? { node: consumer.node } : {}),
  });
  if (volume) return { do: 'bind', volume };
  if (claim.spec.storageClassName === undefined && className === '') {
    const name = world.defaultClass();
    if (name !== undefined) return { do: 'assign-class', name };
  }
  if (className === '')
    return wait(
      'Normal',
      'FailedBinding',
      'no persistent volumes available for this claim and no storage class is set',
    );
  if (!storageClass)
    return wait('Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`);
  if (delayed && !selected) {
    if (consumer?.node && storageClass.provisioner !== noProvisioner)
      return { do: 'select-node', nodeName: consumer.node.metadata.name };
    if (!consumer)
      return wait('Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
    return consumer.node
      ? wait(
          'Warning',
          'FailedBinding',
          `no persistent volume that node "${consumer.node.metadata.name}" can reach is free`,
        )
      : wait('Normal', 'WaitForPodScheduled', `waiting for pod ${consumer.pod} to be scheduled`);
  }
  if (storageClass.provisioner.startsWith('kubernetes.io/'))
    return wait('Warning', 'ProvisioningFailed', `no volume plugin matched name: ${storageClass.provisioner}`);
  return { do: 'provision', storageClass };
}

export type VolumeDecision =
  | { do: 'phase'; phase: 'Available' | 'Bound' }
  /** The claim does the rest. */
  | { do: 'claim' }
  | { do: 'mismatch'; note: Note }
  /** The claim took another volume. */
  | { do: 'unbind' }
  /** Nobody needs it any more. `confirm`: as far as a cache can say. */
  | { do: 'release'; confirm: boolean };

/** @param claim What the volume's claimRef names; undefined when there is no such claim. */
export function decideVolume(volume: VolumeView, claim: ClaimView | undefined): VolumeDecision {
  const ref = volume.spec.claimRef;
  if (!ref?.uid) return { do: 'phase', phase: 'Available' };
  if (!claim || claim.metadata.uid !== ref.uid) return { do: 'release', confirm: true };
  const { volumeName } = claim.spec;
  if (volumeName === volume.metadata.name) return { do: 'phase', phase: 'Bound' };
  if (!volumeName) {
    if (!differentModes(volume, claim)) return { do: 'claim' };
    const message = `Cannot bind PersistentVolume to requested PersistentVolumeClaim "${claim.metadata.name}" due to incompatible volumeMode.`;
    return { do: 'mismatch', note: { type: 'Warning', reason: 'VolumeMismatch', message } };
  }
  const isMade =
    annotationOf(volume, annotations.provisionedBy) !== undefined &&
    volume.spec.persistentVolumeReclaimPolicy === 'Delete';
  return isMade ? { do: 'release', confirm: false } : { do: 'unbind' };
}
