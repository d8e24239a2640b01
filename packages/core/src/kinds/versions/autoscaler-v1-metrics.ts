/**
 * Metrics of autoscaling/v2 in the form in which the annotations of autoscaling/v1 hold them, and back: targets and values stand
 * flat beside the metric's name. Source: autoscaling/v1 `MetricSpec`, `MetricStatus` and conversion (v0.33).
 *
 * A value that the old form has no field for is written all the same, under the name that it would have: nothing is lost.
 */
import type { autoscalingv2 } from '../generated/types/index.js';

type Flat = Record<string, any>;
type Source = keyof Omit<autoscalingv2.MetricSpec, 'type'>;

/** The member that holds a metric of each type. */
const sourceOf: Readonly<Record<string, Source>> = {
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
  External: 'external',
};
const selectorName = (source: Source): string => (source === 'external' ? 'metricSelector' : 'selector');

/** `value` -> `targetValue`; an object's average is `averageValue` alone. */
const flatName = (prefix: 'target' | 'current', source: Source, name: string): string =>
  source === 'object' && name === 'averageValue' ? name : `${prefix}${name[0]!.toUpperCase()}${name.slice(1)}`;

const valueNames = ['value', 'averageValue', 'averageUtilization'] as const;

function flatten(prefix: 'target' | 'current', metric: Flat, values: 'target' | 'current'): Flat {
  const made: Flat = { type: metric['type'] };
  for (const source of Object.values(sourceOf)) {
    const of: Flat | undefined = metric[source];
    if (of === undefined) continue;
    const flat: Flat = {};
    if (of['describedObject'] !== undefined) flat['target'] = of['describedObject'];
    if (of['metric'] !== undefined) {
      flat['metricName'] = of['metric'].name;
      if (of['metric'].selector !== undefined) flat[selectorName(source)] = of['metric'].selector;
    }
    if (of['name'] !== undefined) flat['name'] = of['name'];
    if (of['container'] !== undefined) flat['container'] = of['container'];
    const held: Flat = of[values] ?? {};
    for (const name of valueNames) if (held[name] !== undefined) flat[flatName(prefix, source, name)] = held[name];
    if (held['type'] !== undefined && held['type'] !== typeOf(held)) flat['targetType'] = held['type'];
    made[source] = flat;
  }
  return made;
}

function unflatten(prefix: 'target' | 'current', metric: Flat, values: 'target' | 'current'): Flat {
  const made: Flat = { type: metric['type'] };
  for (const source of Object.values(sourceOf)) {
    const flat: Flat | undefined = metric[source];
    if (typeof flat !== 'object' || flat === null) continue;
    const of: Flat = {};
    if (flat['target'] !== undefined) of['describedObject'] = flat['target'];
    if (flat['metricName'] !== undefined) {
      of['metric'] = { name: flat['metricName'] };
      const selector = flat[selectorName(source)];
      if (selector !== undefined && selector !== null) of['metric'].selector = selector;
    }
    if (flat['name'] !== undefined) of['name'] = flat['name'];
    if (flat['container'] !== undefined) of['container'] = flat['container'];
    const held: Flat = {};
    for (const name of valueNames) {
      const value = flat[flatName(prefix, source, name)];
      if (value !== undefined && value !== null) held[name] = value;
    }
    // A value that Kubernetes' own form cannot leave out.
    if (source === 'object' && held['value'] === '0' && held['averageValue'] !== undefined) delete held['value'];
    of[values] = values === 'target' ? { type: flat['targetType'] ?? typeOf(held), ...held } : held;
    made[source] = of;
  }
  return made;
}

function typeOf(held: Flat): string {
  if (held['averageUtilization'] !== undefined) return 'Utilization';
  return held['averageValue'] !== undefined ? 'AverageValue' : 'Value';
}

export const metricToV1 = (metric: autoscalingv2.MetricSpec): Flat => flatten('target', metric, 'target');
export const metricFromV1 = (flat: Flat): autoscalingv2.MetricSpec =>
  unflatten('target', flat, 'target') as autoscalingv2.MetricSpec;
export const statusToV1 = (metric: autoscalingv2.MetricStatus): Flat => flatten('current', metric, 'current');
export const statusFromV1 = (flat: Flat): autoscalingv2.MetricStatus =>
  unflatten('current', flat, 'current') as autoscalingv2.MetricStatus;
