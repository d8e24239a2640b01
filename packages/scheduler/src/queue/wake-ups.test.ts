/** What it costs that pods wait: how many are decided again after an event, and how many are asked about. */
import { manualClock, type Node, type Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../framework/event.js';
import type { Plugin } from '../framework/plugin.js';
import { profile } from '../framework/profile.js';
import { nodeEvents, podEvents } from '../live/cluster-events.js';
import { defaultPlugins } from '../profiles.js';
import { schedule } from '../schedule.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { boundTo, testNode, testPod } from '../testing/fixtures.js';
import { schedulingQueue } from './scheduling-queue.js';

const web = { app: 'web' };
const db = { app: 'db' };
const taint = { key: 'k', effect: 'NoSchedule' as const };
const on = (name: string, cpu: string): Pod => boundTo(testPod(name, { requests: { cpu } }), 'n');
const gone = (pod: Pod) => podEvents(pod, undefined);
const changed = (before: Parameters<typeof testNode>[1], after: Parameters<typeof testNode>[1]) =>
  nodeEvents(testNode('n', before), testNode('n', after));

describe('5,000 pods that wait', () => {
  function waiting(pods: readonly Pod[], nodes: readonly Node[], there: readonly Pod[] = []) {
    const clock = manualClock(0);
    const state = snapshotOf(nodes, there);
    const rules = profile({ plugins: defaultPlugins() });
    const queue = schedulingQueue({ profile: rules, clock, snapshot: state });
    const attempts = (): number => {
      let count = 0;
      for (let next = queue.take(); next; next = queue.take()) {
        count += 1;
        const decision = schedule(next.pod, state, rules);
        queue.refuse(next.pod.metadata.uid, decision.outcome === 'placed' ? new Set() : decision.refusedBy);
      }
      return count;
    };
    for (const pod of pods) queue.add(pod);
    expect(attempts()).toBe(pods.length);
    expect(queue.sizes.unschedulable).toBe(pods.length);
    return {
      state,
      after: async (events: readonly ClusterEvent[]): Promise<number> => {
        for (const event of events) queue.notice(event);
        // Past the longest back-off, before anybody is tried for having rested long.
        await clock.advance(20_000);
        return attempts();
      },
    };
  }
  const many = (make: (index: number) => Pod): Pod[] => Array.from({ length: 5_000 }, (_, i) => make(i));

  it('sleep through what cannot help them, and all wake for what can', async () => {
    const large = many(i => testPod(`large-${i}`, { requests: { cpu: '3' }, labels: web }));
    const there = [on('stays', '2'), on('leaves', '1')];
    const of = waiting(large, [testNode('n')], there);
    expect(await of.after(podEvents(undefined, boundTo(testPod('new', { labels: web }), 'n')))).toBe(0);
    expect(await of.after(changed({}, { labels: { a: 'b' } }))).toBe(0);
    expect(await of.after(changed({ taints: [taint] }, {}))).toBe(0);
    expect(await of.after(nodeEvents(undefined, testNode('small', { allocatable: { cpu: '2' } })))).toBe(0);
    of.state.removePod(there[1]!.metadata.uid);
    // 2 of 4 cores are free now: not three.
    expect(await of.after(gone(there[1]!))).toBe(0);
    of.state.removePod(there[0]!.metadata.uid);
    expect(await of.after(gone(there[0]!))).toBe(5_000);
  });

  it('of one kind are asked for once, and only those of a kind that an event helps wake', async () => {
    let asked = 0;
    const picky: Plugin = {
      name: 'Picky',
      events: [
        {
          type: 'NodeLabel',
          perClass: true,
          hint(pod) {
            asked += 1;
            return pod.metadata.labels?.app === 'db' ? 'Queue' : 'Skip';
          },
        },
      ],
    };
    const clock = manualClock(0);
    const queue = schedulingQueue({ profile: profile({ plugins: [picky] }), clock });
    for (const pod of many(i => testPod(`p${i}`, { labels: i % 10 === 0 ? db : web }))) {
      queue.add(pod);
      queue.take();
      queue.refuse(pod.metadata.uid, new Set(['Picky']));
    }
    queue.notice({ type: 'NodeLabel', after: testNode('n') });
    expect([asked, queue.sizes.backoff, queue.sizes.unschedulable]).toEqual([2, 500, 4_500]);
  });

  it('a hint that throws wakes', () => {
    const broken: Plugin = {
      name: 'Broken',
      events: [
        {
          type: 'PodDelete',
          hint() {
            throw new Error('no idea');
          },
        },
      ],
    };
    const rules = profile({ plugins: [broken] });
    expect(rules.concerns({ type: 'PodDelete' }, testPod('p'), new Set(['Broken']))).toBe(true);
  });
});
