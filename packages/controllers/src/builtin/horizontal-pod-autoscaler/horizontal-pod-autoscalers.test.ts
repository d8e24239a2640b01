/** The controller against a real API server, with measures of the test's own. */
import {
  type autoscalingv2,
  type Client,
  type Clock,
  type CustomResourceDefinition,
  Deployment,
  Event,
  findCondition,
  HorizontalPodAutoscaler,
  manualClock,
  Pod,
  StatefulSet,
} from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import type { AutoscalerMetrics, PodMeasures } from './autoscaler-metrics.js';
import { type HorizontalPodAutoscalersOptions, horizontalPodAutoscalers } from './horizontal-pod-autoscalers.js';

const namespace = 'default';
const key = { name: 'web', namespace };
const labels = { app: 'web' };
const template = {
  metadata: { labels },
  spec: { containers: [{ name: 'main', image: 'x', resources: { requests: { cpu: '100m' } } }] },
};
const selector = { matchLabels: labels };
const cpuTarget = (averageUtilization: number): autoscalingv2.MetricSpec[] => [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } },
];

/** Measures that the test sets: thousandths of a core for every pod there is. */
function playedMetrics(clock: Clock) {
  const state = { milli: 50 as number | Error, value: 0 as number | Error, askedAt: [] as number[] };
  const answer = <T>(value: T | Error): T => {
    state.askedAt.push(clock.now());
    if (value instanceof Error) throw value;
    return value;
  };
  const metrics = (client: Client): AutoscalerMetrics => {
    const measures = async (): Promise<PodMeasures> => {
      const milli = answer(state.milli);
      const { items } = await client.list(Pod, { namespace, labelSelector: 'app=web' });
      return new Map(items.map(pod => [pod.metadata.name, { milli, at: Date.now() + 1e9, windowMs: 1 }]));
    };
    const value = async () => answer(state.value);
    return { resource: measures, pods: measures, object: value, external: async () => [await value()] };
  };
  return { state, metrics };
}

async function start(options: HorizontalPodAutoscalersOptions = {}) {
  const clock = manualClock(Date.now());
  const { state, metrics } = playedMetrics(clock);
  const controllers = [horizontalPodAutoscalers({ metrics, ...options })];
  const plane = await createTestControlPlane({ controllers, clock });
  const { client, eventually } = plane;
  let made = 0;
  /** Pods of the target that have been ready for a while. */
  const pods = async (count: number) => {
    for (; made < count; made++) {
      const pod = await client.create(Pod, {
        metadata: { name: `web-${made}`, namespace, labels },
        spec: template.spec,
      });
      const time = new Date(clock.now() - 3_600_000).toISOString();
      const status = {
        phase: 'Running' as const,
        startTime: time,
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time }],
      };
      await client.updateStatus(Pod, { ...pod, status: { ...pod.status, ...status } });
    }
  };
  const autoscaler = (spec: Partial<HorizontalPodAutoscaler['spec']> = {}, name = 'web') =>
    client.create(HorizontalPodAutoscaler, {
      metadata: { name, namespace },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        minReplicas: 1,
        maxReplicas: 10,
        metrics: cpuTarget(50),
        ...spec,
      },
    });
  const deployment = (replicas: number) =>
    client.create(Deployment, { metadata: key, spec: { replicas, selector, template } });
  const status = async (name = 'web') => (await client.get(HorizontalPodAutoscaler, { name, namespace })).status ?? {};
  const until = (check: (status: Partial<HorizontalPodAutoscaler['status']>) => boolean, name = 'web') =>
    eventually(async () => {
      const now = await status(name);
      if (check(now)) return now;
      // The watch may be behind; the next look comes after the period.
      await clock.advance(1_000);
      throw new Error(JSON.stringify(now));
    });
  const reason = (now: Partial<HorizontalPodAutoscaler['status']>, type: string) =>
    findCondition(now.conditions, type)?.reason;
  const replicas = async () => (await client.get(Deployment, key)).spec.replicas;
  const events = async () =>
    (await client.list(Event, { namespace })).items
      .filter(event => event.involvedObject.kind === 'HorizontalPodAutoscaler')
      .map(event => `${event.type} ${event.reason}: ${event.message}`);
  return {
    plane,
    client,
    clock,
    state,
    pods,
    autoscaler,
    deployment,
    status,
    until,
    reason,
    replicas,
    events,
    eventually,
  };
}

it('scales a Deployment up, says why, and down again only after five minutes', async () => {
  const { plane, clock, state, pods, autoscaler, deployment, until, reason, replicas, events, eventually } =
    await start();
  await using _ = plane;
  await deployment(1);
  await pods(1);
  state.milli = 100;
  await autoscaler();
  const now = await until(({ lastScaleTime }) => lastScaleTime !== undefined);
  expect(await replicas()).toBe(2);
  expect(now).toMatchObject({
    currentReplicas: 1,
    desiredReplicas: 2,
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 100, averageValue: '100m' } } },
    ],
  });
  expect(reason(now, 'AbleToScale')).toBe('SucceededRescale');
  expect(reason(now, 'ScalingActive')).toBe('ValidMetricFound');
  expect(reason(now, 'ScalingLimited')).toBe('DesiredWithinRange');
  await eventually(async () =>
    (await events()).includes(
      'Normal SuccessfulRescale: New size: 2; reason: cpu resource utilization (percentage of request) above target',
    ),
  );

  await pods(2);
  state.milli = 5;
  await until(seen => seen.currentMetrics?.[0]?.resource?.current.averageUtilization === 5);
  const scaledAt = clock.now();
  expect(await replicas()).toBe(2);
  await until(seen => seen.desiredReplicas === 1 && reason(seen, 'AbleToScale') === 'SucceededRescale');
  expect(clock.now() - scaledAt).toBeGreaterThan(200_000);
  expect(await replicas()).toBe(1);
});

it('looks every 15 s, and at once when its spec changes', async () => {
  const { plane, client, clock, state, pods, autoscaler, deployment, replicas } = await start();
  await using _ = plane;
  await deployment(2);
  await pods(2);
  await autoscaler();
  await plane.eventually(() => state.askedAt.length === 3, { clock, timeoutMs: 120_000, intervalMs: 50 });
  const [first, second, third] = state.askedAt as [number, number, number];
  // The period begins when a look is over, and a look takes a few turns of this clock.
  for (const gap of [second - first, third - second]) {
    expect(gap).toBeGreaterThanOrEqual(15_000);
    expect(gap).toBeLessThan(25_000);
  }
  await client.patch(HorizontalPodAutoscaler, key, { type: 'merge', patch: { spec: { minReplicas: 4 } } });
  await plane.eventually(async () => (await replicas()) === 4);
  // Long before the next look is due. How often it asked is not told by that: a status write that meets the patch is tried again.
  expect(clock.now() - third).toBeLessThan(14_000);
});

it('leaves a target without replicas alone', async () => {
  const { plane, autoscaler, deployment, until, reason, replicas, state } = await start();
  await using _ = plane;
  await deployment(0);
  await autoscaler({ minReplicas: 2 });
  await until(seen => reason(seen, 'ScalingActive') === 'ScalingDisabled');
  expect([await replicas(), state.askedAt]).toEqual([0, []]);
});

it('says when measures are missing, keeps the size, and goes on when they are back', async () => {
  const { plane, state, pods, autoscaler, deployment, until, reason, replicas, events, eventually } = await start();
  await using _ = plane;
  await deployment(2);
  await pods(2);
  state.milli = new Error('the server is down');
  await autoscaler();
  const failed = await until(seen => reason(seen, 'ScalingActive') === 'FailedGetResourceMetric');
  expect(findCondition(failed.conditions, 'ScalingActive')?.message).toBe(
    'the HPA was unable to compute the replica count: failed to get cpu resource metric value: unable to get metrics for resource cpu: the server is down',
  );
  expect(await replicas()).toBe(2);
  await eventually(async () => {
    const said = (await events()).map(text => text.split(':')[0]);
    return said.includes('Warning FailedGetResourceMetric') && said.includes('Warning FailedComputeMetricsReplicas');
  });
  state.milli = 100;
  await until(seen => reason(seen, 'ScalingActive') === 'ValidMetricFound');
  expect(await replicas()).toBe(4);
});

describe('targets', () => {
  it.each([
    [{ kind: 'Deployment', apiVersion: 'apps/v1', name: 'nobody' }, /"nobody" not found/],
    [{ kind: 'Rocket', apiVersion: 'space/v1', name: 'web' }, /no matches for kind "Rocket" in group "space"/],
    [{ kind: 'ConfigMap', apiVersion: 'v1', name: 'web' }, /./],
    [{ kind: 'Deployment', apiVersion: 'a/b/c', name: 'web' }, /unexpected GroupVersion string: a\/b\/c/],
  ])('%j cannot be scaled, and the status says so', async (scaleTargetRef, message) => {
    const { plane, autoscaler, until, reason } = await start();
    await using _ = plane;
    await autoscaler({ scaleTargetRef });
    const status = await until(seen => reason(seen, 'AbleToScale') === 'FailedGetScale');
    expect(findCondition(status.conditions, 'AbleToScale')).toMatchObject({ status: 'False' });
    expect(findCondition(status.conditions, 'AbleToScale')?.message).toMatch(message);
  });

  it('a StatefulSet, by metrics of pods', async () => {
    const { plane, client, state, pods, autoscaler, until } = await start();
    await using _ = plane;
    await client.create(StatefulSet, { metadata: key, spec: { serviceName: 'web', replicas: 1, selector, template } });
    await pods(1);
    state.milli = 3_000;
    await autoscaler({
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web' },
      metrics: [
        { type: 'Pods', pods: { metric: { name: 'qps' }, target: { type: 'AverageValue', averageValue: '1' } } },
      ],
    });
    await until(seen => seen.desiredReplicas === 3);
    expect((await client.get(StatefulSet, key)).spec.replicas).toBe(3);
  });

  it('a custom resource with a scale, by an external metric', async () => {
    const { plane, client, state, pods, autoscaler, until } = await start();
    await using _ = plane;
    const { CustomResourceDefinition: definitions } = await import('@orbitkit/core');
    await client.create(definitions, rocketDefinition as never);
    const rocket = { group: 'space.example', version: 'v1', kind: 'Rocket', plural: 'rockets', namespaced: true };
    await plane.eventually(async () => {
      await client.create(
        rocket as never,
        {
          apiVersion: 'space.example/v1',
          kind: 'Rocket',
          metadata: key,
          spec: { engines: 1 },
          status: { labelSelector: 'app=web' },
        } as never,
      );
      return true;
    });
    await client.patch(
      rocket as never,
      key,
      { type: 'merge', patch: { status: { labelSelector: 'app=web', burning: 1 } } },
      { subresource: 'status' },
    );
    await pods(1);
    state.value = 30_000;
    await autoscaler({
      scaleTargetRef: { apiVersion: 'space.example/v1', kind: 'Rocket', name: 'web' },
      metrics: [{ type: 'External', external: { metric: { name: 'queue' }, target: { type: 'Value', value: '10' } } }],
    });
    await until(seen => seen.desiredReplicas === 3);
    expect(await client.get(rocket as never, key)).toMatchObject({ spec: { engines: 3 } });
  });
});

it('two autoscalers over the same pods both refuse', async () => {
  const { plane, state, pods, autoscaler, deployment, until, reason, replicas } = await start();
  await using _ = plane;
  await deployment(2);
  await pods(2);
  state.milli = 50;
  await autoscaler();
  await until(seen => reason(seen, 'ScalingActive') === 'ValidMetricFound');
  await autoscaler({}, 'other');
  for (const name of ['web', 'other']) {
    const status = await until(seen => reason(seen, 'ScalingActive') === 'AmbiguousSelector', name);
    expect(findCondition(status.conditions, 'ScalingActive')?.message).toBe(
      'pods by selector app=web are controlled by multiple HPAs: [default/other default/web]',
    );
  }
  expect(await replicas()).toBe(2);
  await plane.client.delete(HorizontalPodAutoscaler, { name: 'other', namespace });
  await until(seen => reason(seen, 'ScalingActive') === 'ValidMetricFound');
});

const rocketDefinition = {
  metadata: { name: 'rockets.space.example' },
  spec: {
    group: 'space.example',
    scope: 'Namespaced',
    names: { plural: 'rockets', singular: 'rocket', kind: 'Rocket', listKind: 'RocketList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { engines: { type: 'integer' } } },
              status: {
                type: 'object',
                properties: { burning: { type: 'integer' }, labelSelector: { type: 'string' } },
              },
            },
          },
        },
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.engines',
            statusReplicasPath: '.status.burning',
            labelSelectorPath: '.status.labelSelector',
          },
        },
      },
    ],
  },
} satisfies Omit<Partial<CustomResourceDefinition>, 'metadata'> & { metadata: { name: string } };
