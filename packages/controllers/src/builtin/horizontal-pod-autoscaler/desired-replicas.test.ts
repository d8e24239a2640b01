/** The whole decision: bounds, several metrics, metrics that fail, and what the conditions say. */
import type { Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { type AutoscalerInput, type AutoscalerSpec, desiredReplicas } from './desired-replicas.js';
import type { MetricReading, MetricSpec } from './metric-proposal.js';
import { defaultScaleDown, defaultScaleUp, newMemory } from './scaling-rules.js';

const now = Date.UTC(2026, 0, 1, 12);
const time = (ms: number) => new Date(ms).toISOString();
const external = (name: string): MetricSpec => ({
  type: 'External',
  external: { metric: { name }, target: { type: 'Value', value: '10' } },
});
const cpu: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
const pod = (index: number, milliRequest = 1000) =>
  ({
    metadata: { name: `p${index}`, namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'x', resources: { requests: { cpu: `${milliRequest}m` } } }] },
    status: {
      phase: 'Running',
      startTime: time(now - 3_600_000),
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time(now - 3_500_000) }],
    },
  }) as unknown as Pod;
const used = (...milli: number[]): MetricReading => ({
  measures: new Map(milli.map((each, i) => [`p${i}`, { milli: each, at: now, windowMs: 15_000 }])),
});

interface Case extends Partial<Omit<AutoscalerInput, 'spec'>> {
  spec?: Partial<AutoscalerSpec>;
}
/** Two replicas, between 1 and 10, with an old recommendation of 1: nothing stands in the way. */
function decide({ spec = {}, ...more }: Case) {
  const replicas = more.replicas ?? 2;
  const target = { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' };
  return desiredReplicas({
    spec: { scaleTargetRef: target, minReplicas: 1, maxReplicas: 10, metrics: [external('queue')], ...spec },
    replicas,
    observed: replicas,
    pods: Array.from({ length: replicas }, (_, i) => pod(i)),
    readings: [],
    memory: newMemory(1, now - 600_000),
    now,
    tolerance: 0.1,
    downscaleStabilizationMs: 300_000,
    cpuInitializationMs: 300_000,
    initialReadinessMs: 30_000,
    ...more,
  });
}
const said = ({ conditions }: ReturnType<typeof decide>) =>
  Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

describe('bounds', () => {
  it.each<[string, Case, number, string, object]>([
    [
      'above the most',
      { replicas: 12 },
      10,
      'Current number of replicas above Spec.MaxReplicas',
      { AbleToScale: 'True SucceededGetScale' },
    ],
    [
      'below the least',
      { replicas: 2, spec: { minReplicas: 3 } },
      3,
      'Current number of replicas below Spec.MinReplicas',
      { AbleToScale: 'True SucceededGetScale' },
    ],
    [
      'no replicas switch it off',
      { replicas: 0 },
      0,
      '',
      { AbleToScale: 'True SucceededGetScale', ScalingActive: 'False ScalingDisabled' },
    ],
  ])('%s', (_what, input, replicas, reason, conditions) => {
    const decision = decide(input);
    expect(decision).toMatchObject({ replicas, reason, currentMetrics: undefined, warnings: [] });
    expect(said(decision)).toEqual(conditions);
  });

  it('from zero when zero is allowed', () => {
    const decision = decide({ replicas: 0, spec: { minReplicas: 0 }, readings: [{ value: 15_000 }] });
    expect(decision.replicas).toBe(2);
  });

  it.each<[string, number, number, string]>([
    ['within', 15_000, 3, 'False DesiredWithinRange'],
    ['too many', 900_000, 4, 'True ScaleUpLimit'],
    ['too few', 0, 1, 'True TooFewReplicas'],
  ])('%s', (_what, value, replicas, limited) => {
    const decision = decide({ readings: [{ value }] });
    expect(decision.replicas).toBe(replicas);
    expect(said(decision)).toEqual({
      AbleToScale: 'True ReadyForNewScale',
      ScalingActive: 'True ValidMetricFound',
      ScalingLimited: limited,
    });
  });
});

describe('several metrics', () => {
  const spec = { metrics: [external('a'), cpu, external('b')] };
  it('the largest holds, and says so', () => {
    const decision = decide({ spec, readings: [{ value: 12_000 }, used(1000, 1000), { value: 1_000 }] });
    expect(decision).toMatchObject({
      replicas: 4,
      reason: 'cpu resource utilization (percentage of request) above target',
      failure: undefined,
    });
    expect(decision.currentMetrics?.map(({ type }) => type)).toEqual(['External', 'Resource', 'External']);
  });

  it('all of them must allow a scale down', () => {
    expect(decide({ spec, readings: [{ value: 1_000 }, used(0, 0), { value: 10_000 }] }).replicas).toBe(2);
    expect(decide({ spec, readings: [{ value: 1_000 }, used(0, 0), { value: 1_000 }] })).toMatchObject({
      replicas: 1,
      reason: 'All metrics below target',
    });
  });

  const error = new Error('the adapter is down');
  it('one that fails does not stop a scale up', () => {
    const decision = decide({ spec, readings: [{ error }, used(1000, 1000), { value: 1_000 }] });
    expect(decision.replicas).toBe(4);
    expect(said(decision)).toMatchObject({ ScalingActive: 'True ValidMetricFound' });
    expect(decision.warnings).toEqual([
      { reason: 'FailedGetExternalMetric', message: 'failed to get a external metric value: the adapter is down' },
    ]);
    expect(decision.failure).toMatch(
      /^invalid metrics \(1 invalid out of 3\), first error is: failed to get a external/,
    );
    expect(decision.currentMetrics?.[0]).toEqual({ type: '' });
  });

  it('one that fails stops a scale down', () => {
    const decision = decide({ spec, readings: [{ value: 1_000 }, { error }, { value: 1_000 }] });
    expect(decision).toMatchObject({ replicas: 2, decided: false });
    expect(said(decision)).toEqual({
      AbleToScale: 'True SucceededGetScale',
      ScalingActive: 'False FailedGetResourceMetric',
    });
    expect(decision.warnings.map(({ reason }) => reason)).toEqual([
      'FailedGetResourceMetric',
      'FailedComputeMetricsReplicas',
    ]);
  });

  it('when all fail the first says why', () => {
    const decision = decide({ spec, readings: [{ error }, { error }, { error }] });
    expect(decision.replicas).toBe(2);
    expect(decision.conditions.find(({ type }) => type === 'ScalingActive')).toMatchObject({
      reason: 'FailedGetExternalMetric',
      message:
        'the HPA was unable to compute the replica count: failed to get a external metric value: the adapter is down',
    });
    expect(decision.failure).toMatch(/3 invalid out of 3/);
  });
});

it.each(['InvalidSelector', 'AmbiguousSelector'] as const)('%s: no metric is believed', reason => {
  const decision = decide({ readings: { reason, message: 'because' } });
  expect(decision).toMatchObject({ replicas: 2, decided: false, failure: 'because' });
  expect(said(decision)).toMatchObject({ ScalingActive: `False ${reason}` });
});

it('a kind of metric that nobody knows is named', () => {
  const decision = decide({ spec: { metrics: [{ type: 'Weather' }] }, readings: [{ value: 1 }] });
  expect(said(decision)).toMatchObject({ ScalingActive: 'False InvalidMetricSourceType' });
});

it('conditions keep the time of their last change', () => {
  const first = decide({ readings: [{ value: 10_000 }] });
  const later = decide({ readings: [{ value: 10_000 }], conditions: first.conditions, now: now + 60_000 });
  expect(later.conditions).toEqual(first.conditions);
  const failing = decide({ readings: [{ error: new Error('no') }], conditions: first.conditions, now: now + 60_000 });
  const active = failing.conditions.find(({ type }) => type === 'ScalingActive');
  expect(active?.lastTransitionTime).toBe('2026-01-01T12:01:00Z');
});

it('the first look after a start does not scale down: the present size is its recommendation', () => {
  const start = decide({ replicas: 8, memory: undefined, readings: [{ value: 0 }] });
  expect(start.replicas).toBe(8);
  expect(said(start)).toMatchObject({ AbleToScale: 'True ScaleDownStabilized' });
  const behavior = { scaleUp: defaultScaleUp, scaleDown: { ...defaultScaleDown, stabilizationWindowSeconds: 0 } };
  expect(decide({ replicas: 8, memory: undefined, spec: { behavior }, readings: [{ value: 0 }] }).replicas).toBe(1);
});

it('a behaviour may bring tolerances of its own', () => {
  const behavior = { scaleUp: { ...defaultScaleUp, tolerance: '0.6' }, scaleDown: defaultScaleDown };
  expect(decide({ readings: [{ value: 15_000 }] }).replicas).toBe(3);
  expect(decide({ spec: { behavior }, readings: [{ value: 15_000 }] }).replicas).toBe(2);
});

/** Others answer differently to the same measures; these are ours. */
describe("minik8s's measures", () => {
  it.each([
    // A takes the floor, and moves by one pod a scan; ours at most doubles, or goes to four: use of each pod, pods, A's answer, ours.
    [190, 1, 1, 2],
    [250, 1, 2, 3],
    [250, 2, 3, 4],
    [50, 3, 2, 2],
  ])('A: %i m each of a target of 100 m at %i: theirs %i, ours %i', (milli, replicas, theirs, ours) => {
    const floor = Math.min(5, Math.max(1, Math.floor((milli / 100) * replicas)));
    expect(replicas + Math.sign(floor - replicas)).toBe(theirs);
    const metric: MetricSpec = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '100m' } },
    };
    const readings = [used(...Array<number>(replicas).fill(milli))];
    const decision = decide({ replicas, spec: { metrics: [metric], maxReplicas: 5 }, readings });
    expect(decision.replicas).toBe(ours);
  });

  it('B: 150 m and 50 m of 200 m each at a target of 20 % are 50 %: two and a half times as many', () => {
    const metric: MetricSpec = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 20 } },
    };
    const pods = [pod(0, 200), pod(1, 200)];
    const input: Case = { spec: { metrics: [metric], maxReplicas: 20 }, pods, readings: [used(150, 50)] };
    const decision = decide({ ...input, pace: wanted => ({ replicas: wanted, reason: '', message: '' }) });
    expect(decision.replicas).toBe(5);
    expect(decision.currentMetrics?.[0]?.resource?.current.averageUtilization).toBe(50);
  });

  it('B: a mean of 100 m against 60 m is 1.667 times as many', () => {
    const metric: MetricSpec = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '60m' } },
    };
    expect(decide({ spec: { metrics: [metric] }, readings: [used(150, 50)] }).replicas).toBe(Math.ceil(2 * 1.667));
  });
});
