/**
 * Who makes volumes: a plain interface, so that a provisioner of one's own is an object with two functions. `volumeProvisioner` calls it.
 *
 * Every function may be called again for the same volume: after a failure, after a crash in the middle, and by a second process that did not see the
 * first. What was made has to be found again by the volume's name.
 */
import type {
  Client,
  Clock,
  Logger,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

/** What a provisioner works with; the signal aborts when its controller stops. */
export interface ProvisionerContext {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** One volume that is wanted. */
export interface ProvisionRequest {
  /** The volume's name to be: `pvc-<uid of the claim>`. */
  readonly name: string;
  readonly claim: DeepReadonly<PersistentVolumeClaim>;
  readonly storageClass: DeepReadonly<StorageClass>;
  /** Where the first consumer will run; undefined: the class binds immediately. It satisfies the class's allowedTopologies. */
  readonly node: DeepReadonly<Node> | undefined;
}

/** What was made. Name, class, claim, reclaim policy, mount options and volume mode are added. */
export interface ProvisionedVolume {
  /** Where the volume lies (one source), `nodeAffinity`, and what of `capacity` and `accessModes` differs from what was asked. */
  spec: Partial<PersistentVolume['spec']>;
  annotations?: Readonly<Record<string, string>>;
}

/** Who makes and deletes the volumes of one kind of storage. */
export interface Provisioner {
  /** As in `provisioner` of a StorageClass. */
  readonly name: string;
  /** @throws Error whose message tells the user what is in the way; it is tried again with growing waits. */
  provision(request: ProvisionRequest, context: ProvisionerContext): Promise<ProvisionedVolume>;
  /** Deletes what the volume stands for. `pending`: others are at it, ask again. What is gone already counts as deleted. */
  delete(volume: DeepReadonly<PersistentVolume>, context: ProvisionerContext): Promise<'deleted' | 'pending'>;
  /** Volumes for which a change of this Node may end a `pending`; they are asked for at once, the others every half minute. */
  volumesOf?(node: DeepReadonly<Node>): readonly string[];
  /**
   * Makes the volume as large as asked. `nodeExpansionRequired`: the node has to make the file system larger too.
   * Absent: volumes of this provisioner do not grow.
   */
  expand?(
    volume: DeepReadonly<PersistentVolume>,
    size: string,
    context: ProvisionerContext,
  ): Promise<{ nodeExpansionRequired: boolean }>;
}
