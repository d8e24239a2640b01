/** @orbitkit/apiserver: an embeddable Kubernetes API server. */
export {
  type AdmissionChain,
  type AdmissionCluster,
  type AdmissionPlugin,
  type AdmissionReader,
  type AdmissionRequest,
  defaultAdmission,
  defaultStorageClass,
  defaultTolerationSeconds,
  limitRanger,
  mutate,
  mutatingWebhooks,
  namespaceLifecycle,
  ownerReferencesPermissionEnforcement,
  type PolicyOptions,
  persistentVolumeClaimResize,
  priority,
  resourceQuota,
  serviceAccount,
  storageObjectInUseProtection,
  validate,
  validatingPolicies,
  validatingWebhooks,
  type WebhookOptions,
} from './admission/index.js';
export type { AuditPolicy } from './audit/index.js';
export {
  type Authenticator,
  adminUser,
  anonymousUser,
  anyAuthenticator,
  bearerTokens,
  type Credentials,
  clientCertificates,
  type KubeconfigOptions,
  kubeconfig,
  type OidcIssuer,
  readTokenFile,
  writeKubeconfig,
} from './authentication/index.js';
export {
  type Attributes,
  type Authorizer,
  allowMasters,
  anyAuthorizer,
  type Decision,
  type Verdict,
} from './authorization/index.js';
export type { RequestRecord } from './http/handler.js';
export type { RequestInfo } from './http/request-info.js';
export { servingCertificateAnnotation } from './node-proxy/agent-address.js';
export {
  type Authority,
  type AuthorityOptions,
  type ClientCertificateOptions,
  certificateFingerprint,
  createAuthority,
  type IssuedCertificate,
  issueClientCertificate,
  issueServingCertificate,
  type KeyPair,
  type ServingCertificateOptions,
} from './pki/index.js';
export {
  type ResourcesOptions,
  type ServiceAddressPolicy,
  type ServiceOptions,
  type Strategy,
  type SystemObject,
  substituteAddressAnnotation,
  type VirtualResource,
  type VirtualResources,
} from './registry/index.js';
export {
  type ApiServer,
  type ApiServerOptions,
  type AuditLogOptions,
  apiServer,
  type Endpoint,
  type ListenOptions,
} from './server/api-server.js';
export { agentClientName } from './server/credentials.js';
export {
  addEncryptionKey,
  checkDirectory,
  type EmbeddedStoreOptions,
  type EncryptionRules,
  embeddedStore,
  encryptionRules,
  ensureEncryptionFile,
  type LoadedSnapshot,
  loadSnapshot,
  type MemoryStoreOptions,
  memoryStore,
  readEncryptionFile,
  repairDirectory,
  restoreDirectory,
  type Store,
  type StoreFactory,
  salvageDirectory,
  saveSnapshot,
  snapshotStatus,
} from './storage/index.js';
