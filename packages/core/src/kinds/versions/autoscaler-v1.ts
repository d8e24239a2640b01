/**
 * HorizontalPodAutoscaler v1, stored as v2. v1 knows CPU utilisation alone; what else v2 says stands in annotations, in the form
 * that Kubernetes gives them, so that a client of v1 changes what it knows and keeps the rest. Source: autoscaling/v1 conversion (v0.33).
 *
 * More exact than there: when CPU utilisation is not the last metric, the annotation holds it too, as a mark of its place.
 */
import type { KubeObject } from '../../meta/object.js';
import type { autoscalingv1, autoscalingv2 } from '../generated/types/index.js';
import type { StorageForm } from '../kind.js';
import { metricFromV1, metricToV1, statusFromV1, statusToV1 } from './autoscaler-v1-metrics.js';

const annotation = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
} as const;
type Part = keyof typeof annotation;

type V1 = autoscalingv1.HorizontalPodAutoscaler;
type V2 = autoscalingv2.HorizontalPodAutoscaler;
type Metric = autoscalingv2.MetricSpec;
type MetricStatus = autoscalingv2.MetricStatus;

const isCpuShare = (metric: Metric): boolean =>
  metric.type === 'Resource' &&
  metric.resource?.name === 'cpu' &&
  metric.resource.target?.averageUtilization !== undefined;

const isCpuStatus = (metric: MetricStatus): boolean =>
  metric.type === 'Resource' &&
  metric.resource?.name === 'cpu' &&
  metric.resource.current?.averageUtilization !== undefined;

const cpuShare = (averageUtilization: number): Metric => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});

/** Names of Go's fields: the annotation was first written from a type without JSON names. */
const firstLetters = (value: unknown, change: (letter: string) => string): unknown => {
  if (Array.isArray(value)) return value.map(each => firstLetters(each, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null)
      .map(([name, each]) => [change(name.slice(0, 1)) + name.slice(1), firstLetters(each, change)]),
  );
};
const goNames = (value: unknown): unknown => firstLetters(value, letter => letter.toUpperCase());
const jsonNames = (value: unknown): unknown => firstLetters(value, letter => letter.toLowerCase());

function fromStorage(object: Readonly<KubeObject>): V1 {
  const { spec, status, ...rest } = object as unknown as Readonly<V2>;
  const kept: Partial<Record<Part, unknown>> = {};
  const made = { ...rest, apiVersion: 'autoscaling/v1', metadata: { ...object.metadata } } as unknown as V1;
  if (spec !== undefined) {
    const { metrics, behavior, ...same } = spec;
    made.spec = { ...same };
    const cpu = metrics?.findIndex(isCpuShare) ?? -1;
    if (cpu >= 0) made.spec.targetCPUUtilizationPercentage = metrics![cpu]!.resource!.target.averageUtilization!;
    const others = cpu >= 0 && cpu === metrics!.length - 1 ? metrics!.slice(0, -1) : (metrics ?? []);
    if (others.length > 0) kept.metrics = others.map(metricToV1);
    if (behavior !== undefined) kept.behavior = goNames(behavior);
  }
  if (status !== undefined) {
    const { currentMetrics, conditions, ...same } = status;
    // Always there in v1.
    made.status = { ...same, currentReplicas: same.currentReplicas ?? 0 };
    const cpu = currentMetrics?.find(isCpuStatus);
    if (cpu) made.status.currentCPUUtilizationPercentage = cpu.resource!.current.averageUtilization!;
    if (currentMetrics?.length) kept.currentMetrics = currentMetrics.map(statusToV1);
    if (conditions?.length) kept.conditions = conditions;
  }
  const annotations = Object.entries(kept).map(([part, value]) => [annotation[part as Part], JSON.stringify(value)]);
  if (annotations.length > 0)
    made.metadata.annotations = { ...object.metadata.annotations, ...Object.fromEntries(annotations) };
  return made;
}

/** What the annotation says; one that cannot be read says nothing (as there). */
function take<T>(annotations: Record<string, string> | undefined, part: Part): T | undefined {
  const text = annotations?.[annotation[part]];
  if (text === undefined) return undefined;
  delete annotations![annotation[part]];
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && Array.isArray(value) === (part !== 'behavior')
      ? (value as T)
      : undefined;
  } catch {
    return undefined;
  }
}

function toStorage(object: V1): KubeObject {
  const { spec, status, metadata, ...rest } = object;
  const annotations = metadata?.annotations;
  const made = { ...rest, apiVersion: 'autoscaling/v2' } as unknown as V2;
  if (metadata !== undefined) made.metadata = metadata;
  const others = take<Record<string, any>[]>(annotations, 'metrics')?.map(metricFromV1);
  const behavior = take(annotations, 'behavior');
  const current = take<Record<string, any>[]>(annotations, 'currentMetrics')?.map(statusFromV1);
  const conditions = take<autoscalingv2.HorizontalPodAutoscalerCondition[]>(annotations, 'conditions');
  if (annotations && Object.keys(annotations).length === 0) delete metadata.annotations;
  if (spec !== undefined) {
    const { targetCPUUtilizationPercentage: cpu, ...same } = spec;
    made.spec = { ...same };
    const metrics = withCpu(others ?? [], cpu);
    if (metrics.length > 0) made.spec.metrics = metrics;
    if (behavior !== undefined)
      made.spec.behavior = jsonNames(behavior) as autoscalingv2.HorizontalPodAutoscalerBehavior;
  }
  if (status !== undefined) {
    const { currentCPUUtilizationPercentage: cpu, ...same } = status;
    made.status = { ...same } as unknown as V2['status'];
    const known = current?.find(isCpuStatus);
    if (known && cpu !== undefined) known.resource!.current.averageUtilization = cpu;
    if (current !== undefined) made.status.currentMetrics = current;
    else if (cpu !== undefined)
      made.status.currentMetrics = [
        { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: cpu } } },
      ];
    if (conditions !== undefined) made.status.conditions = conditions;
  }
  return made as unknown as KubeObject;
}

/** The field of v1 has the say about CPU utilisation: where it is marked, else at the end. */
function withCpu(metrics: readonly Metric[], cpu: number | undefined): Metric[] {
  const at = metrics.findIndex(isCpuShare);
  if (cpu === undefined) return metrics.filter((_, index) => index !== at);
  if (at < 0) return [...metrics, cpuShare(cpu)];
  return metrics.map((metric, index) =>
    index === at
      ? {
          ...metric,
          resource: { ...metric.resource!, target: { ...metric.resource!.target, averageUtilization: cpu } },
        }
      : metric,
  );
}

export const autoscalerV1: Omit<StorageForm<V1>, 'kind'> = { toStorage, fromStorage };
