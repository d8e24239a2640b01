/** @orbitkit/node: do it here. The node agent, its runtimes, probes, volumes and the service proxy. */
export { mayBindLowPorts, substitutePort } from './network/low-port.js';
export * from './runtime/contract.js';
export * from './runtime/simulated/index.js';
