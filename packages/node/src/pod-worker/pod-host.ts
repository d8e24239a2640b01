/** What the workers of one agent share: the node they are on, and how they reach the world. */
import type { Client, Clock, EventType, Logger, Pod } from '@orbitkit/core';
import type { Settings } from '../agent/options.js';
import type { References } from '../env/references.js';
import type { Allocatable } from '../env/resource-ref.js';
import type { ImagePuller } from '../images/image-puller.js';
import type { Runtime } from '../runtime/contract.js';
import type { PodVolumes } from '../volumes/pod-volumes.js';
import type { ServiceAccountTokens } from '../volumes/service-account-tokens.js';
import type { BackOffs } from './back-off.js';

export interface PodHost {
  readonly settings: Settings;
  readonly agentId: string;
  readonly runtime: Runtime;
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly images: ImagePuller;
  readonly volumes: PodVolumes;
  readonly references: References;
  readonly tokens: ServiceAccountTokens;
  readonly restartBackOffs: BackOffs;
  readonly allocatable: Allocatable;
  /** Of the options, or of the Node object. */
  podCIDR(signal: AbortSignal): Promise<string | undefined>;
  event(pod: Pod, type: EventType, reason: string, message: string): void;
  /** Pods that this node has taken in, but for this one. */
  others(uid: string): Pod[];
  /** The pod is off the node: nothing of it is left. */
  onGone(uid: string): void;
}
