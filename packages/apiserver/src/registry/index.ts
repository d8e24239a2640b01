/** The resources of a cluster over a store. */
export * from './contract.js';
export { createResources, type ResourcesOptions } from './resources.js';
export {
  type ServiceAddressPolicy,
  type ServiceOptions,
  substituteAddressAnnotation,
} from './strategies/service-allocation.js';
export type {
  PartOf,
  Reservation,
  ReserveRequest,
  ScaleOf,
  Strategy,
  StrategyEnvironment,
  SubresourceAction,
} from './strategy.js';
export type { SystemObject } from './system-objects.js';
export type { VirtualResource, VirtualResources } from './virtual-resources.js';
