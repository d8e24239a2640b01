/** @orbitkit/informer: know the world cheaply. Reflector, indexed cache, shared informers and work queues. */
export type { InformerEvent } from './event.js';
export { Indexer, type IndexFunction, type Store } from './indexer.js';
export {
  type InformerFactory,
  type InformerFactoryOptions,
  type InformerRequest,
  informerFactory,
} from './informer-factory.js';
export { type ElectedOptions, elected } from './leader-election/elected.js';
export {
  type LeaderElection,
  type LeaderElectionOptions,
  type Leadership,
  leaderElection,
} from './leader-election/leader-election.js';
export { type DeepReadonly, deepFreeze, type Mutable, mutableCopy } from './read-only.js';
export {
  compareVersions,
  Reflector,
  type ReflectorEvent,
  type ReflectorOptions,
  type ReflectorScope,
  type ReflectorState,
} from './reflector.js';
export {
  type HandlerRegistration,
  type InformerHandler,
  metadataInformer,
  type SharedInformer,
  type SharedInformerOptions,
  sharedInformer,
  type WaitForSyncOptions,
} from './shared-informer.js';
export {
  bucketRateLimiter,
  controllerRateLimiter,
  itemExponentialRateLimiter,
  maxOfRateLimiter,
  type RateLimiter,
} from './work-queue/rate-limiter.js';
export { type AddOptions, lowPriority, WorkQueue, type WorkQueueOptions } from './work-queue/work-queue.js';
