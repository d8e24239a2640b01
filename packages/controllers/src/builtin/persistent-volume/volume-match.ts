/**
 * Which volume a claim gets, of those that are there. Pure.
 *
 * - A volume that is reserved for the claim wins, when it is large enough and of its mode, whatever its class.
 * - Else a free one of the claim's class, mode, selector and access modes: the one with the fewest access modes, of those the smallest.
 * - Until the first consumer is placed only a reserved one is given; with a node, only one that can be reached there.
 *
 * Source: kube-controller-manager `persistentvolume/index.go`, component-helpers `volume.FindMatchingVolume` (v0.33). Of our own: among equals
 * the first by name, so that the answer does not depend on the order of a cache.
 */
import { isDeleting, type LabelSelector, labelSelectorOf, matchesNodeTerm, type Node, Quantity } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import { type ClaimView, classOf, isBoundTo, requestOf, type VolumeView } from './names.js';

export interface MatchOptions {
  /** The claim waits for its first consumer. */
  delayed?: boolean;
  /** Where the first consumer runs. */
  node?: DeepReadonly<Node>;
}

const amount = (value: string | number | undefined): Quantity => Quantity.parse(value ?? 0);
const capacityOf = (volume: VolumeView): Quantity => amount(volume.spec.capacity?.['storage']);
const modeOf = ({ spec }: VolumeView | ClaimView): string => spec.volumeMode ?? 'Filesystem';

const offersModes = (volume: VolumeView, claim: ClaimView): boolean =>
  (claim.spec.accessModes ?? []).every(mode => volume.spec.accessModes?.includes(mode));

const sameAttributes = (volume: VolumeView, claim: ClaimView): boolean =>
  (volume.spec.volumeAttributesClassName ?? '') === (claim.spec.volumeAttributesClassName ?? '');

/** Whether a pod on the node could reach the volume. */
function reachableFrom(volume: VolumeView, node: DeepReadonly<Node>): boolean {
  const required = volume.spec.nodeAffinity?.required;
  return !required || required.nodeSelectorTerms.some(term => matchesNodeTerm(term, node));
}

export function findMatchingVolume(
  claim: ClaimView,
  volumes: Iterable<VolumeView>,
  { delayed = false, node }: MatchOptions = {},
): VolumeView | undefined {
  const asked = amount(requestOf(claim));
  const selector = claim.spec.selector ? labelSelectorOf(claim.spec.selector as LabelSelector) : undefined;
  let best: { volume: VolumeView; capacity: Quantity } | undefined;
  let reserved: VolumeView | undefined;
  for (const volume of volumes) {
    const mine = isBoundTo(volume, claim);
    if (volume.spec.claimRef && !mine) continue;
    const capacity = capacityOf(volume);
    if (capacity.compare(asked) < 0 || modeOf(volume) !== modeOf(claim) || !sameAttributes(volume, claim)) continue;
    if (isDeleting(volume) || !offersModes(volume, claim)) continue;
    if (mine) {
      if (!reserved || volume.metadata.name < reserved.metadata.name) reserved = volume;
      continue;
    }
    if (delayed && !node) continue;
    if (volume.status.phase !== 'Available' || classOf(volume) !== classOf(claim)) continue;
    if (selector && !selector.matches(volume.metadata.labels ?? {})) continue;
    if (node && !reachableFrom(volume, node)) continue;
    if (!best || isBetter(volume, capacity, best)) best = { volume, capacity };
  }
  if (reserved) return !node || reachableFrom(reserved, node) ? reserved : undefined;
  return best?.volume;
}

function isBetter(volume: VolumeView, capacity: Quantity, best: { volume: VolumeView; capacity: Quantity }): boolean {
  const modes = (volume.spec.accessModes?.length ?? 0) - (best.volume.spec.accessModes?.length ?? 0);
  if (modes !== 0) return modes < 0;
  const size = capacity.compare(best.capacity);
  return size === 0 ? volume.metadata.name < best.volume.metadata.name : size < 0;
}

/** Why a volume that a claim names cannot be its; undefined: it can. */
export function mismatch(volume: VolumeView, claim: ClaimView): string | undefined {
  if (isDeleting(volume)) return `the volume is marked for deletion "${volume.metadata.name}"`;
  if (capacityOf(volume).compare(amount(requestOf(claim))) < 0) return 'requested PV is too small';
  if (classOf(volume) !== classOf(claim)) return 'storageClassName does not match';
  if (!sameAttributes(volume, claim)) return 'volumeAttributesClassName does not match';
  if (modeOf(volume) !== modeOf(claim)) return 'incompatible volumeMode';
  if (!offersModes(volume, claim)) return 'incompatible accessMode';
  return undefined;
}

/** Whether they are of different modes: a reservation that can never be kept. */
export const differentModes = (volume: VolumeView, claim: ClaimView): boolean => modeOf(volume) !== modeOf(claim);
