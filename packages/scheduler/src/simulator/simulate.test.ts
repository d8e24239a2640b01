import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { minMemberAnnotation, podGroupLabel } from '../plugins/gang.js';
import { resourceFit } from '../plugins/resource-fit.js';
import { testNode } from '../testing/fixtures.js';
import { nodePool } from './nodes.js';
import type { Policy } from './policies.js';
import { namedPolicy, policyNames } from './policies.js';
import { type SimulateOptions, simulate } from './simulate.js';
import { type Arrival, type GeneratedWorkload, podTemplate } from './workload.js';

const small = podTemplate({ requests: { cpu: 1, memory: '1Gi' } });
const pod = (at: number, name: string, seconds: number, more: Partial<Arrival> = {}): Arrival => ({
  at,
  name,
  group: 'all',
  seconds,
  template: small,
  ...more,
});
const one = async (options: Partial<SimulateOptions> & Pick<SimulateOptions, 'workload'>) => {
  const report = await simulate({
    nodes: [testNode('a')],
    policies: [namedPolicy('default')],
    until: 1_000,
    ...options,
  });
  return report.policies[0]!;
};

const mixed: GeneratedWorkload[] = [
  {
    group: 'web',
    arrivals: { process: 'poisson', rate: 0.3 },
    lifetime: { distribution: 'lognormal', median: 200, sigma: 1 },
    shapes: [{ requests: { cpu: '500m', memory: '1Gi' }, weight: 3 }, { requests: { cpu: 2, memory: '1Gi' } }],
    priority: 10,
    usage: { mean: 0.5, deviation: 0.1 },
  },
  {
    group: 'batch',
    arrivals: { process: 'bursts', every: 200, size: 30 },
    lifetime: { distribution: 'pareto', least: 30, shape: 1.5 },
    shapes: [{ requests: { cpu: 1, memory: '3Gi' } }],
    gang: 3,
  },
];
const busy: SimulateOptions = {
  nodes: nodePool({ name: 'n', count: 20, resources: { cpu: 8, memory: '16Gi' }, zones: ['a', 'b'] }),
  workload: mixed,
  policies: [namedPolicy('default', { gang: true }), namedPolicy('minik8s'), namedPolicy('random')],
  until: 1_000,
  seed: 5,
  failures: { meanTimeBetween: 3_000, repair: 400, evictAfter: 100 },
  rolling: { at: 200, seconds: 60, parallel: 2 },
};

describe('simulate', () => {
  it('gives the same bytes for a seed, others for another', async () => {
    const [first, second] = [JSON.stringify(await simulate(busy)), JSON.stringify(await simulate(busy))];
    expect(second).toBe(first);
    expect(JSON.stringify(await simulate({ ...busy, seed: 6 }))).not.toBe(first);
  });

  it('accounts for every pod: placements are completed, evicted or running, and nobody is lost', async () => {
    const report = await simulate(busy);
    expect(report.pods).toBeGreaterThan(300);
    for (const policy of report.policies) {
      const { completed, evictions, placements, unplaced } = policy;
      const evicted = Object.values(evictions).reduce((sum, each) => sum + each, 0);
      expect(evicted).toBeGreaterThan(0);
      expect(policy.moves).toBeGreaterThan(0);
      // Every pod and every replacement has waited once, to its placement or to the end.
      expect(policy.waiting.count).toBe(placements + unplaced);
      expect(policy.waiting.count).toBe(report.pods + evicted);
      // The last sample is that of the end.
      const last = policy.series.at(-1)!;
      expect(last.at).toBe(busy.until);
      expect(last.running).toBe(placements - completed - evicted);
      expect(last.waiting).toBe(unplaced);
      for (const { utilisation } of policy.series)
        for (const spread of Object.values(utilisation)) expect(spread.p95).toBeLessThanOrEqual(1);
    }
  });

  it.each(policyNames)('%s places what fits', async name => {
    const result = await one({
      nodes: [testNode('a'), testNode('b')],
      policies: [namedPolicy(name)],
      workload: [{ pods: Array.from({ length: 8 }, (_, i) => pod(i, `p${i}`, 100)) }],
    });
    expect(result).toMatchObject({ placements: 8, completed: 8, unplaced: 0 });
  });

  it('lets a pod wait for room, and says how long', async () => {
    const workload = [{ pods: [0, 1, 2, 3].map(i => pod(0, `p${i}`, 100)).concat(pod(10, 'late', 50)) }];
    const result = await one({ workload, sloWaiting: 80 });
    expect(result.waiting).toMatchObject({ count: 5, p50: 0, max: 90 });
    expect(result.slo).toEqual({ bound: 80, missed: 1, share: 0.2 });
    expect(result).toMatchObject({ completed: 5, decisions: 6, refusals: 1 });
  });

  it('averages utilisation over nodes, and leaves the warm-up out', async () => {
    const result = await one({
      nodes: [testNode('a'), testNode('b')],
      workload: [{ pods: [pod(500, 'one', 1_000), pod(500, 'two', 1_000)] }],
      policies: [namedPolicy('mostAllocated')],
      warmup: 500,
      sampleEvery: 100,
    });
    // Both on one node of two: half of it, nothing of the other.
    expect(result.utilisation.cpu).toEqual({ mean: 0.25, p95: 0.5, deviation: 0.25 });
    expect(result.finalLoads).toEqual([0.5, 0]);
  });

  it('calls room fragmented that the pods of the workload cannot use', async () => {
    const large = podTemplate({ requests: { cpu: 3 } });
    const result = await one({
      nodes: [testNode('a'), testNode('b')],
      workload: [{ pods: [pod(0, 'large', Number.POSITIVE_INFINITY, { template: large })] }],
      sampleEvery: 100,
    });
    // One core free on one node where no large pod fits, four on the other where it does.
    expect(result.fragmentation.cpu).toBeCloseTo(0.2);
  });

  it('preempts: the victim comes again, with its whole life before it', async () => {
    const important = podTemplate({ requests: { cpu: 4, memory: '1Gi' }, priority: 100 });
    const result = await one({
      workload: [{ pods: [pod(0, 'low', 200), pod(100, 'high', 50, { template: important, group: 'vip' })] }],
    });
    expect(result.evictions.preempted).toBe(1);
    expect(result).toMatchObject({ placements: 3, completed: 2, moves: 0 });
    // It ran 100 s in vain, waited about 50 s, and ran 200 s.
    expect(result.fairness.groups['all']!.served).toBeCloseTo(300 / 351, 2);
    expect(result.fairness.index).toBeLessThan(1);
  });

  it('loses the pods of a node that stays away, not of one that comes back in time', async () => {
    const change = (at: number, what: 'fail' | 'lose' | 'repair') => ({ at, what, name: 'a' }) as const;
    const workload = [{ pods: [pod(0, 'one', 500)] }];
    const short = await one({ workload, changes: [change(10, 'fail'), change(20, 'repair')] });
    expect(short).toMatchObject({ placements: 1, completed: 1, evictions: { failed: 0 } });
    const long = await one({ workload, changes: [change(10, 'fail'), change(310, 'lose'), change(400, 'repair')] });
    expect(long).toMatchObject({ placements: 2, completed: 1, evictions: { failed: 1 } });
    expect(long.waiting.max).toBe(90);
  });

  it('rolls nodes: each is emptied once', async () => {
    const nodes = nodePool({ name: 'n', count: 3, resources: { cpu: 8, memory: '16Gi' } });
    const pods = Array.from({ length: 6 }, (_, i) => pod(0, `p${i}`, Number.POSITIVE_INFINITY));
    const result = await one({ nodes, workload: [{ pods }], rolling: { at: 100, seconds: 50 } });
    expect(result.evictions.drained).toBeGreaterThanOrEqual(6);
    expect(result.moves).toBe(result.evictions.drained);
    expect(result.unplaced).toBe(0);
  });

  it('takes nodes that join, change and leave', async () => {
    const result = await one({
      nodes: [],
      workload: [{ pods: [pod(0, 'one', 500)] }],
      changes: [
        { at: 50, what: 'set', node: testNode('b', { unschedulable: true }) },
        { at: 100, what: 'set', node: testNode('b') },
        { at: 200, what: 'remove', name: 'b' },
        { at: 300, what: 'set', node: testNode('c') },
      ],
    });
    expect(result).toMatchObject({ placements: 2, completed: 1, moves: 1, evictions: { removed: 1 } });
    expect(result.waiting.max).toBe(100);
  });

  it('places gangs all or none', async () => {
    const gang = (name: string, size: number, at: number) =>
      Array.from({ length: size }, (_, i) =>
        pod(at, `${name}-${i}`, 100, {
          labels: { [podGroupLabel]: name },
          annotations: { [minMemberAnnotation]: `${size}` },
        }),
      );
    const workload = [{ pods: [...gang('fits', 3, 0), ...gang('large', 5, 200)] }];
    const together = await one({ workload, policies: [namedPolicy('default', { gang: true })] });
    expect(together).toMatchObject({ placements: 3, completed: 3, unplaced: 5 });
    const apart = await one({ workload });
    expect(apart).toMatchObject({ placements: 8, completed: 8 });
  });

  it('tells load-aware policies what pods use, not what they ask for', async () => {
    const idle = pod(0, 'idle', Number.POSITIVE_INFINITY, { usage: 0 });
    const working = [1, 2].map(i => pod(0, `working${i}`, Number.POSITIVE_INFINITY, { usage: 1 }));
    const where: string[] = [];
    const watching: Policy = {
      name: 'watching',
      plugins: lent => [
        ...namedPolicy('loadVariationRisk').plugins(lent),
        { name: 'Watch', postBind: (each, node) => void where.push(`${each.metadata.name} ${node}`) },
      ],
    };
    // a: 1 core asked for, none used; b: two used.
    const pinned = (each: Arrival, node: string): Arrival => ({
      ...each,
      template: podTemplate({ requests: { cpu: 1 }, spec: { nodeSelector: { 'kubernetes.io/hostname': node } } }),
    });
    await one({
      nodes: [testNode('a'), testNode('b')],
      policies: [watching],
      workload: [{ pods: [pinned(idle, 'a'), ...working.map(each => pinned(each, 'b')), pod(100, 'next', 10)] }],
    });
    expect(where.at(-1)).toBe('next a');
  });

  it('a plugin that throws ends it, with policy and pod', async () => {
    const broken: Plugin = {
      name: 'Broken',
      filter() {
        throw new Error('no idea');
      },
    };
    const policies = [{ name: 'mine', plugins: () => [resourceFit(), broken] }];
    await expect(one({ policies, workload: [{ pods: [pod(0, 'web', 1)] }] })).rejects.toThrow(
      'policy "mine", pod "web": plugin "Broken" failed in filter: no idea',
    );
  });

  it('refuses options that make no sense', async () => {
    const workload = [{ pods: [] }];
    await expect(one({ workload, until: Number.POSITIVE_INFINITY })).rejects.toThrow('until is Infinity');
    await expect(one({ workload, warmup: 1_000 })).rejects.toThrow('warmup is 1000');
    await expect(one({ workload, policies: [] })).rejects.toThrow('at least one');
    await expect(one({ workload, policies: [namedPolicy('default'), namedPolicy('default')] })).rejects.toThrow(
      'one name',
    );
    await expect(one({ workload, policies: [namedPolicy('default', { without: ['Nothing'] })] })).rejects.toThrow(
      'policy "default" has no plugin "Nothing"',
    );
  });

  it('ends when the signal aborts', async () => {
    const reason = new Error('enough');
    await expect(simulate({ ...busy, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('measures speed only with a stopwatch', async () => {
    const workload = [{ pods: [pod(0, 'one', 1)] }];
    expect(await one({ workload })).not.toHaveProperty('speed');
    let now = 0;
    const { speed } = await one({ workload, stopwatch: () => (now += 1) });
    expect(speed!.decisionsPerSecond).toBeGreaterThan(0);
  });
});
