/** @orbitkit/core: what an object is, and how to reach one. */
export type * from './client/client.js';
export type * from './client/transport.js';
export { type Clock, systemClock } from './clock/clock.js';
export type { Component, ComponentContext, UserInfo } from './component/component.js';
export type { Logger } from './component/log.js';
export type { Counter, Gauge, Histogram, Metrics } from './component/metrics.js';
export * from './errors/status-error.js';
export * from './events/recorder.js';
export { decodeStruct } from './kinds/decode.js';
export { builtinSchema } from './kinds/facts.js';
export * from './kinds/generated/kinds.js';
export type * from './kinds/generated/types/index.js';
export * from './kinds/kind.js';
export type * from './kinds/schema.js';
export * from './meta/object.js';
