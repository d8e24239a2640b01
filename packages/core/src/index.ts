/** @orbitkit/core: what an object is, and how to reach one. */
export * from './apply/index.js';
export type * from './client/client.js';
export { type ClientOptions, createClient, queryOf } from './client/create-client.js';
export { type DiscoveredKind, discoverKinds, type KindResolver, kindResolver } from './client/discovery.js';
export * from './client/find-cluster.js';
export { type HttpTransportOptions, httpTransport } from './client/http-transport.js';
export { bytesAre, skipJsonValue, visitMembers } from './client/json-bytes.js';
export * from './client/kubeconfig.js';
export { forwardToPod, type PortForwardOptions } from './client/pod-port-forward.js';
export * from './client/pod-streams.js';
export {
  errorOfAnswer,
  type JsonRequest,
  type JsonRequestOptions,
  requestJson,
  warningText,
} from './client/request-json.js';
export { type MeasuredTransportOptions, measuredTransport } from './client/request-metrics.js';
export type * from './client/transport.js';
export { watchEvents } from './client/watch-stream.js';
export * from './clock/backoff.js';
export { type Clock, systemClock } from './clock/clock.js';
export { type ManualClock, manualClock } from './clock/manual-clock.js';
export { type Random, seededRandom, systemRandom } from './clock/random.js';
export type { ClientSource } from './component/client-slot.js';
export type { Component, ComponentContext, UserInfo } from './component/component.js';
export { type ComposeOptions, type Composition, compose, defaultUser } from './component/compose.js';
export type { Logger } from './component/log.js';
export { type LoggerOptions, type LogLevel, logger, silentLogger } from './component/logger.js';
export type { Counter, Gauge, Histogram, Metrics } from './component/metrics.js';
export { metrics } from './component/prometheus.js';
export type { ComponentState, ComponentStatus } from './component/supervise.js';
export { isUnrecoverable, unrecoverable } from './component/unrecoverable.js';
export * from './errors/status-error.js';
export * from './events/recorder.js';
export * from './events/series-recorder.js';
export { customDefaultColumns, defaultColumns } from './kinds/columns/column.js';
export { type PodSummary, summarizePod } from './kinds/columns/pod.js';
export { decodeStruct } from './kinds/decode.js';
export { pullPolicyOf } from './kinds/defaults/pod.js';
export { builtinSchema } from './kinds/facts.js';
export * from './kinds/generated/kinds.js';
export type * from './kinds/generated/types/index.js';
export * from './kinds/human-duration.js';
export * from './kinds/kind.js';
export { type OpenApiOptions, openApiV3 } from './kinds/openapi.js';
export { parseStrictJson, type StrictJson } from './kinds/parse-json.js';
export { cellTexts, type PrintTableOptions, printTable } from './kinds/print-table.js';
export * from './kinds/registry.js';
export { cronProblem } from './kinds/rules/cron-schedule.js';
export {
  cidrProblem,
  configKeyProblem,
  envNameProblem,
  ipProblem,
  isDns1035Label,
  isDnsLabel,
  isDnsSubdomain,
  isLabelValue,
  isQualifiedName,
  portNameProblem,
  portProblem,
} from './kinds/rules/forms.js';
export { metadataErrors } from './kinds/rules/metadata.js';
export { defaultNodePortRange } from './kinds/rules/service.js';
export type * from './kinds/schema.js';
export * from './kinds/table.js';
export { Eviction, Scale, TokenRequest } from './kinds/virtual.js';
export * from './meta/conditions.js';
export * from './meta/field-selector.js';
export * from './meta/finalizers.js';
export * from './meta/int-or-percent.js';
export * from './meta/label-selector.js';
export * from './meta/local-volumes.js';
export * from './meta/names.js';
export { matchesNodeTerm, selectsNode, tolerates } from './meta/node-selection.js';
export * from './meta/object.js';
export * from './meta/owner-references.js';
export * from './meta/quantity.js';
export * from './meta/time.js';
export { applyPatch, patchContentTypes } from './patch/apply-patch.js';
export { type Json, type JsonObject, jsonCopy, jsonEqual } from './patch/json.js';
export { applyJsonPatch } from './patch/json-patch.js';
export { applyMergePatch, createMergePatch, type ThreeWay } from './patch/merge-patch.js';
export { createStrategicPatch } from './patch/strategic-diff.js';
export { applyStrategicPatch } from './patch/strategic-patch.js';
export { podAmounts } from './quota/pod-amounts.js';
export { type QuotaUsage, quotaUsage, resourceOfQuotaName } from './quota/usage.js';
