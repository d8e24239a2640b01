/** What is asked of the metrics APIs, and how answers are read. */
import { StatusError, type Transport, type TransportRequest } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { apiMetrics } from './api-metrics.js';

function apiOf(answers: Record<string, object>) {
  const asked: string[] = [];
  const transport = {
    async request({ path }: TransportRequest) {
      asked.push(path);
      const answer = answers[path];
      const body = answer ?? new StatusError('NotFound', 'the server could not find the requested resource').toStatus();
      const bytes = Buffer.from(JSON.stringify(body));
      return { status: answer ? 200 : 404, headers: {}, warnings: [], bytes: async () => bytes };
    },
  } as unknown as Transport;
  return { metrics: apiMetrics({ transport }), asked };
}
const namespace = 'shop';

describe('resources', () => {
  const path = '/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dweb';
  const usage = (cpu?: string) => ({ ...(cpu ? { cpu } : {}), memory: '1Mi' });
  const answers = {
    [path]: {
      items: [
        {
          metadata: { name: 'a', namespace },
          timestamp: '2026-01-01T00:00:10Z',
          window: '1m0.5s',
          containers: [
            { name: 'main', usage: usage('250m') },
            { name: 'helper', usage: usage('1500000n') },
          ],
        },
        {
          metadata: { name: 'half', namespace },
          containers: [
            { name: 'main', usage: usage('1') },
            { name: 'helper', usage: usage() },
          ],
        },
      ],
    },
  };

  it('are the sum of a pod; one with an unknown part is left out', async () => {
    const { metrics, asked } = apiOf(answers);
    const measures = await metrics.resource({ namespace, selector: 'app=web', resource: 'cpu' });
    expect([...measures]).toEqual([['a', { milli: 252, at: Date.UTC(2026, 0, 1, 0, 0, 10), windowMs: 60_500 }]]);
    expect(asked).toEqual([path]);
    const memory = await metrics.resource({ namespace, selector: 'app=web', resource: 'memory' });
    expect(memory.get('half')?.milli).toBe(2 * 1024 * 1024 * 1000);
  });

  it('of a container; one that is not measured is named', async () => {
    const { metrics } = apiOf(answers);
    const ask = (container: string) => metrics.resource({ namespace, selector: 'app=web', resource: 'cpu', container });
    expect((await ask('main')).get('half')?.milli).toBe(1000);
    await expect(ask('other')).rejects.toThrow('container other not present in metrics for pod shop/a');
  });

  it('are missing: nobody serves them, or they are empty', async () => {
    await expect(apiOf({}).metrics.resource({ namespace, selector: 'app=web', resource: 'cpu' })).rejects.toThrow(
      'unable to fetch metrics from resource metrics API: the server could not find the requested resource',
    );
    const empty = apiOf({ [path]: { items: [] } });
    await expect(empty.metrics.resource({ namespace, selector: 'app=web', resource: 'cpu' })).rejects.toThrow(
      'no metrics returned from resource metrics API',
    );
  });
});

describe('custom metrics', () => {
  const group = { preferredVersion: { version: 'v1' }, versions: [{ version: 'v1' }, { version: 'v1beta2' }] };
  const value = (name: string, amount: string, more: object = {}) => ({
    describedObject: { name },
    timestamp: '2026-01-01T00:00:00Z',
    value: amount,
    ...more,
  });

  it('of pods, in a version that both speak', async () => {
    const path =
      '/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_requests?labelSelector=app%3Dweb&metricLabelSelector=verb%3DGET';
    const { metrics, asked } = apiOf({
      '/apis/custom.metrics.k8s.io': group,
      [path]: { items: [value('a', '1500m', { windowSeconds: 30 }), value('b', '2')] },
    });
    const metric = { name: 'http_requests', selector: { matchLabels: { verb: 'GET' } } };
    const measures = await metrics.pods({ namespace, selector: 'app=web', metric });
    const at = Date.UTC(2026, 0, 1);
    expect([...measures]).toEqual([
      ['a', { milli: 1500, at, windowMs: 30_000 }],
      ['b', { milli: 2000, at, windowMs: 60_000 }],
    ]);
    await metrics.pods({ namespace, selector: 'app=web', metric });
    expect(asked.filter(each => each === '/apis/custom.metrics.k8s.io')).toHaveLength(1);
  });

  it.each([
    [{ kind: 'Deployment', apiVersion: 'apps/v1', name: 'web' }, 'namespaces/shop/deployments.apps/web/lag'],
    [{ kind: 'Namespace', apiVersion: 'v1', name: 'shop' }, 'namespaces/shop/metrics/lag'],
  ])('of an object: %j', async (describedObject, path) => {
    const { metrics } = apiOf({
      '/api': { versions: ['v1'] },
      '/apis': { groups: [] },
      '/api/v1': { resources: [{ name: 'namespaces', namespaced: false, kind: 'Namespace' }] },
      '/apis/custom.metrics.k8s.io': group,
      [`/apis/custom.metrics.k8s.io/v1beta2/${path}`]: { items: [value('web', '7')] },
    });
    expect(await metrics.object({ namespace, describedObject, metric: { name: 'lag' } })).toBe(7000);
  });

  it('without an adapter', async () => {
    await expect(apiOf({}).metrics.pods({ namespace, selector: '', metric: { name: 'x' } })).rejects.toThrow(
      'the server has no custom.metrics.k8s.io: install an adapter that serves it',
    );
  });
});

it('external metrics are all series of the selector', async () => {
  const path = '/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue?labelSelector=name%3Dmail';
  const { metrics } = apiOf({ [path]: { items: [{ value: '3' }, { value: '500m' }] } });
  const metric = { name: 'queue', selector: { matchLabels: { name: 'mail' } } };
  expect(await metrics.external({ namespace, metric })).toEqual([3000, 500]);
});
