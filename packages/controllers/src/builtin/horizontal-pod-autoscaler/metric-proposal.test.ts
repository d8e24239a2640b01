/** The arithmetic of one metric. Rows: the documentation of horizontal pod autoscaling and observed behaviour of kube-controller-manager. */
import type { Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { PodMeasures } from './autoscaler-metrics.js';
import { type MetricFacts, type MetricSpec, proposalOf } from './metric-proposal.js';

const now = Date.UTC(2026, 0, 1, 12);
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString();

interface PodFacts {
  /** `starting`: ready, but within the window since it got ready. `never`: it was never ready. `lost`: it was ready once. */
  state?: 'ready' | 'starting' | 'never' | 'lost' | 'pending' | 'failed' | 'deleted';
  milli?: number;
  request?: string | null;
}
function podOf({ state = 'ready', request = '1' }: PodFacts, index: number): Pod {
  const ready = (status: string, seconds: number) => [{ type: 'Ready', status, lastTransitionTime: at(seconds) }];
  const status = {
    ready: { phase: 'Running', startTime: at(-3600), conditions: ready('True', -3500) },
    starting: { phase: 'Running', startTime: at(-100), conditions: ready('True', -50) },
    never: { phase: 'Running', startTime: at(-3600), conditions: ready('False', -3600) },
    lost: { phase: 'Running', startTime: at(-3600), conditions: ready('False', -600) },
    pending: { phase: 'Pending', conditions: [] },
    failed: { phase: 'Failed', startTime: at(-3600), conditions: ready('False', -600) },
    deleted: { phase: 'Running', startTime: at(-3600), conditions: ready('True', -3500) },
  }[state];
  const resources = request === null ? {} : { resources: { requests: { cpu: request, memory: request } } };
  const deletion = state === 'deleted' ? { deletionTimestamp: at(-1) } : {};
  return {
    metadata: { name: `p${index}`, namespace: 'default', ...deletion },
    spec: { containers: [{ name: 'main', image: 'x', ...resources }] },
    status,
  } as unknown as Pod;
}
const factsOf = (pods: PodFacts[], replicas: number, more: Partial<MetricFacts> = {}): MetricFacts => ({
  replicas,
  observed: replicas,
  pods: pods.map(podOf),
  tolerance: { up: 0.1, down: 0.1 },
  now,
  cpuInitializationMs: 300_000,
  initialReadinessMs: 30_000,
  ...more,
});
/** Measured 30 s ago over a minute. */
const measuresOf = (pods: PodFacts[]): PodMeasures =>
  new Map(
    pods.flatMap(({ milli }, i) =>
      milli === undefined ? [] : [[`p${i}`, { milli, at: now - 30_000, windowMs: 60_000 }] as const],
    ),
  );
const cpu = (averageUtilization: number): MetricSpec => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});
const perPod = (averageValue: string): MetricSpec => ({
  type: 'Pods',
  pods: { metric: { name: 'qps' }, target: { type: 'AverageValue', averageValue } },
});
const run = (milli: number, state?: PodFacts['state']): PodFacts => (state ? { milli, state } : { milli });

describe('utilization of what pods request', () => {
  it.each<[string, number, number, PodFacts[], number, number]>([
    // what, replicas, target, pods, wanted, measured percent
    ['twice the target doubles', 3, 100, [run(2000), run(2000), run(2000)], 6, 200],
    ['half the target halves', 4, 100, [run(500), run(500), run(500), run(500)], 2, 50],
    ['scale up', 3, 30, [run(300), run(500), run(700)], 5, 50],
    ['an unready pod counts as idle', 3, 30, [run(300, 'never'), run(500), run(700)], 4, 60],
    ['so does one that is starting', 3, 30, [run(300, 'starting'), run(500), run(700)], 4, 60],
    ['and one that is pending', 3, 30, [run(300, 'pending'), run(500), run(700)], 4, 60],
    ['a pod that was ready before counts as it is', 3, 30, [run(300, 'lost'), run(500), run(700)], 5, 50],
    ['unready pods turn a rise into nothing', 3, 30, [run(400), run(500, 'never'), run(700, 'never')], 3, 40],
    ['failed pods do not count', 2, 30, [run(500), run(700), { state: 'failed' }, { state: 'failed' }], 4, 60],
    ['nor do pods on their way out', 2, 30, [run(500), run(700), run(0, 'deleted'), run(0, 'deleted')], 4, 60],
    ['scale down', 5, 50, [run(100), run(300), run(500), run(250), run(250)], 3, 28],
    [
      'unready pods do not soften a fall',
      5,
      50,
      [run(100), run(300), run(500), run(250, 'never'), run(250, 'never')],
      2,
      30,
    ],
    ['missing pods use all they ask for on the way down', 4, 100, [run(400), run(95), {}, {}], 3, 24],
    ['missing pods use nothing on the way up', 2, 100, [run(1900), {}], 2, 190],
    ['missing pods at the target', 2, 100, [run(1000), {}], 2, 100],
    ['missing pods soften a fall', 2, 100, [run(600), {}], 2, 60],
    ['missing pods use a target above 100 on the way down', 4, 200, [run(1000), run(1000), run(1000), {}], 3, 100],
    ['a tenth above changes nothing', 3, 100, [run(1100), run(1100), run(1100)], 3, 110],
    ['more than a tenth above does', 3, 100, [run(1110), run(1110), run(1110)], 4, 111],
    ['a tenth below changes nothing', 10, 100, Array(10).fill(run(900)), 10, 90],
    ['more than a tenth below does', 10, 100, Array(10).fill(run(890)), 9, 89],
    ['idle pods ask for none', 3, 50, [run(0), run(0), run(0)], 0, 0],
  ])('%s', (_what, replicas, target, pods, wanted, percent) => {
    const proposal = proposalOf(cpu(target), { measures: measuresOf(pods) }, factsOf(pods, replicas));
    expect(proposal.replicas).toBe(wanted);
    expect(proposal.status.resource?.current.averageUtilization).toBe(percent);
    expect(proposal.name).toBe('cpu resource utilization (percentage of request)');
  });

  it('has a tolerance for each direction', () => {
    const pods = [run(1300), run(1300)];
    const wide = { tolerance: { up: 0.5, down: 0 } };
    expect(proposalOf(cpu(100), { measures: measuresOf(pods) }, factsOf(pods, 2, wide)).replicas).toBe(2);
    const low = [run(970), run(970)];
    expect(proposalOf(cpu(100), { measures: measuresOf(low) }, factsOf(low, 2, wide)).replicas).toBe(2);
    const three = Array<PodFacts>(40).fill(run(970));
    expect(proposalOf(cpu(100), { measures: measuresOf(three) }, factsOf(three, 40, wide)).replicas).toBe(39);
  });

  it('of one container: only its request and its use', () => {
    const pods = [run(300), run(500), run(700)];
    const facts = factsOf(pods, 3);
    for (const pod of facts.pods as Pod[]) pod.spec.containers.push({ name: 'helper', image: 'x' } as never);
    const metric: MetricSpec = {
      type: 'ContainerResource',
      containerResource: { name: 'cpu', container: 'main', target: { type: 'Utilization', averageUtilization: 30 } },
    };
    const proposal = proposalOf(metric, { measures: measuresOf(pods) }, facts);
    expect(proposal.replicas).toBe(5);
    expect(proposal.status).toEqual({
      type: 'ContainerResource',
      containerResource: { name: 'cpu', container: 'main', current: { averageUtilization: 50, averageValue: '500m' } },
    });
  });

  it('counts sidecars among the requests, and a request of the pod as a whole instead of all', () => {
    const pods = [run(500)];
    const facts = factsOf(pods, 1);
    const [pod] = facts.pods as Pod[];
    pod!.spec.initContainers = [
      { name: 'once', image: 'x' },
      { name: 'beside', image: 'x', restartPolicy: 'Always', resources: { requests: { cpu: '1' } } },
    ] as never;
    const percent = () =>
      proposalOf(cpu(100), { measures: measuresOf(pods) }, facts).status.resource?.current.averageUtilization;
    expect(percent()).toBe(25);
    pod!.spec.resources = { requests: { cpu: '500m' } } as never;
    expect(percent()).toBe(100);
  });

  it.each<[string, PodFacts[], RegExp]>([
    [
      'a pod without a request',
      [run(100), { milli: 100, request: null }],
      /^missing request for cpu in container main of Pod p1$/,
    ],
    ['no pods', [], /^no pods returned by selector/],
    ['no measures', [{}, {}], /^did not receive metrics for targeted pods/],
    [
      'only pods that are not up',
      [run(5, 'pending')],
      /^did not receive metrics for targeted pods \(pods might be unready\)$/,
    ],
  ])('%s: no number', (_what, pods, said) => {
    expect(() => proposalOf(cpu(50), { measures: measuresOf(pods) }, factsOf(pods, 1))).toThrow(said);
  });

  it('memory has no time to warm up', () => {
    const pods = [run(300_000, 'starting'), run(500_000), run(700_000)];
    const metric: MetricSpec = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '300' } },
    };
    const proposal = proposalOf(metric, { measures: measuresOf(pods) }, factsOf(pods, 3));
    expect([proposal.replicas, proposal.name]).toEqual([5, 'memory resource']);
    expect(proposal.status.resource).toEqual({ name: 'memory', current: { averageValue: '500' } });
  });
});

describe('metrics of pods', () => {
  it.each<[string, number, string, PodFacts[], number, string]>([
    ['scale up', 3, '15', [run(20_000), run(10_000), run(30_000)], 4, '20'],
    ['readiness does not matter', 3, '15', [run(50_000), run(10_000), run(30_000, 'never')], 6, '30'],
    ['pending pods count as idle', 3, '15', [run(50_000), run(10_000), { state: 'pending' }], 4, '30'],
    ['scale down', 5, '20', [run(12_000), run(12_000), run(12_000), run(12_000), run(12_000)], 3, '12'],
    ['missing pods are at the target on the way down', 4, '20', [run(5_000), run(5_000), run(5_000), {}], 2, '5'],
    ['missing pods change nothing at the target itself', 4, '20', [run(20_000), {}, {}, {}], 4, '20'],
  ])('%s', (_what, replicas, target, pods, wanted, mean) => {
    const proposal = proposalOf(perPod(target), { measures: measuresOf(pods) }, factsOf(pods, replicas));
    expect(proposal.replicas).toBe(wanted);
    expect(proposal.status.pods?.current.averageValue).toBe(mean);
    expect(proposal.name).toBe('pods metric qps');
  });
});

describe('one value', () => {
  const three = [run(0), run(0), run(0)];
  const external = (target: { value?: string; averageValue?: string }): MetricSpec => ({
    type: 'External',
    external: { metric: { name: 'queue' }, target: { type: 'Value', ...target } },
  });
  it.each<[string, { value?: string; averageValue?: string }, number, number, number, object]>([
    // target, value in thousandths, replicas, wanted, status
    ['against one for all', { value: '15' }, 20_000, 3, 4, { value: '20' }],
    ['within tolerance', { value: '10m' }, 11, 3, 3, { value: '11m' }],
    ['for each pod', { averageValue: '10' }, 40_000, 3, 4, { averageValue: '13334m' }],
    ['for each pod, within tolerance', { averageValue: '10' }, 31_000, 3, 3, { averageValue: '10334m' }],
    ['for each pod, down', { averageValue: '2' }, 2_000, 3, 1, { averageValue: '667m' }],
  ])('%s', (_what, target, value, replicas, wanted, current) => {
    const proposal = proposalOf(external(target), { value }, factsOf(three, replicas));
    expect(proposal.replicas).toBe(wanted);
    expect(proposal.status.external).toEqual({ metric: { name: 'queue' }, current });
  });

  it('counts ready pods, not wanted ones', () => {
    const pods = [run(0), run(0, 'never'), run(0, 'pending')];
    expect(proposalOf(external({ value: '1' }), { value: 4_000 }, factsOf(pods, 3)).replicas).toBe(4);
  });

  it('from nothing: as many as the value has targets', () => {
    expect(proposalOf(external({ value: '2' }), { value: 5_000 }, factsOf([], 0)).replicas).toBe(3);
  });

  it('of an object names it', () => {
    const describedObject = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'main' };
    const metric: MetricSpec = {
      type: 'Object',
      object: { describedObject, metric: { name: 'requests' }, target: { type: 'Value', value: '2k' } },
    };
    const proposal = proposalOf(metric, { value: 4_000_000 }, factsOf(three, 3));
    expect(proposal).toEqual({
      replicas: 6,
      name: 'Ingress metric requests',
      status: { type: 'Object', object: { describedObject, metric: { name: 'requests' }, current: { value: '4k' } } },
    });
  });
});
