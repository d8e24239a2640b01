/**
 * A node can attach so many volumes of a CSI driver and no more: `allocatable.count` of the driver in the node's CSINode; absent is no limit.
 *
 * A volume counts once however many pods on the node use it. A claim that is not bound yet counts for the driver that will provision it.
 * Source: the API's documentation of CSINode; kube-scheduler's NodeVolumeLimits.
 */
import type { Pod, storagev1 } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';
import { onObject, onPod } from '../framework/queueing-hints.js';
import type { ClusterObjects } from '../snapshot/cluster-objects.js';
import { type Claim, claimsOf, claimsVersion, type StorageClass, type Volume } from '../snapshot/volumes.js';
import { onOwnClaim } from './volume-hints.js';

const refusal = { reasons: ['node(s) exceed max volume count'] };

const versionOf = (objects: ClusterObjects): number => claimsVersion(objects) + objects.version('CSINode');

/** The plugin NodeVolumeLimits: a filter. */
export const nodeVolumeLimits = (): Plugin => ({
  name: 'NodeVolumeLimits',
  events: [
    'NodeAdd',
    ...onObject<storagev1.CSINode>('CSINode', (_pod, after, before) => {
      const limits = limitsOf(after);
      return [...limitsOf(before)].some(([driver, limit]) => (limits.get(driver) ?? Number.POSITIVE_INFINITY) > limit);
    }),
    ...onPod(['PodDelete'], (_pod, { before }) => !before || claimsOf(before).length > 0),
    ...onOwnClaim,
  ],
  sign: pod => claimsOf(pod).join(),
  compile(pod, snapshot) {
    if (claimsOf(pod).length === 0) return undefined;
    const { objects } = snapshot;
    const version = versionOf(objects);
    const stale = () => versionOf(objects) !== version;
    const wanted = attachedBy(pod, objects);
    if (wanted.size === 0) return { stale };
    return {
      stale,
      filter: {
        scope: 'node',
        passes(slot) {
          const { name, pods } = snapshot.at(slot);
          const limits = limitsOf(objects.get<storagev1.CSINode>('CSINode', undefined, name));
          if (![...wanted.values()].some(driver => limits.has(driver))) return true;
          const here = new Map(pods.flatMap(other => [...attachedBy(other, objects)]));
          const counts = new Map<string, number>();
          for (const driver of here.values()) counts.set(driver, (counts.get(driver) ?? 0) + 1);
          for (const [volume, driver] of wanted) {
            if (here.has(volume)) continue;
            const count = (counts.get(driver) ?? 0) + 1;
            if (count > (limits.get(driver) ?? Number.POSITIVE_INFINITY)) return false;
            counts.set(driver, count);
          }
          return true;
        },
        refusal: () => refusal,
      },
    };
  },
});

function limitsOf(node: storagev1.CSINode | undefined): Map<string, number> {
  const limits = new Map<string, number>();
  for (const { name, allocatable } of node?.spec.drivers ?? [])
    if (allocatable?.count !== undefined) limits.set(name, allocatable.count);
  return limits;
}

/** Volume → driver. What cannot be known (no claim, no class) is left out. */
function attachedBy(pod: Pod, objects: ClusterObjects): Map<string, string> {
  const attached = new Map<string, string>();
  const { namespace } = pod.metadata;
  for (const name of claimsOf(pod)) {
    const claim = objects.get<Claim>('PersistentVolumeClaim', namespace, name);
    if (!claim) continue;
    const { volumeName, storageClassName } = claim.spec;
    const csi = volumeName ? objects.get<Volume>('PersistentVolume', undefined, volumeName)?.spec.csi : undefined;
    if (csi) attached.set(`${csi.driver}/${csi.volumeHandle}`, csi.driver);
    else if (!volumeName && storageClassName) {
      const driver = objects.get<StorageClass>('StorageClass', undefined, storageClassName)?.provisioner;
      if (driver) attached.set(`${namespace}/${name}`, driver);
    }
  }
  return attached;
}
