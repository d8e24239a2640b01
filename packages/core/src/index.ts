/** @orbitkit/core: what an object is, and how to reach one. */
export type * from './client/client.js';
export { type ClientOptions, createClient, queryOf } from './client/create-client.js';
export { type DiscoveredKind, discoverKinds, type KindResolver, kindResolver } from './client/discovery.js';
export * from './client/find-cluster.js';
export { type HttpTransportOptions, httpTransport } from './client/http-transport.js';
export {
  errorOfAnswer,
  type JsonRequest,
  type JsonRequestOptions,
  requestJson,
  warningText,
} from './client/request-json.js';
export type * from './client/transport.js';
export { watchEvents } from './client/watch-stream.js';
export * from './clock/backoff.js';
export { type Clock, systemClock } from './clock/clock.js';
export { type ManualClock, manualClock } from './clock/manual-clock.js';
export { type Random, seededRandom, systemRandom } from './clock/random.js';
export type { ClientSource } from './component/client-slot.js';
export type { Component, ComponentContext, UserInfo } from './component/component.js';
export { type ComposeOptions, type Composition, compose, defaultUser } from './component/compose.js';
export type { Logger } from './component/log.js';
export { type LoggerOptions, type LogLevel, logger, silentLogger } from './component/logger.js';
export type { Counter, Gauge, Histogram, Metrics } from './component/metrics.js';
export { metrics } from './component/prometheus.js';
export type { ComponentState, ComponentStatus } from './component/supervise.js';
export { isUnrecoverable, unrecoverable } from './component/unrecoverable.js';
export * from './errors/status-error.js';
export * from './events/recorder.js';
export { decodeStruct } from './kinds/decode.js';
export { builtinSchema } from './kinds/facts.js';
export * from './kinds/generated/kinds.js';
export type * from './kinds/generated/types/index.js';
export * from './kinds/kind.js';
export type * from './kinds/schema.js';
export * from './meta/conditions.js';
export * from './meta/field-selector.js';
export * from './meta/finalizers.js';
export * from './meta/int-or-percent.js';
export * from './meta/label-selector.js';
export * from './meta/names.js';
export * from './meta/object.js';
export * from './meta/owner-references.js';
export * from './meta/quantity.js';
export * from './meta/time.js';
