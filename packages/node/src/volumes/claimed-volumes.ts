/**
 * Volumes behind a claim, or behind an ephemeral volume's claim: from the claim to the volume it is bound to, to a path of this machine.
 *
 * A claim that is not bound, is on its way out, or points to a volume that points elsewhere is a ConfigError: the pod waits and looks
 * again. hostPath, local and nfs are mounted; other sources, CSI among them, and raw block volumes are refused. A directory needs nothing
 * done when its volume grows. Checks: kubelet `volumemanager/populator` (v0.33).
 */
import {
  type corev1,
  isControlledBy,
  matchesNodeTerm,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '@orbitkit/core';
import { ConfigError } from '../env/config-error.js';
import { hostPathOf } from './host-path.js';
import type { LocalVolumes } from './local-volumes.js';
import type { Mounts } from './mounts.js';
import type { PayloadInput } from './payload.js';

export interface ClaimedVolumesOptions {
  local: LocalVolumes;
  mounts: Mounts;
  /** Of the Node object. */
  nodeLabels(): Readonly<Record<string, string>>;
}

export interface ClaimedVolumes {
  /**
   * @param target Where a file system is mounted, if one has to be.
   * @param group What new directories belong to.
   * @throws ConfigError when it cannot be had now.
   */
  mount(
    volume: corev1.Volume,
    input: PayloadInput,
    target: string,
    group: number | undefined,
  ): Promise<{ hostPath: string; readOnly: boolean }>;
}

export function claimedVolumes({ local, mounts, nodeLabels }: ClaimedVolumesOptions): ClaimedVolumes {
  async function claimOf(volume: corev1.Volume, { pod, references, signal }: PayloadInput, where: string) {
    const { namespace } = pod.metadata;
    const name = volume.persistentVolumeClaim?.claimName ?? `${pod.metadata.name}-${volume.name}`;
    const claim = await references.claim(namespace, name, signal);
    if (!claim) throw new ConfigError(`${where}: persistentvolumeclaim "${name}" not found`);
    if (volume.ephemeral && !isControlledBy(claim, pod))
      throw new ConfigError(`${where}: persistentvolumeclaim "${name}" was not created for this pod`);
    if (claim.metadata.deletionTimestamp)
      throw new ConfigError(`${where}: persistentvolumeclaim "${name}" is being deleted`);
    return claim;
  }

  async function volumeOf(claim: PersistentVolumeClaim, { references, place, signal }: PayloadInput, where: string) {
    const { name, uid } = claim.metadata;
    const phase = claim.status?.phase ?? 'Pending';
    const { volumeName } = claim.spec;
    if (phase !== 'Bound' || !volumeName)
      throw new ConfigError(`${where}: persistentvolumeclaim "${name}" is not bound: it is ${phase}`);
    const volume = await references.volume(volumeName, signal);
    if (!volume) throw new ConfigError(`${where}: persistentvolume "${volumeName}" of claim "${name}" not found`);
    if (volume.spec.claimRef?.uid !== uid)
      throw new ConfigError(`${where}: persistentvolume "${volumeName}" is bound to another claim than "${name}"`);
    const required = volume.spec.nodeAffinity?.required;
    const here = { metadata: { name: place.nodeName, labels: nodeLabels() } };
    if (required && !required.nodeSelectorTerms.some(term => matchesNodeTerm(term, here)))
      throw new ConfigError(
        `${where}: persistentvolume "${volumeName}" cannot be reached from node "${place.nodeName}": its nodeAffinity names others`,
      );
    if (volume.spec.volumeMode === 'Block')
      throw new ConfigError(
        `${where}: persistentvolume "${volumeName}" is a raw block volume, which this node cannot give`,
      );
    return volume;
  }

  async function pathOf(
    { metadata, spec }: PersistentVolume,
    readOnly: boolean,
    where: string,
    target: string,
    group: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const at = `${where}, persistentvolume ${metadata.name}`;
    if (spec.hostPath && local.has(spec.hostPath.path)) {
      await local.prepare(spec.hostPath.path, group);
      return spec.hostPath.path;
    }
    if (spec.hostPath) return hostPathOf(spec.hostPath, at);
    if (spec.local) return hostPathOf({ path: spec.local.path, type: 'Directory' }, at);
    if (spec.nfs) {
      const { server, path } = spec.nfs;
      const options = spec.mountOptions ?? [];
      await mounts.nfs({ server, path, readOnly: readOnly || spec.nfs.readOnly === true, options }, target, at, signal);
      return target;
    }
    if (spec.csi)
      throw new ConfigError(
        `${at}: it needs the CSI driver ${spec.csi.driver}, and this node runs no CSI drivers; use a class of hostPath, local or nfs volumes`,
      );
    throw new ConfigError(`${at}: its source is not supported by this node; supported are hostPath, local and nfs`);
  }

  return {
    async mount(volume, input, target, group) {
      const where = `volume ${volume.name}`;
      const claim = await claimOf(volume, input, where);
      const persistent = await volumeOf(claim, input, where);
      const readOnly = volume.persistentVolumeClaim?.readOnly === true || persistent.spec.nfs?.readOnly === true;
      const hostPath = await pathOf(persistent, readOnly, where, target, group, input.signal);
      return { hostPath, readOnly };
    },
  };
}
