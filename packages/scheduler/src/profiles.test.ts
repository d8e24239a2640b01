import type { Node, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { commit } from './commit.js';
import { type Profile, profile } from './framework/profile.js';
import { type MiniK8sOptions, miniK8sPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { avoids, boundTo, testNode, testPod } from './testing/fixtures.js';

/** A cluster of w1, w2, w3 whose queue starts as w2, w1, w3, as in the recorded trace. */
function cluster(options: MiniK8sOptions = {}) {
  const cache = new ClusterState();
  const nodes: Node[] = ['w1', 'w2', 'w3'].map(name => testNode(name));
  for (const node of nodes) cache.setNode(node);
  const rules: Profile = profile({ plugins: miniK8sPlugins({ order: ['w2', 'w1', 'w3'], ...options }) });
  return {
    place(pod: Pod): string {
      if (pod.spec.nodeName) {
        cache.setPod(pod);
        return pod.spec.nodeName;
      }
      const decision = schedule(pod, cache.snapshot(), rules);
      if (decision.outcome === 'unschedulable') return 'Pending';
      commit(pod, decision.node, rules);
      cache.setPod(boundTo(pod, decision.node));
      return decision.node;
    },
  };
}
const plain = (name: string) => testPod(name);
const ice = (name: string) => testPod(name, { labels: { app: 'ice' }, spec: avoids({ app: 'flame' }) });
const flame = (name: string) => testPod(name, { labels: { app: 'flame' }, spec: avoids({ app: 'ice' }) });
const pinned = (pod: Pod, node: string): Pod => boundTo(pod, node);

/** The golden trace of the older MiniK8s scheduler (its queue, watched live). */
function trace(options: MiniK8sOptions): string[] {
  const { place } = cluster(options);
  const seen: string[] = [];
  for (let i = 0; i < 5; i++) seen.push(place(plain(`a${i}`)));
  seen.push(place(pinned(plain('fixed'), 'w3')));
  seen.push(place(plain('b0')), place(plain('b1')));
  seen.push(place(ice('ice')), place(flame('flame')));
  for (let i = 0; i < 3; i++) seen.push(place(plain(`c${i}`)));
  seen.push(place(flame('flame2')));
  for (const node of ['w1', 'w2', 'w3']) place(pinned(testPod(`ice-${node}`, { labels: { app: 'ice' } }), node));
  seen.push(place(flame('flame3')));
  return seen;
}

const golden = ['w2', 'w1', 'w3', 'w2', 'w1', 'w3', 'w3', 'w2', 'w1', 'w3', 'w2', 'w1', 'w3', 'w2'];

describe('the MiniK8s profile', () => {
  it('reproduces the recorded trace with soft anti-affinity', () => {
    expect(trace({ antiAffinity: 'soft' })).toEqual([...golden, 'w1']);
  });

  it('keeps a pod Pending whose required anti-affinity excludes every node, by default', () => {
    expect(trace({})).toEqual([...golden, 'Pending']);
  });

  it('spreads evenly over nodes that take turns', () => {
    const { place } = cluster();
    const counts = new Map<string, number>();
    for (let i = 0; i < 30; i++) {
      const node = place(plain(`p${i}`));
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([10, 10, 10]);
  });
});
