/** What a live scheduler lends its plugins: the client, the cluster, the clock. Unit tests and simulations lend nothing. */
import type { Client, Clock } from '@orbitkit/core';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { ClusterEvent } from './event.js';

/** What a plugin gets in `attach`. */
export interface SchedulerHandle {
  readonly client: Client;
  readonly clock: Clock;
  readonly snapshot: Snapshot;
  /** Resources that extenders look after alone: NodeResourcesFit leaves them out. */
  readonly ignoredResources?: ReadonlySet<string>;
  /** Ends with the scheduler. */
  readonly signal: AbortSignal;
  /** Tries pods again that wait because of this. */
  notice(event: ClusterEvent): void;
}
