/** Which claims a pod uses: those that it names, and those made for its ephemeral volumes. Source: kube-controller-manager `volume/common`, `component-helpers/storage/ephemeral` (v0.33). */
import { isControlledBy } from '@orbitkit/core';
import { isTerminal, type PodView } from '../../pods/pod-state.js';
import type { ClaimView } from './names.js';

/** The claim of an ephemeral volume: `<pod>-<volume>`. */
export const ephemeralClaimName = (podName: string, volumeName: string): string => `${podName}-${volumeName}`;

/** Index of pods: by `namespace/name` of each claim. */
export function claimsOf({ metadata, spec }: PodView): string[] {
  const names = (spec.volumes ?? []).flatMap(volume =>
    volume.persistentVolumeClaim
      ? [volume.persistentVolumeClaim.claimName]
      : volume.ephemeral
        ? [ephemeralClaimName(metadata.name, volume.name)]
        : [],
  );
  return names.map(name => `${metadata.namespace}/${name}`);
}

/** Whether the pod uses the claim: it names it, or the claim was made for this very pod's ephemeral volume. */
export function usesClaim(pod: PodView, claim: ClaimView): boolean {
  const { namespace, name } = claim.metadata;
  if (pod.metadata.namespace !== namespace) return false;
  return (pod.spec.volumes ?? []).some(
    volume =>
      volume.persistentVolumeClaim?.claimName === name ||
      (volume.ephemeral !== undefined &&
        ephemeralClaimName(pod.metadata.name, volume.name) === name &&
        isControlledBy(claim, pod)),
  );
}

/** Whether the pod will mount the claim: it uses it and has not ended. */
export const isConsumer = (pod: PodView, claim: ClaimView): boolean => !isTerminal(pod) && usesClaim(pod, claim);
