/** @orbitkit/controllers/testing: an in-process control plane for unit tests. */
export { createTestControlPlane, type TestControlPlane, type TestControlPlaneOptions } from './control-plane.js';
export { type ConsistentlyOptions, consistently, type EventuallyOptions, eventually } from './eventually.js';
export { type Interceptors, interceptClient } from './intercept-client.js';
export {
  type KillEverywhereOptions,
  type KillReport,
  type KillWorld,
  killEverywhere,
} from './kills/kill-everywhere.js';
export { type PlayedPodsOptions, playedPods } from './played-pods.js';
