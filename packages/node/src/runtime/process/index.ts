export type { CatalogueEntry } from './catalogue.js';
export { type ProcessRuntime, type ProcessRuntimeOptions, processRuntime } from './process-runtime.js';
