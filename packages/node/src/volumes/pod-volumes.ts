/**
 * The volumes of pods on this node: made before the containers, brought up to date while they run, removed with the pod.
 *
 *     <dataDir>/pods/<uid>/volumes/<volume>/
 *
 * emptyDir, configMap, secret, downwardAPI and projected volumes live there; hostPath volumes are where they are; claims and ephemeral volumes
 * are `claimed-volumes.ts`. Other types are refused with a ConfigError that says what to use. `mount` may be called again at any time: it completes what is there.
 */
import { chmod, chown, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { corev1, Pod } from '@orbitkit/core';
import { ConfigError } from '../env/config-error.js';
import { expand } from '../env/expansion.js';
import type { Mount } from '../runtime/contract.js';
import { writeAtomically } from './atomic-files.js';
import type { ClaimedVolumes } from './claimed-volumes.js';
import { hostPathOf } from './host-path.js';
import type { Mounts } from './mounts.js';
import { type PayloadInput, payloadOf } from './payload.js';
import { removeTree, resolveInside } from './safe-path.js';

export interface MountedVolume {
  hostPath: string;
  /** configMap, secret, downwardAPI, projected: the node writes, containers read. */
  readOnly: boolean;
}

export type MountedVolumes = ReadonlyMap<string, MountedVolume>;

export interface PodVolumes {
  /** @throws ConfigError when a volume cannot be made now. */
  mount(input: PayloadInput): Promise<MountedVolumes>;
  /** Brings the volumes that show API objects up to date. @throws ConfigError for the first one that cannot be. */
  refresh(input: PayloadInput): Promise<void>;
  /** @throws ConfigError for a subPath that does not hold. */
  mountsOf(
    container: corev1.Container,
    volumes: MountedVolumes,
    variables: readonly { name: string; value: string }[],
  ): Promise<Mount[]>;
  directoryOf(podUid: string): string;
  /** Everything of the pod: volumes, logs, termination messages. */
  remove(podUid: string): Promise<void>;
  /** Uids that have a directory. */
  list(): Promise<string[]>;
}

/** Uids come from the API server: they name a directory here, so they must look like one. */
const uidForm = /^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/;

/** What a pod asks of its volumes that this node does not do, in words; empty for most pods. */
export function volumeLimitations(pod: Pod): string[] {
  const result: string[] = [];
  for (const { name, emptyDir } of pod.spec.volumes ?? []) {
    if (emptyDir?.medium) result.push(`volume ${name}: medium ${emptyDir.medium} is kept on disk`);
    if (emptyDir?.sizeLimit !== undefined) result.push(`volume ${name}: sizeLimit is not enforced`);
  }
  return result;
}

export interface PodVolumesOptions {
  dataDir: string;
  claimed: ClaimedVolumes;
  mounts: Mounts;
}

export function podVolumes(options: PodVolumesOptions): PodVolumes {
  const { claimed, mounts } = options;
  const pods = path.join(options.dataDir, 'pods');

  function directoryOf(podUid: string): string {
    if (!uidForm.test(podUid)) throw new ConfigError(`pod uid ${JSON.stringify(podUid)} cannot name a directory`);
    return path.join(pods, podUid);
  }

  async function make(volume: corev1.Volume, input: PayloadInput): Promise<MountedVolume> {
    const where = `volume ${volume.name}`;
    if (volume.hostPath) return { hostPath: await hostPathOf(volume.hostPath, where), readOnly: false };
    const directory = path.join(directoryOf(input.pod.metadata.uid), 'volumes', volume.name);
    const group = ownGroup(input.pod);
    if (volume.persistentVolumeClaim || volume.ephemeral) return claimed.mount(volume, input, directory, group);
    if (volume.nfs) {
      const { server, path: exported, readOnly = false } = volume.nfs;
      await mounts.nfs({ server, path: exported, readOnly, options: [] }, directory, where, input.signal);
      return { hostPath: directory, readOnly };
    }
    if (volume.emptyDir) {
      if (!(await stat(directory).catch(() => undefined))) {
        await mkdir(directory, { recursive: true });
        if (group !== undefined) await chown(directory, -1, group);
        await chmod(directory, group === undefined ? 0o777 : 0o2777);
      }
      return { hostPath: directory, readOnly: false };
    }
    const payload = await payloadOf(volume, input);
    if (!payload) throw refusal(volume);
    await writeAtomically(directory, payload, group);
    return { hostPath: directory, readOnly: true };
  }

  return {
    directoryOf,
    async mount(input) {
      const result = new Map<string, MountedVolume>();
      for (const volume of input.pod.spec.volumes ?? []) result.set(volume.name, await make(volume, input));
      return result;
    },
    async refresh(input) {
      let failure: unknown;
      for (const volume of input.pod.spec.volumes ?? []) {
        if (!volume.configMap && !volume.secret && !volume.downwardAPI && !volume.projected) continue;
        await make(volume, input).catch(error => {
          failure ??= error;
        });
      }
      if (failure) throw failure;
    },
    async mountsOf(container, volumes, variables) {
      const result: Mount[] = [];
      const values = new Map(variables.map(({ name, value }) => [name, value]));
      for (const mount of container.volumeMounts ?? []) {
        const where = `container ${container.name}, mount ${mount.mountPath}`;
        const volume = volumes.get(mount.name);
        if (!volume) throw new ConfigError(`${where}: the pod has no volume ${mount.name}`);
        const subPath = mount.subPathExpr ? expandSubPath(mount.subPathExpr, values, where) : (mount.subPath ?? '');
        const hostPath = subPath
          ? await resolveInside(volume.hostPath, subPath, where, !volume.readOnly)
          : volume.hostPath;
        // As the kubelet reads it: a relative path is one of the container's root.
        const containerPath = mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`;
        result.push({ hostPath, containerPath, readOnly: volume.readOnly || mount.readOnly === true });
      }
      return result;
    },
    async remove(podUid) {
      const directory = directoryOf(podUid);
      await mounts.unmountBelow(directory);
      await removeTree(directory);
    },
    list: async () => (await readdir(pods).catch(() => [])).filter(name => uidForm.test(name)),
  };
}

function expandSubPath(text: string, values: ReadonlyMap<string, string>, where: string): string {
  return expand(text, name => {
    const value = values.get(name);
    if (value === undefined)
      throw new ConfigError(`${where}: subPathExpr names the variable ${name}, which is not set`);
    return value;
  });
}

/** fsGroup is given to files only by root; an ordinary user's agent says so in the pod's Limited condition. */
function ownGroup(pod: Pod): number | undefined {
  return process.geteuid?.() === 0 ? pod.spec.securityContext?.fsGroup : undefined;
}

function refusal(volume: corev1.Volume): ConfigError {
  const type = Object.keys(volume).find(key => key !== 'name');
  return new ConfigError(
    `volume ${volume.name}: ${type === undefined ? 'it has no source' : `type ${type} is not supported by this node`}; ` +
      'supported are persistentVolumeClaim, ephemeral, emptyDir, hostPath, nfs, configMap, secret, downwardAPI and projected',
  );
}
