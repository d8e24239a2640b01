/** What load-aware policies are fed: metrics.k8s.io, their age, pods that metrics have not seen; and the formulas on it, as golden numbers. */
import { type Client, manualClock, type Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../framework/event.js';
import { loadVariationRisk } from '../plugins/load-variation-risk.js';
import { targetLoadPacking } from '../plugins/target-load-packing.js';
import { testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';
import { NodeLoads } from './node-loads.js';

const start = Date.parse('2026-01-01T00:00:00Z');
const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

describe('fed by metrics.k8s.io', () => {
  function fed(options = {}) {
    const clock = manualClock(start);
    const loads = new NodeLoads({ clock, ...options });
    const noticed: ClusterEvent[] = [];
    const api = {
      usage: { a: '1500m' } as Record<string, string>,
      at: undefined as string | undefined,
      fails: false,
      asked: 0,
    };
    const client = {
      list() {
        api.asked += 1;
        if (api.fails) return Promise.reject(new Error('no metrics'));
        const timestamp = api.at ?? new Date(clock.now()).toISOString();
        return Promise.resolve({
          items: Object.entries(api.usage).map(([name, cpu]) => ({
            metadata: { name },
            timestamp,
            usage: { cpu, memory: '2Gi' },
          })),
        });
      },
    } as unknown as Client;
    const stop = new AbortController();
    stops.push(stop);
    const handle = {
      client,
      clock,
      snapshot: policyTest({ plugins: [], nodes: [] }).state,
      signal: stop.signal,
      notice: (event: ClusterEvent) => void noticed.push(event),
    };
    loads.feed(handle);
    // A second plugin that shares it asks no second time.
    loads.feed(handle);
    return { clock, loads, noticed, api, settled: () => clock.advance(0) };
  }

  it('asks each half minute and tells the queue', async () => {
    const { clock, loads, noticed, api, settled } = fed();
    await settled();
    expect(loads.of('a')).toMatchObject({ at: start, cpu: 1_500, memory: 2 * 1024 ** 3 });
    expect(loads.of('b')).toBeUndefined();
    api.usage = { a: '500m', b: '250m' };
    await clock.advance(30_000);
    expect(api.asked).toBe(2);
    expect(loads.of('a')).toMatchObject({ cpu: 500, mean: { cpu: 1_000 }, deviation: { cpu: 500 } });
    expect(loads.of('b')).toMatchObject({ cpu: 250 });
    expect(noticed).toEqual([{ type: 'NodeMetrics' }, { type: 'NodeMetrics' }]);
  });
  it('is unknown when it is stale: the API fails, or repeats an old measure', async () => {
    for (const broken of ['fails', 'repeats'] as const) {
      const { clock, loads, api, settled } = fed({ maxAgeMs: 60_000 });
      await settled();
      if (broken === 'fails') api.fails = true;
      else api.at = new Date(start).toISOString();
      await clock.advance(60_000);
      expect(loads.of('a')).toBeDefined();
      await clock.advance(30_000);
      expect(loads.of('a')).toBeUndefined();
      api.fails = false;
      api.at = undefined;
      await clock.advance(30_000);
      expect(loads.of('a')).toMatchObject({ cpu: 1_500 });
    }
  });
  it('forgets what is older than its window', async () => {
    const { clock, loads, api, settled } = fed({ windowMs: 60_000 });
    await settled();
    api.usage = { a: '500m' };
    await clock.advance(90_000);
    expect(loads.of('a')).toMatchObject({ mean: { cpu: 500 }, deviation: { cpu: 0 } });
  });
});

describe('formulas', () => {
  const nodes = [testNode('a', { allocatable: { cpu: '10' } }), testNode('b', { allocatable: { cpu: '10' } })];
  const asking = (cpu: string, limit?: string): Pod =>
    testPod('p', {
      spec: {
        containers: [
          { name: 'c', image: 'i', resources: { requests: { cpu }, ...(limit ? { limits: { cpu: limit } } : {}) } },
        ],
      },
    });
  const bestEffort = testPod('p');
  const scoresWith = (make: (loads: NodeLoads) => ReturnType<typeof targetLoadPacking>, a: number, pod: Pod) => {
    const clock = manualClock(start);
    const loads = new NodeLoads({ clock });
    loads.add('a', { at: start, cpu: a, memory: 0 });
    const plugin = make(loads);
    const decision = policyTest({ plugins: [plugin], nodes }).decide(pod);
    if (decision.outcome !== 'placed') throw new Error(decision.message);
    return Object.fromEntries(decision.scores.map(each => [each.node, each.byPlugin[plugin.name]]));
  };
  // Node of 10 cores, target 40 %: p ≤ 40: 60·p/40 + 40; p ≤ 100: 40·(100 − p)/60; beyond: 0. b has no metrics: 0.
  it.each<[number, Pod, string, number]>([
    [0, bestEffort, 'no request counts a core: 10 %', 55],
    [3_000, bestEffort, 'at the target', 100],
    [0, asking('2'), 'a request counts one and a half: 30 %', 85],
    [0, asking('2', '4'), 'a limit counts as it is: 40 %', 100],
    [2_500, asking('2'), '55 %', 30],
    [9_000, bestEffort, 'full', 0],
    [9_500, bestEffort, 'beyond', 0],
  ])('target load packing: %i used, %j', (used, pod, _what, expected) => {
    expect(scoresWith(loads => targetLoadPacking({ loads }), used, pod)).toEqual({ a: expected, b: 0 });
  });
  it('a target of one’s own', () => {
    expect(scoresWith(loads => targetLoadPacking({ loads, target: 50 }), 4_000, bestEffort)).toMatchObject({ a: 100 });
    expect(() => targetLoadPacking({ target: 100 })).toThrow('target is 100');
  });
  // risk = (mean + margin · deviation^(1/sensitivity)) / 2, the worse of cpu and memory.
  it.each([
    ['steady: mean 0.5', [4_000, 4_000], {}, 75],
    ['as much on average, less steady: deviation 0.3', [1_000, 7_000], {}, 60],
    ['twice the margin', [1_000, 7_000], { margin: 2 }, 45],
    ['sensitivity 2: the root of 0.09', [3_100, 4_900], { sensitivity: 2 }, 60],
  ] as const)('load variation risk: %s', (_what, samples, options, expected) => {
    const clock = manualClock(start);
    const loads = new NodeLoads({ clock });
    for (const [i, cpu] of samples.entries()) loads.add('a', { at: start - 1_000 + i, cpu, memory: 0 });
    const plugin = loadVariationRisk({ loads, ...options });
    const decision = policyTest({ plugins: [plugin], nodes }).decide(asking('1'));
    if (decision.outcome !== 'placed') throw new Error(decision.message);
    expect(decision.scores.find(({ node }) => node === 'a')!.byPlugin[plugin.name]).toBe(expected);
  });
  it('a burst between two samples does not herd onto the node that was quiet, and a hot spot takes nobody', () => {
    const clock = manualClock(start);
    const loads = new NodeLoads({ clock });
    for (const name of ['a', 'b']) loads.add(name, { at: start, cpu: 2_000, memory: 0 });
    const test = policyTest({ plugins: [targetLoadPacking({ loads, hotSpot: 50 })], nodes });
    const burst = Array.from({ length: 5 }, (_, i) => ({
      ...asking('1'),
      metadata: { ...asking('1').metadata, name: `p${i}`, uid: `u${i}` },
    }));
    // 20 % and 15 % a pod: a at 35, b too; 50 is the most; then none is left.
    expect(test.trace(burst)).toEqual(['a', 'b', 'a', 'b', 'Pending']);
    test.unbind(burst[0]!, 'a');
    expect(test.place(burst[4]!)).toBe('a');
  });
});
