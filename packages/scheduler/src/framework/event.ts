/** What happened in the cluster that may make a refused pod schedulable, and what plugins say to it (kube-scheduler's queueing hints). */
import type { KubeObject, Pod } from '@orbitkit/core';
import type { Snapshot } from '../snapshot/snapshot.js';

/** What kind of thing happened. */
export type ClusterEventType =
  | 'NodeAdd'
  | 'NodeDelete'
  | 'NodeAllocatable'
  | 'NodeLabel'
  | 'NodeTaint'
  | 'NodeReady'
  | 'PodAdd'
  | 'PodLabel'
  /** A pod that has a node began to end; its room is still taken. */
  | 'PodTerminating'
  /** A pod that has a node asks for less than before. */
  | 'PodScaleDown'
  /** A pod left its node, or room on a node that was kept for it is free. */
  | 'PodDelete'
  | 'NamespaceLabel'
  | 'PersistentVolume'
  | 'PersistentVolumeClaim'
  | 'StorageClass'
  | 'CSINode'
  | 'PodGroup'
  | 'NodeMetrics';

/** One thing that happened. */
export interface ClusterEvent {
  readonly type: ClusterEventType;
  /** The object as it was and as it is, where known: an added one has no `before`, a deleted one no `after`. */
  readonly before?: KubeObject;
  readonly after?: KubeObject;
  /** Of a pod event: the node, where the pod does not say it (it was assumed or nominated there only). */
  readonly node?: string;
}

/** Whether the event can help the pod: try it again, or leave it where it is. */
export type QueueingHint = 'Queue' | 'Skip';

/** A closer look than the type of the event. */
export interface HintedInterest {
  readonly type: ClusterEventType;
  /**
   * `Skip` when the pod would be refused all the same. `snapshot` is the cluster after the event, where the queue has one. What cannot be known
   * is a reason to `Queue`, as is a hint that throws.
   */
  hint(pod: Pod, event: ClusterEvent, snapshot?: Snapshot): QueueingHint;
  /** The answer hangs on the pod's class (namespace, labels, spec without node and commands) and its nominated node: of equal pods one is asked. */
  readonly perClass?: boolean;
}

/** An event type alone means `Queue` on each. */
export type EventInterest = ClusterEventType | HintedInterest;
