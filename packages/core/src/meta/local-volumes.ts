/**
 * How a volume that is a directory of one node is made and removed without a helper pod: what a provisioner and the node's agent say to each
 * other on the Node object, as upstream's attach controller and kubelet do by `status.volumesAttached`.
 *
 * - The agent says where its volumes lie (`directory`). It makes what is directly in there when a pod mounts it.
 * - Whoever reclaims a volume asks on the Node, under a key of the volume's own: `<prefix><volume>` = `remove:<name in the directory>`. The agent
 *   removes that and answers `removed` under the same key; then whoever asked takes the key away. Each step may be repeated.
 */
export const localVolumes = {
  /** On the Node: the absolute path of the directory. */
  directory: 'orbitkit.dev/local-volumes',
  prefix: 'local-volumes.orbitkit.dev/',
  remove: 'remove:',
  removed: 'removed',
  failed: 'failed:',
  /** On the PersistentVolume: the Node on which it lies. */
  node: 'orbitkit.dev/local-volume-node',
} as const;
