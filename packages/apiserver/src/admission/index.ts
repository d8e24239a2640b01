/** Admission plugins, and the contract to write one. */
export type { AdmissionChain } from './chain.js';
export type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from './contract.js';
export { namespaceLifecycle } from './namespace-lifecycle.js';
export { defaultPriority, defaultTolerationSeconds } from './pod-defaults.js';
export { serviceAccount } from './service-account.js';

import type { AdmissionPlugin } from './contract.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { defaultPriority, defaultTolerationSeconds } from './pod-defaults.js';
import { serviceAccount } from './service-account.js';

/** What a server has when its composer says nothing. */
export function defaultAdmission(): AdmissionPlugin[] {
  return [namespaceLifecycle(), serviceAccount(), defaultTolerationSeconds(), defaultPriority()];
}
