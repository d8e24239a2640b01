/**
 * A controller: something that watches the world and makes it so. What it needs comes through its context; it may be run
 * again after it failed, so it starts from nothing each time and removes what it registered.
 */
import type { Client, Clock, KubeObject, Logger, Metrics } from '@orbitkit/core';
import type { DeepReadonly, InformerFactory, Leadership } from '@orbitkit/informer';

/** Tells people what happened to an object. Never blocks, never throws. */
export interface Events {
  event(about: DeepReadonly<KubeObject>, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** One cluster of a manager that has several. */
export interface ClusterContext {
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly events: Events;
  /** Aborted when the cluster is removed from the manager, and with everything else. Calls of `client` are aborted with it. */
  readonly signal: AbortSignal;
}

/** All that a controller gets from its manager, made anew for each run of it. */
export interface ControllerContext {
  /** Aborted when the controller must stop. Calls of `client` are aborted with it. */
  readonly signal: AbortSignal;
  readonly client: Client;
  /** Shared by all controllers of a manager: each collection is watched once. It runs already. */
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly events: Events;
  /** All clusters by name, of a manager that has several; `client`, `informers` and `events` are then those of the first. It shows those of the moment. */
  readonly clusters?: ReadonlyMap<string, ClusterContext>;
  /** Tells of clusters that come, and with undefined of those that go. @returns what ends it. */
  onClusterChange?(listener: (name: string, cluster: ClusterContext | undefined) => void): () => void;
  /** Of a manager that was elected: `term` only grows, for those who refuse what an earlier leader sends. */
  readonly leadership?: Pick<Leadership, 'term' | 'held'>;
  /** Says that its caches are filled and its workers run. */
  ready(): void;
}

/** Write one by hand, or with {@link controller}. */
export interface Controller {
  /** Unique within a manager; in logs, metrics and as the source of events. */
  readonly name: string;
  /** The service account in kube-system that it acts as, under a manager whose controllers have one each. */
  readonly serviceAccount?: string;
  /** It works on all `clusters` of its context. Without it, a manager with several runs it once for each. */
  readonly acrossClusters?: boolean;
  /** Works until the signal aborts. A rejection is a crash: it is started again with back-off. */
  run(context: ControllerContext): Promise<void>;
}
