/**
 * The volumes that are directories of this node: made when a pod first mounts one, removed when whoever reclaims it asks on the Node object. What is
 * said there and by whom: `localVolumes` of core.
 *
 * Only what lies directly in the agent's own directory is ever made or removed.
 */
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Client, localVolumes, Node } from '@orbitkit/core';
import { removeTree } from './safe-path.js';

export const localVolumesIn = (dataDir: string): string => path.join(dataDir, 'local-volumes');

/** What a provisioner names: never hidden, never a way out. */
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export interface LocalVolumes {
  /** Whether the path is one of a volume here. */
  has(hostPath: string): boolean;
  /** Makes the directory, for everybody to write in, of the pod's group if it has one. */
  prepare(hostPath: string, group: number | undefined): Promise<void>;
  /** Removes what is asked for on the Node, and answers there. */
  settle(node: Node, client: Client, signal: AbortSignal): Promise<void>;
}

export function localVolumesOf(dataDir: string): LocalVolumes {
  const root = localVolumesIn(dataDir);
  return {
    has: hostPath => path.dirname(hostPath) === root && nameForm.test(path.basename(hostPath)),
    async prepare(hostPath, group) {
      if (await stat(hostPath).catch(() => undefined)) return;
      await mkdir(hostPath, { recursive: true });
      if (group !== undefined) await chown(hostPath, -1, group);
      await chmod(hostPath, group === undefined ? 0o777 : 0o2777);
    },
    async settle({ metadata }, client, signal) {
      const answers: Record<string, string> = {};
      for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
        if (!key.startsWith(localVolumes.prefix) || !value.startsWith(localVolumes.remove)) continue;
        const name = value.slice(localVolumes.remove.length);
        try {
          if (!nameForm.test(name)) throw new Error(`${JSON.stringify(name)} cannot be the name of a local volume`);
          await removeTree(path.join(root, name));
          answers[key] = localVolumes.removed;
        } catch (error) {
          answers[key] = `${localVolumes.failed}${(error as Error).message}`;
        }
      }
      if (Object.keys(answers).length === 0) return;
      const patch = { metadata: { annotations: answers } };
      await client.patch(Node, { name: metadata.name }, { type: 'merge', patch }, { signal, timeoutMs: 10_000 });
    },
  };
}
