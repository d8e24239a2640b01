/** @orbitkit/scheduler: decide where. */

export { commit, rollback } from './commit.js';
export { type SchedulingDecision, schedulingDecisions } from './decisions/refs.js';
export { type DeschedulerComponent, type DeschedulerOptions, descheduler } from './descheduler/descheduler.js';
export type { EvictorOptions } from './descheduler/evictor.js';
export {
  type DeschedulePass,
  type DescheduleStrategy,
  type PlannedEviction,
  type PlanOptions,
  planEvictions,
} from './descheduler/plan.js';
export {
  removeDuplicates,
  removePodsViolatingTopologySpreadConstraint,
  type SpreadViolationOptions,
} from './descheduler/spread.js';
export { highNodeUtilization, lowNodeUtilization, type Thresholds } from './descheduler/utilization.js';
export {
  type NodeTaintsOptions,
  removePodsViolatingInterPodAntiAffinity,
  removePodsViolatingNodeAffinity,
  removePodsViolatingNodeTaints,
} from './descheduler/violations.js';
export {
  type Explanation,
  explain,
  explanationOf,
  explanationText,
  type NodeVerdict,
  refusalsByNode,
} from './explain.js';
export { type ExplainPodOptions, explainPod } from './explain-pod.js';
export type { ExtenderConfig } from './extender/config.js';
export { type ExtenderOfOptions, extenderOf } from './extender/extender-of.js';
export {
  type ExtenderBindQuestion,
  type ExtenderFilterReply,
  type ExtenderHandler,
  type ExtenderPreemptQuestion,
  type ExtenderQuestion,
  type ExtenderServerOptions,
  type ExtenderVerbs,
  type ExtenderVictims,
  extenderServer,
} from './extender/server.js';
export { pluginProblem } from './framework/check-plugin.js';
export type * from './framework/event.js';
export type { SchedulerHandle } from './framework/handle.js';
export type * from './framework/plugin.js';
export { type Profile, type ProfileOptions, profile } from './framework/profile.js';
export type * from './framework/rules.js';
export type { DecisionLog, DecisionRecord } from './live/decision-log.js';
export { type AcceleratorPackingOptions, acceleratorPacking } from './plugins/accelerator-packing.js';
export { balancedAllocation } from './plugins/balanced-allocation.js';
export { type ConsistentHashOptions, consistentHash } from './plugins/consistent-hash.js';
export { type DefaultPreemptionOptions, defaultPreemption } from './plugins/default-preemption.js';
export { type FirstFitShardOptions, firstFitShard, rendezvousShard } from './plugins/first-fit-shard.js';
export { type GangOptions, gang, minMemberAnnotation, podGroupLabel } from './plugins/gang.js';
export { imageLocality } from './plugins/image-locality.js';
export { type InterPodAffinityOptions, interPodAffinity } from './plugins/inter-pod-affinity.js';
export { leastConnections } from './plugins/least-connections.js';
export { type LoadVariationRiskOptions, loadVariationRisk, riskScore } from './plugins/load-variation-risk.js';
export { type NodeAffinityOptions, nodeAffinity } from './plugins/node-affinity.js';
export { nodeName } from './plugins/node-name.js';
export { nodePorts } from './plugins/node-ports.js';
export { nodeReady } from './plugins/node-ready.js';
export { nodeUnschedulable } from './plugins/node-unschedulable.js';
export { nodeVolumeLimits } from './plugins/node-volume-limits.js';
export { powerOfTwo } from './plugins/power-of-two.js';
export { prioritySort } from './plugins/priority-sort.js';
export { randomNode } from './plugins/random-node.js';
export { type ResourceFitOptions, resourceFit, type ScoringStrategy } from './plugins/resource-fit.js';
export { type RoundRobinOptions, roundRobin } from './plugins/round-robin.js';
export { schedulingGates } from './plugins/scheduling-gates.js';
export { taintToleration } from './plugins/taint-toleration.js';
export { packingScore, type TargetLoadPackingOptions, targetLoadPacking } from './plugins/target-load-packing.js';
export { type SpreadConstraint, type TopologySpreadOptions, topologySpread } from './plugins/topology-spread.js';
export { volumeBinding } from './plugins/volume-binding.js';
export { volumeRestrictions } from './plugins/volume-restrictions.js';
export { volumeZone } from './plugins/volume-zone.js';
export { type WeightedRoundRobinOptions, weightedRoundRobin } from './plugins/weighted-round-robin.js';
export { defaultPlugins, type MiniK8sOptions, miniK8sPlugins, withoutScore } from './profiles.js';
export {
  type PoppedPod,
  type SchedulingQueue,
  type SchedulingQueueOptions,
  schedulingQueue,
} from './queue/scheduling-queue.js';
export {
  type Decision,
  type ExtenderVerdict,
  type NodeScore,
  type ScheduleOptions,
  schedule,
  summaryOf,
} from './schedule.js';
export { type SchedulerComponent, type SchedulerOptions, scheduler } from './scheduler.js';
export { ClusterState } from './snapshot/cluster-state.js';
export { isReady, isUsable, type NodeInfo } from './snapshot/node-info.js';
export { type LoadSample, type NodeLoad, NodeLoads, type NodeLoadsOptions } from './snapshot/node-loads.js';
export { requestsOf } from './snapshot/resources.js';
export { type Snapshot, snapshotOf } from './snapshot/snapshot.js';
