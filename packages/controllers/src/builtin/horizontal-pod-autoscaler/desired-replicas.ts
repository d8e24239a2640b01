/**
 * The decision of a HorizontalPodAutoscaler, as a pure function: what is known goes in; how many replicas there should be, what to say about
 * it and what to remember come out. See metric-proposal for the arithmetic of one metric and scaling-rules for that of time.
 *
 * - Of several metrics the largest proposal holds. One that cannot be computed stops a scale down, not a scale up.
 * - A target with no replicas is left alone; one outside of its bounds is brought within at once, and no metric is asked.
 *
 * Source of the rules, reasons and messages: kube-controller-manager `horizontal.go` (1.33).
 */
import { type autoscalingv2, type HorizontalPodAutoscaler, Quantity, setCondition } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import { messageOf } from '../../refusals.js';
import {
  type MetricFacts,
  type MetricProposal,
  type MetricReading,
  type MetricSpec,
  proposalOf,
} from './metric-proposal.js';
import { byPolicies, newMemory, type Pace, type ScalingMemory, stabilized } from './scaling-rules.js';

export type AutoscalerSpec = DeepReadonly<HorizontalPodAutoscaler['spec']>;
type Condition = autoscalingv2.HorizontalPodAutoscalerCondition;

/** Why no metric can be asked: the target's selector. */
export interface SelectorProblem {
  readonly reason: 'InvalidSelector' | 'AmbiguousSelector';
  readonly message: string;
}

/** Everything that a decision hangs on. Times are milliseconds since 1970. */
export interface AutoscalerInput extends Omit<MetricFacts, 'tolerance'> {
  readonly spec: AutoscalerSpec;
  readonly conditions?: readonly Condition[] | undefined;
  /** One a metric of the spec, in its order; needed when {@link asksMetrics}. */
  readonly readings: readonly MetricReading[] | SelectorProblem;
  readonly memory?: ScalingMemory | undefined;
  /** Share of the target within which nothing changes, where `behavior` does not say. */
  readonly tolerance: number;
  readonly downscaleStabilizationMs: number;
  /** How far one step may go. Default: upstream's policies. */
  readonly pace?: Pace | undefined;
}

/** What an autoscaler wants, and what it says of it. */
export interface AutoscalerDecision {
  /** What the target should have; the present number when there is nothing to do. */
  readonly replicas: number;
  /** Why it differs from the present number. */
  readonly reason: string;
  /** One a metric; undefined when none was asked. */
  readonly currentMetrics: autoscalingv2.MetricStatus[] | undefined;
  readonly conditions: Condition[];
  /** Warnings for people. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
  /** Some metric could not be computed; it was scaled all the same unless `replicas` is the present number. */
  readonly failure: string | undefined;
  /** False when no number came out: the last one that did stays in the status. */
  readonly decided: boolean;
  readonly memory: ScalingMemory;
}

/** Whether the decision depends on metrics at all. */
export function asksMetrics({ minReplicas = 1, maxReplicas }: AutoscalerSpec, replicas: number): boolean {
  if (replicas === 0 && minReplicas !== 0) return false;
  return replicas >= minReplicas && replicas <= maxReplicas;
}

const getFailed: Record<string, string> = {
  Object: 'FailedGetObjectMetric',
  Pods: 'FailedGetPodsMetric',
  Resource: 'FailedGetResourceMetric',
  ContainerResource: 'FailedGetContainerResourceMetric',
  External: 'FailedGetExternalMetric',
};

/** The decision; the same input gives the same answer. What has to be remembered is in the answer. */
export function desiredReplicas(input: AutoscalerInput): AutoscalerDecision {
  const { spec, replicas: current, now } = input;
  const { minReplicas: min = 1, maxReplicas: max } = spec;
  const memory = input.memory ?? newMemory(current, now);
  let conditions = [...(input.conditions ?? [])];
  const say = (type: Condition['type'], status: 'True' | 'False', reason: string, message: string) => {
    conditions = setCondition(conditions, { type, status, reason, message }, now);
  };
  const settled = (replicas: number, reason: string): AutoscalerDecision => ({
    replicas,
    reason,
    currentMetrics: undefined,
    conditions,
    warnings: [],
    failure: undefined,
    decided: true,
    memory,
  });

  say('AbleToScale', 'True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale");
  if (current === 0 && min !== 0) {
    say(
      'ScalingActive',
      'False',
      'ScalingDisabled',
      'scaling is disabled since the replica count of the target is zero',
    );
    return settled(0, '');
  }
  if (current > max) return settled(max, 'Current number of replicas above Spec.MaxReplicas');
  if (current < min) return settled(min, 'Current number of replicas below Spec.MinReplicas');

  const asked = askMetrics(input);
  const { failure, warnings, currentMetrics } = asked;
  if (!asked.best) {
    say('ScalingActive', 'False', asked.problem!.reason, asked.problem!.message);
    const last = { reason: 'FailedComputeMetricsReplicas', message: failure! };
    return { ...settled(current, ''), currentMetrics, warnings: [...warnings, last], failure, decided: false };
  }
  const { replicas: wanted, name } = asked.best;
  const found = `the HPA was able to successfully calculate a replica count from ${name}`;
  say('ScalingActive', 'True', 'ValidMetricFound', found);

  const bounds = { ...input, current, min, max, behavior: spec.behavior };
  const stable = stabilized(wanted, bounds, memory);
  say('AbleToScale', 'True', stable.reason, stable.message);
  const limit = (input.pace ?? byPolicies)(stable.replicas, bounds, memory);
  say('ScalingLimited', limit.replicas === stable.replicas ? 'False' : 'True', limit.reason, limit.message);

  const reason = wanted > current ? `${name} above target` : wanted < current ? 'All metrics below target' : '';
  return { ...settled(limit.replicas, reason), currentMetrics, warnings, failure, memory: stable.memory };
}

interface Asked {
  best: MetricProposal | undefined;
  /** What the condition says when there is no best. */
  problem: { reason: string; message: string } | undefined;
  failure: string | undefined;
  warnings: { reason: string; message: string }[];
  currentMetrics: autoscalingv2.MetricStatus[];
}

/** The largest of the metrics' proposals, unless one that failed might have asked for more. */
function askMetrics(input: AutoscalerInput): Asked {
  const { spec, readings, replicas: current } = input;
  const metrics = spec.metrics ?? [];
  if (!isReadings(readings)) {
    return { best: undefined, problem: readings, failure: readings.message, warnings: [readings], currentMetrics: [] };
  }
  const facts: MetricFacts = { ...input, tolerance: tolerancesOf(spec, input.tolerance) };
  let best: MetricProposal | undefined;
  let failed: { reason: string; message: string; error: string } | undefined;
  let failures = 0;
  const warnings: Asked['warnings'] = [];
  const currentMetrics = metrics.map((metric, index): autoscalingv2.MetricStatus => {
    try {
      const proposal = proposalOf(metric, readings[index] ?? { error: new Error('it was not asked for') }, facts);
      if (!best || proposal.replicas > best.replicas) best = proposal;
      return proposal.status;
    } catch (error) {
      failures += 1;
      const reason = getFailed[metric.type] ?? 'InvalidMetricSourceType';
      const message = `failed to get ${titleOf(metric)} value: ${messageOf(error)}`;
      warnings.push({ reason, message });
      failed ??= { reason, message: `the HPA was unable to compute the replica count: ${message}`, error: message };
      // As upstream: an entry that says nothing keeps the others at their places.
      return { type: '' };
    }
  });
  const failure =
    failed && `invalid metrics (${failures} invalid out of ${metrics.length}), first error is: ${failed.error}`;
  const blocked = failures > 0 && (!best || (best as MetricProposal).replicas < current);
  if (blocked) best = undefined;
  const none = { reason: 'InvalidMetricSourceType', message: 'the autoscaler names no metric' };
  return {
    best,
    problem: best ? undefined : (failed ?? none),
    failure: failure ?? (best ? undefined : none.message),
    warnings,
    currentMetrics,
  };
}

const isReadings = (readings: AutoscalerInput['readings']): readings is readonly MetricReading[] =>
  Array.isArray(readings);

function titleOf(metric: MetricSpec): string {
  if (metric.type === 'Resource') return `${metric.resource?.name} resource metric`;
  if (metric.type === 'ContainerResource') return `${metric.containerResource?.name} container metric`;
  if (metric.type === 'Pods') return 'pods metric';
  if (metric.type === 'Object') return 'object metric';
  return metric.type === 'External' ? `${metric.external?.metric.name} external metric` : 'metric';
}

function tolerancesOf({ behavior }: AutoscalerSpec, otherwise: number): MetricFacts['tolerance'] {
  const of = (amount: string | number | undefined) =>
    amount === undefined ? otherwise : Quantity.parse(amount).toNumber();
  return { up: of(behavior?.scaleUp?.tolerance), down: of(behavior?.scaleDown?.tolerance) };
}
