/** Fair queueing of requests: flow schemas, priority levels, and what keeps their objects. */
export { type Admission, type FlowControl, type FlowControlOptions, flowControl } from './flow-control.js';
export { ensureFlowConfiguration, keepFlowConfiguration } from './keep-configuration.js';
export { objectCount } from './work-estimate.js';
