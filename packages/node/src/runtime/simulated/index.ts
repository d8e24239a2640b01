export type { ProgramFor, SimulatedExec, SimulatedProgram } from './program.js';
export { type SimulatedRuntime, type SimulatedRuntimeOptions, simulatedRuntime } from './simulated-runtime.js';
