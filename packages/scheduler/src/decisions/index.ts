/** @orbitkit/scheduler/decisions: schedulers' decisions as objects of an API server. */
export { type DecisionRelay, type DecisionRelayOptions, decisionRelay } from './relay.js';
