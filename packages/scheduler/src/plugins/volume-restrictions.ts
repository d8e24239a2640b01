/**
 * Claims of access mode ReadWriteOncePod belong to one pod: a second one that uses the claim waits, or, having the higher priority, preempts.
 * Source: the API's documentation of ReadWriteOncePod; kube-scheduler's VolumeRestrictions.
 */
import type { Plugin } from '../framework/plugin.js';
import { onPod } from '../framework/queueing-hints.js';
import { type Claim, claimsOf, shareClaim } from '../snapshot/volumes.js';
import { onOwnClaim } from './volume-hints.js';

const taken = {
  reasons: ['node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode'],
};

/** The plugin VolumeRestrictions: a filter. */
export const volumeRestrictions = (): Plugin => ({
  name: 'VolumeRestrictions',
  events: [
    'NodeDelete',
    ...onPod(['PodDelete'], (pod, { before }) => !before || shareClaim(pod, before), false),
    ...onOwnClaim,
  ],
  sign: pod => (claimsOf(pod).length > 0 ? pod.metadata.name : ''),
  compile(pod, snapshot) {
    const names = claimsOf(pod);
    if (names.length === 0) return undefined;
    const { namespace, uid } = pod.metadata;
    const version = snapshot.objects.version('PersistentVolumeClaim');
    const stale = () => version !== snapshot.objects.version('PersistentVolumeClaim');
    const alone = names.filter(name =>
      snapshot.objects
        .get<Claim>('PersistentVolumeClaim', namespace, name)
        ?.spec.accessModes?.includes('ReadWriteOncePod'),
    );
    if (alone.length === 0) return { stale };
    let holders = new Set<number>();
    return {
      stale,
      begin() {
        holders = new Set();
        for (const info of snapshot.nodes)
          for (const other of info.pods)
            if (
              other.metadata.namespace === namespace &&
              other.metadata.uid !== uid &&
              claimsOf(other).some(name => alone.includes(name))
            )
              holders.add(info.slot);
      },
      // The claim is one for the whole cluster: where its holder is, ending it would help; elsewhere nothing would.
      filter: {
        scope: 'cluster',
        passes: () => holders.size === 0,
        refusal: slot => (holders.has(slot) ? taken : { ...taken, unresolvable: true }),
      },
    };
  },
});
