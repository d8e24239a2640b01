/**
 * Custom and external metrics from a server behind the API server, over HTTP: what a metrics adapter answers is read as it comes over the wire. The
 * requests of its groups are handed on by their path, as kube-aggregator does.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type autoscalingv2,
  Deployment,
  findCondition,
  HorizontalPodAutoscaler,
  httpTransport,
  manualClock,
  Pod,
  Service,
  type Transport,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { apiMetrics } from './api-metrics.js';
import { horizontalPodAutoscalers } from './horizontal-pod-autoscalers.js';

const namespace = 'default';
const labels = { app: 'web' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'x' }] } };

/** An adapter with numbers of its own: `qps` of every pod of a selector, `hits` of a service, `queue` outside. */
async function adapter(numbers: { qps: string; hits: string; queue: string[] }) {
  const asked: string[] = [];
  const group = (name: string, version: string) => ({
    ...{ kind: 'APIGroup', apiVersion: 'v1', name },
    versions: [{ groupVersion: `${name}/${version}`, version }],
    preferredVersion: { groupVersion: `${name}/${version}`, version },
  });
  const at = () => new Date(Date.now() + 3_600_000).toISOString();
  const custom = (items: object[]) => ({ kind: 'MetricValueList', apiVersion: 'custom.metrics.k8s.io/v1beta2', items });
  const described = (kind: string, name: string, metric: string, value: string) => ({
    describedObject: { kind, namespace, name, apiVersion: '/v1' },
    metric: { name: metric, selector: null },
    ...{ timestamp: at(), value },
  });
  const answerTo = (path: string, search: URLSearchParams): object | undefined => {
    if (path === '/apis/custom.metrics.k8s.io') return group('custom.metrics.k8s.io', 'v1beta2');
    if (path === '/apis/external.metrics.k8s.io') return group('external.metrics.k8s.io', 'v1beta1');
    const [, metric] = /\/v1beta2\/namespaces\/default\/(.*)$/.exec(path) ?? [];
    if (metric === 'pods/*/qps' && search.get('labelSelector') === 'app=web')
      return custom([described('Pod', 'web-0', 'qps', numbers.qps)]);
    if (metric === 'services/front/hits') return custom([described('Service', 'front', 'hits', numbers.hits)]);
    if (path === '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue')
      return {
        ...{ kind: 'ExternalMetricValueList', apiVersion: 'external.metrics.k8s.io/v1beta1' },
        items: numbers.queue.map(value => ({ metricName: 'queue', metricLabels: {}, timestamp: at(), value })),
      };
    return undefined;
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://adapter');
    asked.push(url.pathname + url.search);
    const body = answerTo(decodeURIComponent(url.pathname), url.searchParams);
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' });
    const missing = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 };
    response.end(JSON.stringify(body ?? { ...missing, message: 'the server could not find the metric' }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const transport = httpTransport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return {
    asked,
    before: (api: Transport): Transport => ({
      ...api,
      request: request =>
        /^\/apis\/(custom|external)\.metrics\.k8s\.io/.test(request.path)
          ? transport.request(request)
          : api.request(request),
    }),
    async [Symbol.asyncDispose]() {
      await transport.close();
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

const targets: Record<string, autoscalingv2.MetricSpec> = {
  Pods: { type: 'Pods', pods: { metric: { name: 'qps' }, target: { type: 'AverageValue', averageValue: '500m' } } },
  Object: {
    type: 'Object',
    object: {
      describedObject: { apiVersion: 'v1', kind: 'Service', name: 'front' },
      metric: { name: 'hits' },
      target: { type: 'Value', value: '10' },
    },
  },
  External: {
    type: 'External',
    external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '25' } },
  },
  missing: { type: 'External', external: { metric: { name: 'nobody' }, target: { type: 'Value', value: '1' } } },
};

it.each([
  ['Pods', 4, { type: 'Pods', pods: { current: { averageValue: '2' } } }],
  ['Object', 3, { type: 'Object', object: { current: { value: '30' } } }],
  ['External', 4, { type: 'External', external: { current: { averageValue: '100' } } }],
  ['missing', undefined, undefined],
] as const)('an autoscaler by metrics of an extension server: %s', async (metric, wanted, current) => {
  await using extension = await adapter({ qps: '2', hits: '30', queue: ['60', '40'] });
  const clock = manualClock(Date.now());
  const metrics = (client: { transport: Transport }) => apiMetrics({ transport: extension.before(client.transport) });
  await using plane = await createTestControlPlane({ controllers: [horizontalPodAutoscalers({ metrics })], clock });
  const { client, eventually } = plane;
  await client.create(Service, { metadata: { name: 'front', namespace }, spec: { ports: [{ port: 80 }] } });
  const deployment = await client.create(Deployment, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  });
  await client.updateStatus(Deployment, { ...deployment, status: { replicas: 1 } });
  const pod = await client.create(Pod, { metadata: { name: 'web-0', namespace, labels }, spec: template.spec });
  const since = new Date(clock.now() - 3_600_000).toISOString();
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: since }];
  await client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase: 'Running', startTime: since, conditions } });
  await client.create(HorizontalPodAutoscaler, {
    metadata: { name: 'web', namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      ...{ minReplicas: 1, maxReplicas: 10, metrics: [targets[metric]!] },
    },
  });
  const status = await eventually(
    async () => {
      const seen = (await client.get(HorizontalPodAutoscaler, { name: 'web', namespace })).status;
      if (wanted === undefined) return findCondition(seen?.conditions, 'ScalingActive')?.status === 'False' && seen;
      return seen?.desiredReplicas === wanted && seen;
    },
    { clock },
  );
  if (wanted === undefined) {
    const active = findCondition(status.conditions, 'ScalingActive');
    expect(active).toMatchObject({ reason: 'FailedGetExternalMetric' });
    expect(active?.message).toContain('unable to fetch metrics from external metrics API');
    return;
  }
  expect((await client.get(Deployment, { name: 'web', namespace })).spec.replicas).toBe(wanted);
  expect(status.currentMetrics).toMatchObject([current]);
  // An autoscaler has no generation, so there is none to have observed: as upstream.
  expect(status.observedGeneration).toBeUndefined();
  expect(extension.asked.length).toBeGreaterThan(0);
});
