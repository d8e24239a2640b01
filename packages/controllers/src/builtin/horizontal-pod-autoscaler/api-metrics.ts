/**
 * Measures from the metrics APIs: `metrics.k8s.io` (processor and memory of pods), `custom.metrics.k8s.io` (metrics of pods and objects) and
 * `external.metrics.k8s.io`, wherever the API server has them: built in, or from a server behind it.
 *
 * Source of paths and rules: k8s.io/metrics clients, kube-controller-manager `podautoscaler/metrics/client.go` (1.33).
 */
import {
  type Client,
  formatLabelSelector,
  isNotFound,
  type LabelSelector,
  parseTime,
  Quantity,
  requestJson,
} from '@orbitkit/core';
import type { AutoscalerMetrics, MetricIdentifier, PodMeasure } from './autoscaler-metrics.js';
import { type FindKind, kindFinder } from './scale-kinds.js';

interface PodUsage {
  metadata: { name: string; namespace?: string };
  timestamp?: string;
  window?: string;
  containers?: { name: string; usage?: Record<string, string> }[];
}
interface CustomValue {
  describedObject: { name: string };
  timestamp?: string;
  windowSeconds?: number;
  /** What v1beta1 calls `windowSeconds`. */
  window?: number;
  value: string | number;
}

/** `metricServerDefaultMetricWindow`: of a custom metric that says nothing of its window. */
const defaultWindowMs = 60_000;

const milliOf = (amount: string | number): number => Number(Quantity.parse(amount).milliValue());
const query = (parameters: Record<string, string>): string => {
  const given = Object.entries(parameters).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
};
const segment = encodeURIComponent;

/** Measures over this client, as its user. @param findKind Which resource an object metric is about. Default: by discovery. */
export function apiMetrics(
  client: Pick<Client, 'transport'>,
  findKind: FindKind = kindFinder(client),
): AutoscalerMetrics {
  async function read<T>(api: string, path: string): Promise<T> {
    try {
      return await requestJson<T>(client.transport, { method: 'GET', path }, { maxRetries: 0 });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new Error(`unable to fetch metrics from ${api}: ${(error as Error).message}`, { cause: error });
    }
  }
  const custom = preferredVersion(client, 'custom.metrics.k8s.io', ['v1beta2', 'v1beta1']);

  async function customValues(path: string, metric: MetricIdentifier, podSelector = ''): Promise<CustomValue[]> {
    const selectors = query({ labelSelector: podSelector, metricLabelSelector: selectorOf(metric) });
    const url = `/apis/custom.metrics.k8s.io/${await custom()}/${path}/${segment(metric.name)}${selectors}`;
    const { items = [] } = await read<{ items?: CustomValue[] }>('custom metrics API', url);
    if (items.length === 0) throw new Error('no metrics returned from custom metrics API');
    return items;
  }

  return {
    async resource({ namespace, selector, resource, container }) {
      const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${segment(namespace)}/pods${query({ labelSelector: selector })}`;
      const { items = [] } = await read<{ items?: PodUsage[] }>('resource metrics API', path);
      if (items.length === 0) throw new Error('no metrics returned from resource metrics API');
      const measures = new Map<string, PodMeasure>();
      for (const pod of items) {
        const milli = usageOf(pod, resource, container);
        if (milli === undefined) continue;
        const at = parseTime(pod.timestamp) ?? 0;
        measures.set(pod.metadata.name, { milli, at, windowMs: durationMs(pod.window) });
      }
      return measures;
    },

    async pods({ namespace, selector, metric }) {
      const values = await customValues(`namespaces/${segment(namespace)}/pods/*`, metric, selector);
      return new Map(
        values.map(({ describedObject, timestamp, windowSeconds, window = windowSeconds, value }) => [
          describedObject.name,
          {
            milli: milliOf(value),
            at: parseTime(timestamp) ?? 0,
            windowMs: window === undefined ? defaultWindowMs : window * 1000,
          },
        ]),
      );
    },

    async object({ namespace, describedObject, metric }) {
      const kind = await findKind(describedObject);
      const resource = kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
      const isNamespace = kind.group === '' && kind.kind === 'Namespace';
      const path = isNamespace
        ? `namespaces/${segment(describedObject.name)}/metrics`
        : `namespaces/${segment(namespace)}/${resource}/${segment(describedObject.name)}`;
      return milliOf((await customValues(path, metric))[0]!.value);
    },

    async external({ namespace, metric }) {
      const selectors = query({ labelSelector: selectorOf(metric) });
      const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${segment(namespace)}/${segment(metric.name)}${selectors}`;
      const { items = [] } = await read<{ items?: { value: string | number }[] }>('external metrics API', path);
      if (items.length === 0) throw new Error('no metrics returned from external metrics API');
      return items.map(({ value }) => milliOf(value));
    },
  };
}

const selectorOf = ({ selector }: MetricIdentifier): string =>
  selector === undefined ? '' : formatLabelSelector(selector as LabelSelector);

/** Undefined when a container's use is not known: half a pod says nothing. */
function usageOf(pod: PodUsage, resource: string, container: string | undefined): number | undefined {
  const containers = pod.containers ?? [];
  if (container !== undefined) {
    const found = containers.find(({ name }) => name === container);
    if (!found) {
      const where = `${pod.metadata.namespace}/${pod.metadata.name}`;
      throw new Error(`container ${container} not present in metrics for pod ${where}`);
    }
    const amount = found.usage?.[resource];
    return amount === undefined ? undefined : milliOf(amount);
  }
  let sum = 0;
  for (const { usage } of containers) {
    const amount = usage?.[resource];
    if (amount === undefined) return undefined;
    sum += milliOf(amount);
  }
  return sum;
}

/** The version of a group that the server prefers, of those that are spoken here; asked once, and again after a failure. */
function preferredVersion(client: Pick<Client, 'transport'>, group: string, spoken: readonly string[]) {
  let known: string | undefined;
  return async (): Promise<string> => {
    if (known !== undefined) return known;
    const path = `/apis/${group}`;
    const { preferredVersion: preferred, versions = [] } = await requestJson<{
      preferredVersion?: { version: string };
      versions?: { version: string }[];
    }>(client.transport, { method: 'GET', path }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      throw new Error(`the server has no ${group}: install an adapter that serves it`, { cause: error });
    });
    const served = [preferred, ...versions].map(each => each?.version);
    known = served.find(version => version !== undefined && spoken.includes(version));
    if (known === undefined) throw new Error(`the server has ${group} in none of ${spoken.join(', ')}`);
    return known;
  };
}

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };

/** Go's duration: `1m0.5s`. */
function durationMs(text = ''): number {
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)(ms|us|µs|ns|h|m|s)/g)) sum += Number(count) * unitMs[unit!]!;
  return sum;
}
