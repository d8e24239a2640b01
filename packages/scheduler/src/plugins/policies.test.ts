/** Semantics of the policies, one table each. */
import { manualClock, type Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { NodeLoads } from '../snapshot/node-loads.js';
import { avoids, boundTo, testNode, testPod } from '../testing/fixtures.js';
import { policyTest, problemsOf } from '../testing/policy-test.js';
import { acceleratorPacking } from './accelerator-packing.js';
import { balancedAllocation } from './balanced-allocation.js';
import { consistentHash } from './consistent-hash.js';
import { firstFitShard, rendezvousShard } from './first-fit-shard.js';
import { leastConnections } from './least-connections.js';
import { loadVariationRisk, riskScore } from './load-variation-risk.js';
import { powerOfTwo } from './power-of-two.js';
import { randomNode } from './random-node.js';
import { resourceFit, type ScoringStrategy } from './resource-fit.js';
import { packingScore, targetLoadPacking } from './target-load-packing.js';
import { topologySpread } from './topology-spread.js';
import { weightedRoundRobin } from './weighted-round-robin.js';

const pods = (count: number, options = {}): Pod[] => Array.from({ length: count }, (_, i) => testPod(`p${i}`, options));
const nodes = (...names: string[]) => names.map(name => testNode(name));
const scoresOf = (plugin: Plugin, pod: Pod, options: Omit<Parameters<typeof policyTest>[0], 'plugins'>) => {
  const decision = policyTest({ plugins: [plugin], ...options }).decide(pod);
  return decision.outcome === 'placed'
    ? Object.fromEntries(decision.scores.map(each => [each.node, each.byPlugin[plugin.name]]))
    : decision.message;
};

describe('NodeResourcesFit', () => {
  const half = boundTo(testPod('half', { requests: { cpu: '2', memory: '4Gi' } }), 'b');
  const pod = testPod('p', { requests: { cpu: '1', memory: '2Gi' } });
  const shape = [
    { utilization: 0, score: 0 },
    { utilization: 100, score: 10 },
  ];
  it.each<[ScoringStrategy, object]>([
    [{ type: 'LeastAllocated' }, { a: 75, b: 25 }],
    [{ type: 'MostAllocated' }, { a: 25, b: 75 }],
    [
      { type: 'RequestedToCapacityRatio', shape },
      { a: 25, b: 75 },
    ],
    [
      { type: 'LeastAllocated', resources: [{ name: 'cpu', weight: 3 }, { name: 'gpu' }] },
      { a: 75, b: 25 },
    ],
  ])('%j', (scoringStrategy, expected) => {
    expect(scoresOf(resourceFit({ scoringStrategy }), pod, { nodes: nodes('a', 'b'), pods: [half] })).toEqual(expected);
  });
  it('refuses shapes that do not rise', () => {
    const bad = [shape[1]!, shape[0]!];
    expect(() => resourceFit({ scoringStrategy: { type: 'RequestedToCapacityRatio', shape: bad } })).toThrow('rises');
  });
  it('gives room back when a pod ends or is removed', () => {
    const test = policyTest({ plugins: [resourceFit()], nodes: [testNode('a', { allocatable: { cpu: '1' } })] });
    const [one, two] = pods(2, { requests: { cpu: '1' } }) as [Pod, Pod];
    expect(test.trace([one, two])).toEqual(['a', 'Pending']);
    test.state.setPod({ ...boundTo(one, 'a'), status: { phase: 'Succeeded' } });
    expect(test.place(two)).toBe('a');
  });
});

describe('NodeResourcesBalancedAllocation', () => {
  it('prefers alike shares', () => {
    const lopsided = boundTo(testPod('x', { requests: { cpu: '3' } }), 'b');
    expect(
      scoresOf(balancedAllocation(), testPod('p', { requests: { cpu: '1', memory: '2Gi' } }), {
        nodes: nodes('a', 'b'),
        pods: [lopsided],
      }),
    ).toEqual({ a: 100, b: 62 });
    expect(scoresOf(balancedAllocation(), testPod('p'), { nodes: nodes('a', 'b'), pods: [lopsided] })).toEqual({
      a: undefined,
      b: undefined,
    });
  });
});

describe('PodTopologySpread', () => {
  const zoned = (name: string, zone: string) => testNode(name, { labels: { 'topology.kubernetes.io/zone': zone } });
  it('spreads the pods of a service without being told', () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'default', uid: 's', resourceVersion: '1', creationTimestamp: '' },
      spec: { selector: { app: 'web' } },
    };
    const test = policyTest({
      plugins: [topologySpread()],
      nodes: [zoned('a1', 'a'), zoned('a2', 'a'), zoned('b1', 'b')],
      objects: [service],
    });
    expect(test.trace(pods(4, { labels: { app: 'web' } }))).toEqual(['a1', 'b1', 'a2', 'b1']);
    expect(policyTest({ plugins: [topologySpread()], nodes: nodes('a', 'b') }).trace(pods(2))).toEqual(['a', 'a']);
  });
});

describe('load-aware policies', () => {
  it.each([
    [0, 40],
    [20, 70],
    [40, 100],
    [70, 20],
    [100, 0],
    [101, 0],
  ])('target load packing at %i %%: %i', (load, score) => {
    expect(packingScore(load, 40)).toBe(score);
  });
  it.each([
    [0, 0, 100],
    [0.5, 0, 75],
    [0.5, 0.5, 50],
    [2, 2, 0],
  ])('risk of mean %d and deviation %d: %i', (mean, deviation, score) => {
    expect(riskScore(mean, deviation)).toBe(score);
  });
  it('counts pods that metrics have not seen, avoids hot spots, and knows when metrics are stale', async () => {
    const clock = manualClock(1_000_000);
    const loads = new NodeLoads({ clock });
    for (const name of ['a', 'b']) loads.add(name, { at: clock.now(), cpu: 1_000, memory: 0 });
    const test = policyTest({ plugins: [targetLoadPacking({ loads, hotSpot: 60 })], nodes: nodes('a', 'b') });
    const load = (name: string) => testPod(name, { requests: { cpu: '800m' } });
    // 25 % and 30 % predicted: past the target the other node is better, past the hot spot none is taken.
    expect(test.trace(['p', 'q', 'r'].map(load))).toEqual(['a', 'b', 'Pending']);
    await clock.advance(1_000);
    loads.add('a', { at: clock.now(), cpu: 400, memory: 0 });
    expect(test.place(load('s'))).toBe('a');
    await clock.advance(600_000);
    expect(loads.of('a')).toBeUndefined();
    expect(scoresOf(loadVariationRisk({ loads }), load('t'), { nodes: nodes('a', 'b') })).toEqual({ a: 0, b: 0 });
  });
});

describe('balancers', () => {
  it('weighted round robin is smooth, and takes a failed binding back', () => {
    const weights: Record<string, number> = { a: 5, b: 1, c: 1 };
    const test = policyTest({
      plugins: [weightedRoundRobin({ weightOf: node => weights[node.name]! })],
      nodes: nodes('a', 'b', 'c'),
    });
    expect(test.trace(pods(7))).toEqual(['a', 'a', 'b', 'a', 'c', 'a', 'a']);
    const [x] = pods(1) as [Pod];
    expect(test.place(x)).toBe('a');
    test.unbind(x, 'a');
    expect(test.place(testPod('y'))).toBe('a');
  });
  it('least connections takes the emptiest', () => {
    const test = policyTest({
      plugins: [leastConnections()],
      nodes: nodes('a', 'b'),
      pods: [boundTo(testPod('x'), 'a')],
    });
    expect(test.trace(pods(3))).toEqual(['b', 'a', 'b']);
  });
  it('two choices are nearly even, one is not', () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    const most = (plugin: Plugin) => {
      const test = policyTest({
        plugins: [plugin],
        nodes: names.map(name => testNode(name, { allocatable: { pods: '1000' } })),
      });
      test.trace(pods(600));
      return Math.max(...test.state.nodes.map(node => node.pods.length));
    };
    expect(most(powerOfTwo())).toBeLessThanOrEqual(34);
    expect(most(randomNode())).toBeGreaterThan(34);
  });
  it('consistent hashing keeps keys, within the bound', () => {
    const key = (pod: Pod) => pod.metadata.labels!['key']!;
    const place = (names: string[]) => {
      const test = policyTest({
        plugins: [consistentHash({ key, loadFactor: Number.POSITIVE_INFINITY })],
        nodes: nodes(...names),
      });
      return Array.from({ length: 200 }, (_, i) => test.place(testPod(`p${i}`, { labels: { key: `k${i}` } })));
    };
    const before = place(['a', 'b', 'c', 'd']);
    const after = place(['a', 'b', 'c']);
    // Only what was on d moves.
    before.forEach((node, i) => {
      if (node !== 'd') expect(after[i]).toBe(node);
    });
    const bounded = policyTest({
      plugins: [consistentHash({ key: () => 'one', loadFactor: 1 })],
      nodes: nodes('a', 'b'),
    });
    bounded.trace(pods(6));
    expect(bounded.state.nodes.map(node => node.pods.length)).toEqual([3, 3]);
  });
  it('first fit fills its shard, then asks peers in turn', () => {
    const world = ['a1', 'a2', 'b1', 'c1'].map(name => testNode(name, { allocatable: { cpu: '2' } }));
    const shardOf = ({ name }: { name: string }) => name[0]!;
    const test = policyTest({
      plugins: [{ ...resourceFit(), weight: 0 }, firstFitShard({ shard: 'a', shards: ['a', 'b', 'c'], shardOf })],
      nodes: world,
    });
    const placed = pods(9, { requests: { cpu: '1' } });
    expect(test.trace(placed)).toEqual(['a1', 'a1', 'a2', 'a2', 'b1', 'c1', 'b1', 'c1', 'Pending']);
    test.remove(placed[0]!);
    expect(test.place(placed[8]!)).toBe('a1');
  });
  it('a shard that joins k others takes 1/(k+1) of the nodes, and nothing else moves', () => {
    const names = Array.from({ length: 3_000 }, (_, i) => `node-${i}`);
    for (const k of [1, 2, 4, 9]) {
      const before = Array.from({ length: k }, (_, i) => `s${i}`);
      const moved = names.filter(name => rendezvousShard(name, before) !== rendezvousShard(name, [...before, 'new']));
      expect(moved.every(name => rendezvousShard(name, [...before, 'new']) === 'new')).toBe(true);
      expect(Math.abs(moved.length / names.length - 1 / (k + 1))).toBeLessThan(0.04);
    }
  });
});

describe('accelerators', () => {
  const gpu = (name: string) =>
    testNode(name, { allocatable: { 'nvidia.com/gpu': '2', 'orbitkit.dev/gpu-share': '200' } });
  const asking = (name: string, requests: Record<string, string>) => testPod(name, { requests });
  it('packs shares on one device, and keeps whole ones for those who need them', () => {
    const test = policyTest({
      plugins: [{ ...resourceFit(), weight: 0 }, acceleratorPacking()],
      nodes: [gpu('a'), gpu('b')],
    });
    const share = (name: string, hundredths: string) => asking(name, { 'orbitkit.dev/gpu-share': hundredths });
    expect(test.trace([share('p', '60'), share('q', '40'), share('r', '60'), share('s', '50')])).toEqual([
      'a',
      'a',
      'a',
      'b',
    ]);
    expect(test.place(asking('t', { 'nvidia.com/gpu': '2' }))).toBe('Pending');
    expect(test.place(asking('u', { 'nvidia.com/gpu': '1' }))).toBe('b');
    expect(test.place(share('v', '60'))).toBe('Pending');
  });
});

describe('every policy', () => {
  const plugins: readonly [string, () => Plugin[]][] = [
    ['random', () => [randomNode({ seed: '7' })]],
    ['two choices', () => [powerOfTwo()]],
    ['least connections', () => [leastConnections()]],
    ['weighted round robin', () => [weightedRoundRobin()]],
    ['consistent hash', () => [consistentHash()]],
    ['first fit', () => [firstFitShard({ shard: 'a', shards: ['a', 'b'] })]],
  ];
  it.each(plugins)('%s never overcommits and answers the same again', (_name, make) => {
    const many = Array.from({ length: 40 }, (_, i) =>
      testPod(`p${i}`, { requests: { cpu: `${100 + 37 * i}m` }, spec: i % 5 === 0 ? avoids({ app: 'x' }) : {} }),
    );
    expect(problemsOf(make, nodes('a', 'b', 'c', 'd'), many)).toEqual([]);
  });
});
