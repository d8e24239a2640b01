/** What happened in the cluster that may make a refused pod schedulable, and what plugins say to it (kube-scheduler's queueing hints). */
import type { KubeObject, Pod } from '@orbitkit/core';

export type ClusterEventType =
  | 'NodeAdd'
  | 'NodeAllocatable'
  | 'NodeLabel'
  | 'NodeTaint'
  | 'NodeReady'
  | 'PodAdd'
  | 'PodLabel'
  | 'PodDelete'
  | 'NamespaceLabel'
  | 'PersistentVolume'
  | 'PersistentVolumeClaim'
  | 'StorageClass'
  | 'CSINode'
  | 'PodGroup'
  | 'NodeMetrics';

export interface ClusterEvent {
  readonly type: ClusterEventType;
  /** The object as it was and as it is, where known: an added one has no `before`, a deleted one no `after`. */
  readonly before?: KubeObject;
  readonly after?: KubeObject;
}

export type QueueingHint = 'Queue' | 'Skip';

/** An event type alone means `Queue` on each. `hint` looks closer. */
export type EventInterest =
  | ClusterEventType
  | { readonly type: ClusterEventType; hint(pod: Pod, event: ClusterEvent): QueueingHint };
