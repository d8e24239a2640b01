/**
 * How many replicas one metric asks for: `ceil(pods × measured / wanted)`, and no change while the ratio is within the tolerance.
 *
 * - Pods that nobody measured count as if they changed nothing: as using all they requested (or the target, when that is more) when the others
 *   ask for fewer, as using nothing when the others ask for more. Pods that are not up count as using nothing when more are asked for.
 *   When that turns the direction round, nothing changes.
 *   Exactly at the target they are left out (upstream takes those of a metric of pods for idle then, and scales down).
 * - A metric that cannot be computed throws; its message goes into the condition `ScalingActive`.
 *
 * Pure. Source of the rules: kube-controller-manager `replica_calculator.go` (1.33); requests of the pod as a whole (`spec.resources`) count as in 1.34.
 */
import { type autoscalingv2, Quantity } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import { isPodReady, type PodView } from '../../pods/pod-state.js';
import type { PodMeasures } from './autoscaler-metrics.js';
import { groupPods, type PodGroupOptions } from './pod-groups.js';

export type MetricSpec = DeepReadonly<autoscalingv2.MetricSpec>;
type Target = DeepReadonly<autoscalingv2.MetricTarget>;

/** What a source answered for one metric. */
export type MetricReading =
  | { readonly measures: PodMeasures }
  /** In thousandths. Of an external metric, the sum over its series. */
  | { readonly value: number }
  | { readonly error: Error };

export interface MetricFacts extends PodGroupOptions {
  /** `spec.replicas` of the scale. */
  readonly replicas: number;
  /** `status.replicas` of the scale: pods that are there. */
  readonly observed: number;
  /** The pods that the scale's selector finds. */
  readonly pods: readonly PodView[];
  /** Shares around 1 within which a ratio changes nothing. */
  readonly tolerance: { readonly up: number; readonly down: number };
  readonly now: number;
}

export interface MetricProposal {
  readonly replicas: number;
  /** In the message of the rescaling. */
  readonly name: string;
  readonly status: autoscalingv2.MetricStatus;
}

const quantityOf = (milli: number): string => Quantity.ofMilli(Math.trunc(milli)).toString();
const milliOf = (amount: string | number): number => Number(Quantity.parse(amount).milliValue());

/** @throws Error that says why there is no number. */
export function proposalOf(metric: MetricSpec, reading: MetricReading, facts: MetricFacts): MetricProposal {
  if ('error' in reading) throw reading.error;
  switch (metric.type) {
    case 'Resource': {
      const { name, target } = metric.resource!;
      const { replicas, current } = resourceProposal(name, undefined, target, measuresOf(reading), facts);
      const what = target.averageValue === undefined ? ' utilization (percentage of request)' : '';
      return { replicas, name: `${name} resource${what}`, status: { type: metric.type, resource: { name, current } } };
    }
    case 'ContainerResource': {
      const { name, container, target } = metric.containerResource!;
      const { replicas, current } = resourceProposal(name, container, target, measuresOf(reading), facts);
      const what = target.averageValue === undefined ? ' utilization (percentage of request)' : '';
      return {
        replicas,
        name: `${name} container resource${what}`,
        status: { type: metric.type, containerResource: { name, container, current } },
      };
    }
    case 'Pods': {
      const { metric: identifier, target } = metric.pods!;
      const { replicas, mean } = plainProposal(
        undefined,
        milliOf(target.averageValue ?? 0),
        measuresOf(reading),
        facts,
      );
      return {
        replicas,
        name: `pods metric ${identifier.name}`,
        status: {
          type: metric.type,
          pods: { metric: copyOf(identifier), current: { averageValue: quantityOf(mean) } },
        },
      };
    }
    case 'Object': {
      const { metric: identifier, describedObject, target } = metric.object!;
      const { replicas, current } = valueProposal(target, soleValueOf(reading), facts);
      return {
        replicas,
        name: `${describedObject.kind} metric ${identifier.name}`,
        status: {
          type: metric.type,
          object: { metric: copyOf(identifier), describedObject: { ...describedObject }, current },
        },
      };
    }
    case 'External': {
      const { metric: identifier, target } = metric.external!;
      const { replicas, current } = valueProposal(target, soleValueOf(reading), facts);
      return {
        replicas,
        name: `external metric ${identifier.name}`,
        status: { type: metric.type, external: { metric: copyOf(identifier), current } },
      };
    }
    default:
      throw new Error(`unknown metric source type "${metric.type}"`);
  }
}

function measuresOf(reading: Exclude<MetricReading, { error: Error }>): PodMeasures {
  if ('measures' in reading) return reading.measures;
  throw new Error('the metric source answered one value where one for each pod is needed');
}
function soleValueOf(reading: Exclude<MetricReading, { error: Error }>): number {
  if ('value' in reading) return reading.value;
  throw new Error('the metric source answered values of pods where one value is needed');
}
const copyOf = (identifier: DeepReadonly<autoscalingv2.MetricIdentifier>) =>
  structuredClone(identifier) as autoscalingv2.MetricIdentifier;

function resourceProposal(
  resource: string,
  container: string | undefined,
  target: Target,
  measures: PodMeasures,
  facts: MetricFacts,
): { replicas: number; current: autoscalingv2.MetricValueStatus } {
  if (target.averageValue !== undefined) {
    const { replicas, mean } = plainProposal(resource, milliOf(target.averageValue), measures, facts);
    return { replicas, current: { averageValue: quantityOf(mean) } };
  }
  const wanted = target.averageUtilization;
  if (wanted === undefined) {
    throw new Error('invalid resource metric source: neither a utilization target nor a value target was set');
  }
  const { known, ...groups } = grouped(resource, measures, facts);
  const requests = requestsOf(facts.pods, resource, container);
  const utilization = (of: ReadonlyMap<string, number>) => {
    let [used, requested, count] = [0, 0, 0];
    for (const [pod, milli] of of) {
      const request = requests.get(pod);
      if (request === undefined) continue;
      used += milli;
      requested += request;
      count += 1;
    }
    if (requested === 0) throw new Error('no metrics returned matched known pods');
    const percent = Math.trunc((used * 100) / requested);
    return { ratio: percent / wanted, percent, mean: Math.trunc(used / count) };
  };
  const measured = utilization(known);
  // A pod that nobody measured uses all it asked for; where the target is above that, as much as the target.
  const most = Math.max(100, wanted);
  const replicas = replicasFor(known, groups, facts, {
    ratio: of => utilization(of).ratio,
    asIfBusy: pod => Math.trunc(((requests.get(pod) ?? 0) * most) / 100),
  });
  return { replicas, current: { averageUtilization: measured.percent, averageValue: quantityOf(measured.mean) } };
}

/** Against an amount for each pod. */
function plainProposal(resource: string | undefined, wanted: number, measures: PodMeasures, facts: MetricFacts) {
  const { known, ...groups } = grouped(resource, measures, facts);
  const mean = (of: ReadonlyMap<string, number>) =>
    Math.trunc([...of.values()].reduce((sum, milli) => sum + milli, 0) / of.size);
  const measured = mean(known);
  const replicas = replicasFor(known, groups, facts, {
    ratio: of => mean(of) / wanted,
    asIfBusy: () => wanted,
  });
  return { replicas, mean: measured };
}

function grouped(resource: string | undefined, measures: PodMeasures, facts: MetricFacts) {
  const { pods, now } = facts;
  if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
  const groups = groupPods(pods, measures, resource, now, facts);
  const known = new Map<string, number>();
  for (const [pod, { milli }] of measures) {
    if (!groups.unready.has(pod) && !groups.ignored.has(pod)) known.set(pod, milli);
  }
  if (known.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  return { known, ...groups };
}

interface Assumptions {
  ratio(of: ReadonlyMap<string, number>): number;
  /** What a pod that nobody measured uses when the others ask for fewer. */
  asIfBusy(pod: string): number;
}

function replicasFor(
  known: ReadonlyMap<string, number>,
  groups: { readyCount: number; unready: ReadonlySet<string>; missing: ReadonlySet<string> },
  { replicas, tolerance }: MetricFacts,
  { ratio, asIfBusy }: Assumptions,
): number {
  const first = ratio(known);
  const unreadyCount = groups.unready.size > 0 && first > 1;
  if (!unreadyCount && groups.missing.size === 0) {
    return tolerated(first, tolerance) ? replicas : Math.ceil(first * groups.readyCount);
  }
  const all = new Map(known);
  for (const pod of groups.missing) {
    if (first < 1) all.set(pod, asIfBusy(pod));
    else if (first > 1) all.set(pod, 0);
  }
  if (unreadyCount) for (const pod of groups.unready) all.set(pod, 0);
  const second = ratio(all);
  if (tolerated(second, tolerance) || (first < 1 && second > 1) || (first > 1 && second < 1)) return replicas;
  const wanted = Math.ceil(second * all.size);
  if ((second < 1 && wanted > replicas) || (second > 1 && wanted < replicas)) return replicas;
  return wanted;
}

const tolerated = (ratio: number, { up, down }: MetricFacts['tolerance']): boolean =>
  1 - down <= ratio && ratio <= 1 + up;

/** One value against a target for all, or for each pod. */
function valueProposal(target: Target, value: number, facts: MetricFacts) {
  const { replicas, observed, pods, tolerance } = facts;
  if (target.averageValue !== undefined) {
    const each = milliOf(target.averageValue);
    const within = tolerated(value / (each * observed), tolerance);
    const mean = observed === 0 ? 0 : Math.ceil(value / observed);
    return { replicas: within ? observed : Math.ceil(value / each), current: { averageValue: quantityOf(mean) } };
  }
  if (target.value === undefined) {
    throw new Error('invalid metric source: neither a value target nor an average value target was set');
  }
  const ratio = value / milliOf(target.value);
  const current = { value: quantityOf(value) };
  if (replicas === 0) return { replicas: Math.ceil(ratio), current };
  if (tolerated(ratio, tolerance)) return { replicas, current };
  if (pods.length === 0) throw new Error('unable to calculate ready pods: no pods returned by selector');
  const ready = pods.filter(pod => pod.status.phase === 'Running' && isPodReady(pod)).length;
  return { replicas: Math.ceil(ratio * ready), current };
}

/** What each pod asks for, in thousandths: of its containers and sidecars, or of the one container named. */
function requestsOf(pods: readonly PodView[], resource: string, container: string | undefined): Map<string, number> {
  const requests = new Map<string, number>();
  for (const pod of pods) {
    const whole = container === undefined ? pod.spec.resources?.requests?.[resource] : undefined;
    if (whole !== undefined) {
      requests.set(pod.metadata.name, milliOf(whole));
      continue;
    }
    const sidecars = (pod.spec.initContainers ?? []).filter(each => each.restartPolicy === 'Always');
    let sum = 0;
    for (const each of [...pod.spec.containers, ...sidecars]) {
      if (container !== undefined && each.name !== container) continue;
      const request = each.resources?.requests?.[resource];
      if (request === undefined) {
        throw new Error(`missing request for ${resource} in container ${each.name} of Pod ${pod.metadata.name}`);
      }
      sum += milliOf(request);
    }
    requests.set(pod.metadata.name, sum);
  }
  return requests;
}
