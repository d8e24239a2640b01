/** @orbitkit/controllers: make it so. Controller builder and manager, and the built-in controllers. */

export { type CsrApprovingOptions, csrApproving } from './builtin/certificates/csr-approving.js';
export { type CsrSigningOptions, csrSigning } from './builtin/certificates/csr-signing.js';
export type { CertificateRequestFacts } from './builtin/certificates/signers.js';
export { clusterRoleAggregation } from './builtin/cluster-role-aggregation/cluster-role-aggregation.js';
export { type CronJobsOptions, cronJobs } from './builtin/cron-job/cron-jobs.js';
export { type DaemonSetsOptions, daemonSets } from './builtin/daemon-set/daemon-sets.js';
export { type DeploymentsOptions, deployments } from './builtin/deployment/deployments.js';
export {
  type PodDisruptionBudgetsOptions,
  podDisruptionBudgets,
} from './builtin/disruption/pod-disruption-budgets.js';
export {
  type EndpointSliceMirroringOptions,
  endpointSliceMirroring,
} from './builtin/endpoints/endpoint-slice-mirroring.js';
export { type EndpointSlicesOptions, endpointSlices } from './builtin/endpoints/endpoint-slices.js';
export { type EndpointsOptions, endpoints } from './builtin/endpoints/endpoints.js';
export { type GarbageCollectorOptions, garbageCollector } from './builtin/garbage-collector/garbage-collector.js';
export { apiMetrics } from './builtin/horizontal-pod-autoscaler/api-metrics.js';
export type {
  AutoscalerMetrics,
  MetricIdentifier,
  PodMeasure,
  PodMeasures,
} from './builtin/horizontal-pod-autoscaler/autoscaler-metrics.js';
export {
  type AutoscalerDecision,
  type AutoscalerInput,
  asksMetrics,
  desiredReplicas,
} from './builtin/horizontal-pod-autoscaler/desired-replicas.js';
export {
  type HorizontalPodAutoscalersOptions,
  horizontalPodAutoscalers,
} from './builtin/horizontal-pod-autoscaler/horizontal-pod-autoscalers.js';
export type { Pace, ScalingBounds, ScalingMemory } from './builtin/horizontal-pod-autoscaler/scaling-rules.js';
export { sinceLastScale } from './builtin/horizontal-pod-autoscaler/since-last-scale.js';
export { type JobsOptions, jobs } from './builtin/job/jobs.js';
export { type NamespacesOptions, namespaces } from './builtin/namespace/namespaces.js';
export { type NodeIpamOptions, nodeIpam } from './builtin/node-ipam/node-ipam.js';
export { type NodeLifecycleOptions, nodeLifecycle } from './builtin/node-lifecycle/node-lifecycle.js';
export { persistentVolumeBinder } from './builtin/persistent-volume/binder.js';
export { ephemeralVolumes } from './builtin/persistent-volume/ephemeral-volumes.js';
export { persistentVolumeExpander } from './builtin/persistent-volume/expander.js';
export { localPathClass, localPathProvisioner } from './builtin/persistent-volume/local-path.js';
export {
  persistentVolumeClaimProtection,
  persistentVolumeProtection,
} from './builtin/persistent-volume/protection.js';
export type {
  ProvisionedVolume,
  Provisioner,
  ProvisionerContext,
  ProvisionRequest,
} from './builtin/persistent-volume/provisioner.js';
export {
  type SharedDirectoryOptions,
  sharedDirectoryProvisioner,
} from './builtin/persistent-volume/shared-directory.js';
export { type VolumeProvisionerOptions, volumeProvisioner } from './builtin/persistent-volume/volume-provisioner.js';
export {
  type PodGarbageCollectorOptions,
  podGarbageCollector,
} from './builtin/pod-garbage-collector/pod-garbage-collector.js';
export { type ReplicaSetsOptions, replicaSets, replicationControllers } from './builtin/replica-set/replica-sets.js';
export { type ResourceQuotasOptions, resourceQuotas } from './builtin/resource-quota/resource-quotas.js';
export { type RootCAPublisherOptions, rootCAPublisher } from './builtin/root-ca/root-ca-publisher.js';
export {
  type ServiceAccountTokensOptions,
  serviceAccountTokens,
} from './builtin/service-account/service-account-tokens.js';
export { type ServiceAccountsOptions, serviceAccounts } from './builtin/service-account/service-accounts.js';
export { type StandardControllersOptions, standardControllers } from './builtin/standard.js';
export { type StatefulSetsOptions, statefulSets } from './builtin/stateful-set/stateful-sets.js';
export { type TtlAfterFinishedOptions, ttlAfterFinished } from './builtin/ttl-after-finished/ttl-after-finished.js';
export { ClusterSet } from './cluster-set.js';
export type { ClusterContext, Controller, ControllerContext, Events } from './controller.js';
export { type ControllerBuilder, controller, type Mapped, type MappedKey } from './controller-builder.js';
export { type ControllerManagerOptions, controllerManager } from './controller-manager.js';
export { type ClaimOptions, claim } from './controller-ref-manager.js';
export { milliseconds } from './duration.js';
export { Expectations } from './expectations.js';
export type { Finalizer } from './finalizing.js';
export type { ManagerEndpoints } from './manager-endpoints.js';
export {
  annotationsChanged,
  anyOf,
  type ChangeEvent,
  generationChanged,
  labelsChanged,
  type Predicate,
} from './predicates.js';
export { controllerQueue, type ReconcileLoopOptions, type ReconcileResult, reconcileLoop } from './reconcile-loop.js';
export type {
  ApplyOwnedOptions,
  ConditionReport,
  ReadCache,
  ReconcileKeyRequest,
  ReconcileRequest,
  StatusReport,
} from './reconcile-request.js';
export { isTerminalError, TerminalError } from './terminal-error.js';
export type { WebhookCertificate } from './webhook/certificate.js';
export type { ClientConfig, WebhookConfigurations } from './webhook/configurations.js';
export type { AdmissionQuestion, Convert, Mutate, Validate } from './webhook/review.js';
export { type WebhookServer, type WebhookServerOptions, webhookServer } from './webhook/webhook-server.js';
