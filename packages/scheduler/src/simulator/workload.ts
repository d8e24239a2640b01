/**
 * The pods of a simulation: each with its time of arrival, its life once it runs, and a template that pods of one shape share.
 *
 * A workload is drawn once and given to every policy, so that they are compared over the same pods.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { minMemberAnnotation, podGroupLabel } from '../plugins/gang.js';
import { type ArrivalProcess, arrivalTimes, drawLifetime, type Lifetime } from './arrivals.js';
import { seededRandom } from './random.js';

export type ResourceList = Record<string, string | number>;

/** What pods of one shape have in common. */
export interface PodTemplate {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: corev1.PodSpec;
}

/** One pod to come. */
export interface Arrival {
  /** Seconds since the start. */
  readonly at: number;
  readonly name: string;
  /** Whose it is: fairness is between groups. */
  readonly group: string;
  /** How long it runs once it is placed; Infinity: to the end. */
  readonly seconds: number;
  readonly template: PodTemplate;
  /** Share of its requests that it really uses; what metrics tell load-aware policies. Default 1. */
  readonly usage?: number;
  /** Seconds at which its owner deletes it, whether it runs or waits. */
  readonly deletedAt?: number;

  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PodShape {
  readonly requests: ResourceList;
  /** Share among the shapes. Default 1. */
  readonly weight?: number;
}

/** Pods by chance. */
export interface GeneratedWorkload {
  readonly group: string;
  readonly arrivals: ArrivalProcess;
  readonly lifetime: Lifetime;
  readonly shapes: readonly PodShape[];
  /** No more pods than this. Default: until the end. */
  readonly count?: number;
  /** Seconds at which the first may come. Default 0. */
  readonly start?: number;
  readonly priority?: number;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Share of its requests that a pod really uses: normal, never below 0. Default: all of them. */
  readonly usage?: { readonly mean: number; readonly deviation?: number };
  /** So many pods come together and are to be placed all or none (policies with `gang()`). */
  readonly gang?: number;
  /** The rest of the pod spec: affinity, tolerations, topologySpreadConstraints, … */
  readonly spec?: Partial<corev1.PodSpec>;
}

/** Generated, or pod by pod (a trace). */
export type Workload = GeneratedWorkload | { readonly pods: readonly Arrival[] };

export interface TemplateOptions {
  readonly requests: ResourceList;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly spec?: Partial<corev1.PodSpec>;
}

/** What pods of one kind share: one container that asks for these resources. */
export function podTemplate({ requests, namespace, labels, priority, spec }: TemplateOptions): PodTemplate {
  const container = {
    name: 'main',
    image: 'simulated',
    resources: { requests: Object.fromEntries(Object.entries(requests).map(([name, amount]) => [name, `${amount}`])) },
  };
  return {
    namespace: namespace ?? 'default',
    labels: labels ?? {},
    spec: {
      schedulerName: 'default-scheduler',
      ...(priority === undefined ? {} : { priority }),
      ...spec,
      containers: spec?.containers?.length ? spec.containers : [container],
    },
  };
}

/** All pods that come before `until`, in their order. */
export function drawWorkload(workload: readonly Workload[], seed: number, until: number): Arrival[] {
  const all = workload.flatMap((each, i) =>
    'pods' in each ? each.pods.filter(({ at }) => at < until) : generate(each, i, seed, until),
  );
  // A stable sort: those of one instant stay in the order they were given.
  return all.sort((a, b) => a.at - b.at);
}

function generate(source: GeneratedWorkload, index: number, seed: number, until: number): Arrival[] {
  const name = `workload/${index}/${source.group}`;
  const times = seededRandom(seed, `${name}/times`);
  const lives = seededRandom(seed, `${name}/lives`);
  const shapes = seededRandom(seed, `${name}/shapes`);
  const uses = seededRandom(seed, `${name}/usage`);
  const weights = source.shapes.map(shape => shape.weight ?? 1);
  const templates = source.shapes.map(({ requests }) =>
    podTemplate({ ...source, requests, labels: { group: source.group, ...source.labels } }),
  );
  const limit = source.count ?? Number.POSITIVE_INFINITY;
  const size = source.gang ?? 1;
  const arrivals: Arrival[] = [];
  for (const at of arrivalTimes(source.arrivals, times, source.start ?? 0)) {
    if (at >= until || arrivals.length >= limit) break;
    const template = templates[shapes.pick(weights)]!;
    const seconds = drawLifetime(source.lifetime, lives);
    const first = arrivals.length;
    const gang = `${source.group}-${index}-${first}`;
    // Members of a gang are of one shape and end together, if they begin together.
    for (let i = 0; i < size && arrivals.length < limit; i++)
      arrivals.push({
        at,
        name: `${source.group}-${index}-${first + i}`,
        group: source.group,
        seconds,
        template,
        ...(source.usage
          ? { usage: Math.max(0, source.usage.mean + (source.usage.deviation ?? 0) * uses.normal()) }
          : {}),
        ...(size > 1
          ? {
              labels: { ...template.labels, [podGroupLabel]: gang },
              annotations: { [minMemberAnnotation]: `${Math.min(size, limit - first)}` },
            }
          : {}),
      });
  }
  return arrivals;
}

/** The pod as the API would have it when it comes. `life` counts its replacements. */
export function podOf(arrival: Arrival, index: number, life: number, now: number): Pod {
  const { template, name } = arrival;
  const { annotations } = arrival;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: life === 0 ? name : `${name}-${life}`,
      namespace: template.namespace,
      uid: `${index}.${life}`,
      resourceVersion: '1',
      creationTimestamp: new Date(now).toISOString(),
      labels: (arrival.labels ?? template.labels) as Record<string, string>,
      ...(annotations ? { annotations: annotations as Record<string, string> } : {}),
    },
    spec: template.spec,
    status: { phase: 'Pending' },
  };
}
