/**
 * `metrics.k8s.io/v1beta1`: what nodes and pods use at the moment (`kubectl top`), computed from the agents' measures for each request
 * and never stored. Selectors are those of the nodes and pods themselves; their labels are repeated. A node whose agent does not answer
 * is not there, and neither are its pods. Source: kubernetes/metrics, metrics-server.
 */
import { type DynamicObject, formatTime, isNotFound, type Kind, type KindRegistry, Quantity } from '@orbitkit/core';
import type { ListOptions, RequestContext, ResourceKey, Resources } from '../registry/contract.js';
import type { VirtualResources } from '../registry/virtual-resources.js';
import { type NodeSummariesOptions, type NodeSummary, nodeSummaries, type Usage } from './node-summaries.js';

export interface MetricsOptions extends NodeSummariesOptions {
  readonly kinds: KindRegistry;
  readonly resources: () => Resources;
}

const apiVersion = 'metrics.k8s.io/v1beta1';

export function metricsResources(options: MetricsOptions): VirtualResources {
  const { kinds, resources, clock } = options;
  const summaries = nodeSummaries(options);

  function kindOf(plural: string): Kind {
    const kind = kinds.byResource('', 'v1', plural);
    if (!kind) throw new Error(`metrics need the kind of ${plural}, which this server does not serve`);
    return kind;
  }
  async function listed(context: RequestContext, plural: string, selected: ListOptions): Promise<DynamicObject[]> {
    const { items } = await resources().list(context, kindOf(plural), {
      namespace: selected.namespace,
      labelSelector: selected.labelSelector,
      fieldSelector: selected.fieldSelector,
      resourceVersion: '0',
    });
    return items.map(item => item.object() as DynamicObject);
  }
  async function one(context: RequestContext, plural: string, key: ResourceKey): Promise<DynamicObject[]> {
    try {
      return [(await resources().get(context, kindOf(plural), key)).object() as DynamicObject];
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  function metadataOf({ metadata: { name, namespace, labels } }: DynamicObject) {
    return {
      name,
      ...(namespace ? { namespace } : {}),
      ...(labels ? { labels } : {}),
      creationTimestamp: formatTime(clock.now()),
    };
  }

  async function nodeMetrics(nodes: readonly DynamicObject[]): Promise<object[]> {
    const measured = await summaries.of(nodes);
    return nodes.flatMap(node => {
      const summary = measured.get(node.metadata.name);
      if (!summary) return [];
      const own = { kind: 'NodeMetrics', apiVersion, metadata: metadataOf(node) };
      return [{ ...own, ...measuredAt([summary.node]), usage: amounts(summary.node) }];
    });
  }

  async function podMetrics(context: RequestContext, pods: readonly DynamicObject[]): Promise<object[]> {
    const placed = new Set(pods.map(pod => pod['spec']?.nodeName as string | undefined));
    if (pods.length === 0) return [];
    const nodes = (await listed(context, 'nodes', {})).filter(node => placed.has(node.metadata.name));
    const measured = await summaries.of(nodes);
    return pods.flatMap(pod => {
      const summary: NodeSummary | undefined = measured.get(pod['spec']?.nodeName);
      const containers = summary?.pods.get(pod.metadata.uid ?? '');
      if (!containers) return [];
      return [
        {
          kind: 'PodMetrics',
          apiVersion,
          metadata: metadataOf(pod),
          ...measuredAt(containers.map(({ usage }) => usage)),
          containers: containers.map(({ name, usage }) => ({ name, usage: amounts(usage) })),
        },
      ];
    });
  }

  return {
    'metrics.k8s.io/v1beta1/NodeMetrics': {
      list: async (context, selected) => nodeMetrics(await listed(context, 'nodes', selected)),
      get: async (context, key) => (await nodeMetrics(await one(context, 'nodes', key)))[0],
    },
    'metrics.k8s.io/v1beta1/PodMetrics': {
      list: async (context, selected) => podMetrics(context, await listed(context, 'pods', selected)),
      get: async (context, key) => (await podMetrics(context, await one(context, 'pods', key)))[0],
    },
  };
}

/** The latest time, and the longest window (Go's duration). */
function measuredAt(usages: readonly Usage[]): { timestamp: string; window: string } {
  return {
    timestamp: formatTime(Math.max(...usages.map(({ at }) => at))),
    window: duration(Math.max(...usages.map(({ windowMs }) => windowMs))),
  };
}

/** As Go writes one: `0s`, `850ms`, `1.5s`, `1m0.25s`. */
export function duration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 1_000) return `${ms}ms`;
  const [minutes, seconds] = [Math.floor(ms / 60_000), (ms % 60_000) / 1_000];
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

const amounts = ({ nanoCores, bytes }: Usage) => ({
  cpu: Quantity.ofNano(BigInt(nanoCores)).toString(),
  memory: Quantity.of(bytes, 'BinarySI').toString(),
});
