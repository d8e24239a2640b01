/** Admission plugins, and the contract to write one. */

export { type PolicyOptions, validatingPolicies } from '../policy/validating-policies.js';
export { mutatingWebhooks, validatingWebhooks, type WebhookOptions } from '../webhook/admission-webhooks.js';
export type { AdmissionChain } from './chain.js';
export type { AdmissionCluster, AdmissionPlugin, AdmissionReader, AdmissionRequest } from './contract.js';
export { mutate, validate } from './functions.js';
export { limitRanger } from './limit-ranger.js';
export { namespaceLifecycle } from './namespace-lifecycle.js';
export { nodeCapacity } from './node-capacity.js';
export { ownerReferencesPermissionEnforcement } from './owner-references.js';
export { defaultTolerationSeconds } from './pod-defaults.js';
export { type PodSecurityOptions, podSecurity } from './pod-security/pod-security.js';
export { priority } from './priority.js';
export { resourceQuota } from './quota/resource-quota.js';
export { serviceAccount } from './service-account.js';
export { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from './storage.js';

import { validatingPolicies } from '../policy/validating-policies.js';
import { mutatingWebhooks, validatingWebhooks, type WebhookOptions } from '../webhook/admission-webhooks.js';
import type { AdmissionPlugin } from './contract.js';
import { limitRanger } from './limit-ranger.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { defaultTolerationSeconds } from './pod-defaults.js';
import { podSecurity } from './pod-security/pod-security.js';
import { priority } from './priority.js';
import { resourceQuota } from './quota/resource-quota.js';
import { serviceAccount } from './service-account.js';
import { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from './storage.js';

/** What a server has when its composer says nothing, in kube-apiserver's order: quota last, when everything else has been decided. */
export function defaultAdmission(options: WebhookOptions = {}): AdmissionPlugin[] {
  return [
    namespaceLifecycle(),
    limitRanger(),
    serviceAccount(),
    podSecurity(),
    priority(),
    defaultTolerationSeconds(),
    defaultStorageClass(),
    storageObjectInUseProtection(),
    persistentVolumeClaimResize(),
    mutatingWebhooks(options),
    validatingPolicies(options),
    validatingWebhooks(options),
    resourceQuota(),
  ];
}
