/** @orbitkit/node: the node agent, its runtimes, and the parts of both that stand alone. */

export { annotations as nodeAnnotations, conditions as nodeConditions, labels as nodeLabels } from './agent/labels.js';
export { node } from './agent/node.js';
export type { BackOffOptions, HeartbeatOptions, ListenOptions, NodeOptions } from './agent/options.js';
export { mayBindLowPorts, substitutePort } from './network/low-port.js';
export { type NetworkRanges, type NetworkRangesOptions, networkRanges } from './network/network-ranges.js';
export {
  type ServiceProxyOptions,
  serviceProxy,
  substituteAddress,
  substituteCondition,
} from './network/service-proxy/index.js';
export * from './runtime/contract.js';
export {
  type CatalogueEntry,
  type ProcessRuntime,
  type ProcessRuntimeOptions,
  processRuntime,
} from './runtime/process/index.js';
export {
  type SimulatedExec,
  type SimulatedProgram,
  type SimulatedRuntime,
  type SimulatedRuntimeOptions,
  simulatedRuntime,
} from './runtime/simulated/index.js';
