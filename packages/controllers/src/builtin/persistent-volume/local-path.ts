/**
 * Volumes that are directories of a node: quick, simple, and gone with the node.
 *
 * - The node's agent says where its volumes lie and makes each when a pod mounts it; nothing has to run there, and no image is needed. Deleting is
 *   asked of the agent on the Node object (`localVolumes` of core) and done at its next look, within 10 s; while the node is away the volume
 *   stays Released. When the Node object is gone, so is the data.
 * - The volume's affinity holds pods to the node. With a class that binds immediately a node is chosen for it, by the claim's uid.
 * - Sizes are not enforced: a directory is as large as its disk. Growing therefore succeeds and changes only the number.
 * - Access modes are given as asked for; all pods of one node may write at once. Block volumes are refused.
 */
import { type Draft, findCondition, isNotFound, localVolumes, Node, type StorageClass } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Provisioner, ProvisionerContext } from './provisioner.js';
import { isAllowedTopology } from './topology.js';

const localPathName = 'orbitkit.dev/local-path';
const hostname = 'kubernetes.io/hostname';

/** The class `local-path`, by the name that rancher's has: the default one, bound when the first pod is placed; deleting a claim deletes its data. */
export function localPathClass(): Draft<StorageClass> & { metadata: { name: string } } {
  return {
    metadata: {
      name: 'local-path',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: localPathName,
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
    allowVolumeExpansion: true,
  };
}

/** The provisioner of the class `local-path`. */
export function localPathProvisioner(): Provisioner {
  return {
    name: localPathName,
    async provision({ name, claim, storageClass, node: selected }, context) {
      if (claim.spec.volumeMode === 'Block')
        throw new Error('local paths are directories: volumeMode Block cannot be had');
      if (claim.spec.dataSource ?? claim.spec.dataSourceRef)
        throw new Error('local paths cannot be made from a dataSource');
      const node = selected ?? (await choose(claim.metadata.uid, storageClass, context));
      const directory = node.metadata.annotations?.[localVolumes.directory];
      if (!directory)
        throw new Error(
          `node "${node.metadata.name}" does not say where its volumes lie (annotation ${localVolumes.directory}); its agent is none of orbitkit's`,
        );
      const { namespace, name: claimName } = claim.metadata;
      const path = `${directory}/${directoryOf(name, namespace, claimName)}`;
      const values = [node.metadata.labels?.[hostname] ?? node.metadata.name];
      return {
        spec: {
          hostPath: { path, type: 'DirectoryOrCreate' },
          nodeAffinity: {
            required: { nodeSelectorTerms: [{ matchExpressions: [{ key: hostname, operator: 'In', values }] }] },
          },
        },
        annotations: { [localVolumes.node]: node.metadata.name },
      };
    },
    async delete({ metadata, spec }, { client, log }) {
      const nodeName = metadata.annotations?.[localVolumes.node];
      const directory = spec.hostPath?.path.split('/').at(-1);
      if (!nodeName || !directory)
        throw new Error(`volume ${metadata.name} does not say on which node it lies (annotation ${localVolumes.node})`);
      const key = `${localVolumes.prefix}${metadata.name}`;
      const say = (value: string | null) =>
        client.patch(
          Node,
          { name: nodeName },
          { type: 'merge', patch: { metadata: { annotations: { [key]: value } } } },
        );
      try {
        const node = await client.get(Node, { name: nodeName });
        const answer = node.metadata.annotations?.[key];
        if (answer === localVolumes.removed) {
          await say(null);
          return 'deleted';
        }
        const request = `${localVolumes.remove}${directory}`;
        if (answer !== request) await say(request);
        if (answer?.startsWith(localVolumes.failed))
          throw new Error(`node "${nodeName}": ${answer.slice(localVolumes.failed.length)}`);
        return 'pending';
      } catch (error) {
        if (!isNotFound(error)) throw error;
        log.info('the node of a local volume is gone, and its data with it', { volume: metadata.name, node: nodeName });
        return 'deleted';
      }
    },
    volumesOf: node =>
      Object.keys(node.metadata.annotations ?? {})
        .filter(key => key.startsWith(localVolumes.prefix))
        .map(key => key.slice(localVolumes.prefix.length)),
    expand: async () => ({ nodeExpansionRequired: false }),
  };
}

/** Readable for who looks into the directory; names of namespaces and claims have no `_` and no `/`. */
const directoryOf = (volume: string, namespace: string, claim: string): string =>
  `${volume}_${namespace}_${claim}`.slice(0, 255);

/** A node for a volume that nobody waits to see placed: the same one each time, as long as the nodes are the same. */
async function choose(
  uid: string,
  storageClass: DeepReadonly<StorageClass>,
  { client }: ProvisionerContext,
): Promise<Node> {
  const { items } = await client.list(Node);
  const able = items
    .filter(
      node =>
        !node.spec.unschedulable &&
        findCondition(node.status?.conditions, 'Ready')?.status === 'True' &&
        node.metadata.annotations?.[localVolumes.directory] !== undefined &&
        isAllowedTopology(storageClass, node),
    )
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  let sum = 0;
  for (const character of uid) sum += character.charCodeAt(0);
  const node = able[sum % able.length];
  if (!node)
    throw new Error(
      'no ready node can hold it; with volumeBindingMode WaitForFirstConsumer it is made where its first pod runs',
    );
  return node;
}
