/**
 * Volumes that are subdirectories of one shared export, as upstream's nfs-subdir-external-provisioner makes them.
 *
 * - `directory` is where the export is mounted on the machine of this process; it makes and removes the subdirectories itself.
 * - Nodes mount `server:path/<subdirectory>` over NFS (as root). Without a server they take the same directory of the machine: every node that
 *   shares it, as all of one machine do, sees the same volume, so every access mode holds.
 * - Parameters of the class, as upstream's: `pathPattern` with `${.PVC.namespace}`, `${.PVC.name}`, `${.PVC.labels.x}`, `${.PVC.annotations.x}`,
 *   `${.PV.name}` (default namespace-claim-volume); `onDelete: delete|retain`; else `archiveOnDelete`: unless it says `false` the subdirectory
 *   is renamed to `archived-…`.
 * - What a pattern makes stays inside the directory: no `..`, no way through a link. Sizes are not enforced; growing changes the number.
 *
 * Source: kubernetes-sigs/nfs-subdir-external-provisioner `provisioner.go` (v4).
 */
import { chmod, mkdir, readlink, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { PersistentVolumeClaim } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Provisioner } from './provisioner.js';

/** Where the export is, here and for nodes. */
export interface SharedDirectoryOptions {
  /** Absolute: where the export is mounted here. It must exist. */
  directory: string;
  /** What nodes mount. Default: they have the directory themselves. */
  nfs?: { server: string; path: string };
  /** As classes name it. Default `orbitkit.dev/shared-directory`. */
  name?: string;
}

const subdirectory = 'orbitkit.dev/shared-directory-path';
const whenDeleted = 'orbitkit.dev/shared-directory-on-delete';

/** @throws Error when the directory is not absolute. */
export function sharedDirectoryProvisioner(options: SharedDirectoryOptions): Provisioner {
  const { directory: root, nfs, name: provisionerName = 'orbitkit.dev/shared-directory' } = options;
  if (!path.isAbsolute(root)) throw new Error(`shared directory ${JSON.stringify(root)} must be an absolute path`);
  return {
    name: provisionerName,
    async provision({ name, claim, storageClass }) {
      if (claim.spec.volumeMode === 'Block') throw new Error('a shared directory has no volumes of volumeMode Block');
      if (claim.spec.dataSource ?? claim.spec.dataSourceRef)
        throw new Error('a shared directory cannot make volumes from a dataSource');
      const { parameters = {} } = storageClass;
      const pattern = parameters['pathPattern'];
      const { namespace, name: claimName } = claim.metadata;
      const relative = pattern ? relativePath(pattern, claim, name) : `${namespace}-${claimName}-${name}`;
      const target = await makeInside(root, relative);
      // Pods of any user write here; who may reach it is decided by the mount.
      await chmod(target, 0o777);
      return {
        spec: nfs
          ? { nfs: { server: nfs.server, path: path.posix.join(nfs.path, relative) } }
          : { hostPath: { path: path.join(root, relative), type: 'Directory' } },
        annotations: { [subdirectory]: relative, [whenDeleted]: fateOf(parameters) },
      };
    },
    async delete({ metadata }) {
      const relative = metadata.annotations?.[subdirectory];
      if (!relative) throw new Error(`volume ${metadata.name} does not say where it lies (annotation ${subdirectory})`);
      const fate = metadata.annotations?.[whenDeleted] ?? 'archive';
      const target = await findInside(root, relative);
      if (target === undefined || fate === 'retain') return 'deleted';
      if (fate === 'delete') await rm(target, { recursive: true, force: true });
      else await rename(target, path.join(await realpath(root), archiveName(relative, metadata.name)));
      return 'deleted';
    },
    expand: async () => ({ nodeExpansionRequired: false }),
  };
}

/** A pattern may give two volumes, one after the other, the same path: each archive has a name of its own. */
const archiveName = (relative: string, volume: string): string =>
  `archived-${relative.replaceAll('/', '-')}${relative.includes(volume) ? '' : `-${volume}`}`;

function fateOf({ onDelete, archiveOnDelete }: Readonly<Record<string, string>>): 'delete' | 'retain' | 'archive' {
  if (onDelete === 'delete' || onDelete === 'retain') return onDelete;
  if (onDelete) throw new Error(`parameter onDelete of the class is ${JSON.stringify(onDelete)}: delete or retain`);
  if (archiveOnDelete === undefined || /^(true|1|t)$/i.test(archiveOnDelete)) return 'archive';
  if (/^(false|0|f)$/i.test(archiveOnDelete)) return 'delete';
  throw new Error(`parameter archiveOnDelete of the class is ${JSON.stringify(archiveOnDelete)}: true or false`);
}

/** @throws Error when a placeholder is unknown or empty, or the path would leave the directory. */
function relativePath(pattern: string, { metadata }: DeepReadonly<PersistentVolumeClaim>, volume: string): string {
  const text = pattern.replace(/\$\{\s*\.?([^}]*?)\s*\}/g, (whole, expression: string) => {
    const [object, field, ...rest] = expression.split('.');
    const key = rest.join('.');
    const value =
      object === 'PV' && field === 'name'
        ? volume
        : object !== 'PVC'
          ? undefined
          : field === 'name' || field === 'namespace'
            ? metadata[field]
            : field === 'labels' || field === 'annotations'
              ? metadata[field]?.[key]
              : undefined;
    if (!value) throw new Error(`pathPattern: ${whole} is nothing that this claim has`);
    return value;
  });
  const parts = text.split('/').filter(part => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || text.includes('\0'))
    throw new Error(`pathPattern gives ${JSON.stringify(text)}, which is not a path inside the shared directory`);
  return parts.join('/');
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException)?.code;

/** Makes each missing part; a link on the way is refused: a pod may have left it. */
async function makeInside(root: string, relative: string): Promise<string> {
  let current = await realpath(root).catch(error => {
    throw new Error(`the shared directory ${root} cannot be used: ${error.message}`);
  });
  for (const part of relative.split('/')) {
    current = path.join(current, part);
    await refuseLink(current);
    await mkdir(current, { mode: 0o755 }).catch(error => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  }
  return current;
}

/** Undefined when it is not there (any more). */
async function findInside(root: string, relative: string): Promise<string | undefined> {
  let current = await realpath(root);
  for (const part of relative.split('/')) {
    if (part === '..' || part === '') throw new Error(`${JSON.stringify(relative)} is not a path inside ${root}`);
    current = path.join(current, part);
    await refuseLink(current);
  }
  return realpath(current).catch(error => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

async function refuseLink(target: string): Promise<void> {
  const link = await readlink(target).catch(error => {
    if (['EINVAL', 'ENOENT'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  });
  if (link !== undefined) throw new Error(`${target} is a link: it may lead out of the shared directory`);
}
