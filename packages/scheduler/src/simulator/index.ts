/** @orbitkit/scheduler/simulator: policies compared over the same workload, in virtual time. */
export type { ArrivalProcess, Lifetime } from './arrivals.js';
export { type Failures, type NodeChange, type NodePool, nodePool, type Rolling } from './nodes.js';
export {
  type Lent,
  type NamedPolicyOptions,
  namedPolicy,
  type Policy,
  type PolicyName,
  policyNames,
} from './policies.js';
export { type Recording, type RecordOptions, readRecording, recordCluster, recordedPolicy } from './recording.js';
export type { PolicyReport, Report } from './report.js';
export { reportHtml } from './report-html.js';
export { reportText } from './report-text.js';
export { parseScenario, type ScenarioOptions } from './scenario.js';
export { type SimulateOptions, simulate } from './simulate.js';
export { readTrace, type TraceFormat, type TraceOptions } from './trace.js';
export { type Arrival, type GeneratedWorkload, podTemplate, type Workload } from './workload.js';
