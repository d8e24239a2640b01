import type { KubeObject, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { profile } from '../framework/profile.js';
import { defaultPlugins } from '../profiles.js';
import { schedule } from '../schedule.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { boundTo, testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';

const small = (name: string) => testNode(name, { allocatable: { cpu: '2' } });
const on = (
  node: string,
  name: string,
  priority: number,
  options: { cpu?: string; start?: string; app?: string } = {},
): Pod => {
  const pod = boundTo(
    testPod(name, { requests: { cpu: options.cpu ?? '1' }, labels: { app: options.app ?? 'x' }, spec: { priority } }),
    node,
  );
  return { ...pod, status: { ...pod.status, startTime: options.start ?? '2026-01-01T00:00:00Z' } };
};
const wanting = (cpu: string, spec: Partial<Pod['spec']> = {}) =>
  testPod('high', { requests: { cpu }, spec: { priority: 100, ...spec } });
const budget = (app: string, disruptionsAllowed: number): KubeObject =>
  ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: app, namespace: 'default', uid: app, resourceVersion: '1', creationTimestamp: '' },
    spec: { selector: { matchLabels: { app } } },
    status: { disruptionsAllowed },
  }) as KubeObject;

function wayOut(pod: Pod, nodes: readonly string[], pods: readonly Pod[], objects: readonly KubeObject[] = []) {
  const test = policyTest({ plugins: defaultPlugins(), nodes: nodes.map(small), pods, objects });
  const decision = test.decide(pod);
  if (decision.outcome === 'placed') return 'placed';
  const { preemption } = decision;
  return preemption && `${preemption.node}: ${preemption.victims.map(each => each.metadata.name).join(' ')}`;
}

describe('DefaultPreemption', () => {
  it.each<[string, string | undefined, () => unknown]>([
    [
      'the least important that makes room',
      'a: low',
      () => wayOut(wanting('1'), ['a'], [on('a', 'low', 1), on('a', 'mid', 2)]),
    ],
    [
      'as few as are needed',
      'a: big',
      () => wayOut(wanting('1'), ['a'], [on('a', 'big', 1, { cpu: '1500m' }), on('a', 'tiny', 0, { cpu: '500m' })]),
    ],
    [
      'the node whose top victim matters least',
      'b: low',
      () => wayOut(wanting('2'), ['a', 'b'], [on('a', 'mid', 5), on('b', 'low', 1)]),
    ],
    [
      'then the lowest sum',
      'b: s',
      () => wayOut(wanting('2'), ['a', 'b'], [on('a', 'q', 1), on('a', 'r', 1), on('b', 's', 1)]),
    ],
    [
      'then the latest start',
      'b: new',
      () => wayOut(wanting('2'), ['a', 'b'], [on('a', 'old', 1), on('b', 'new', 1, { start: '2026-02-01T00:00:00Z' })]),
    ],
    ['nobody of the same priority', undefined, () => wayOut(wanting('2'), ['a'], [on('a', 'peer', 100)])],
    [
      'nobody, when told Never',
      undefined,
      () => wayOut(wanting('2', { preemptionPolicy: 'Never' }), ['a'], [on('a', 'low', 1)]),
    ],
    ['nobody, when it would not help', undefined, () => wayOut(wanting('3'), ['a'], [on('a', 'low', 1)])],
    [
      'a node without a broken budget',
      'b: mid',
      () =>
        wayOut(
          wanting('2'),
          ['a', 'b'],
          [on('a', 'low', 1, { app: 'guarded' }), on('b', 'mid', 5)],
          [budget('guarded', 0)],
        ),
    ],
    [
      'a broken budget rather than not at all',
      'a: low',
      () => wayOut(wanting('2'), ['a'], [on('a', 'low', 1, { app: 'guarded' })], [budget('guarded', 0)]),
    ],
  ])('%s', (_name, expected, run) => {
    expect(run()).toBe(expected);
  });

  it('changes nothing by asking, and keeps the room for who waits', () => {
    const low = on('a', 'low', 1, { cpu: '2' });
    const test = policyTest({ plugins: defaultPlugins(), nodes: [small('a')], pods: [low] });
    const high = wanting('2');
    const decision = test.decide(high);
    expect(decision).toMatchObject({ outcome: 'unschedulable', preemption: { node: 'a' } });
    expect(test.state.get('a')!.pods).toEqual([low]);
    test.state.nominate(high.metadata.uid, high, 'a');
    test.remove(low);
    expect(test.place(testPod('late', { requests: { cpu: '1' }, spec: { priority: 1 } }))).toBe('Pending');
    expect(test.place({ ...high, status: { ...high.status, nominatedNodeName: 'a' } })).toBe('a');
  });

  it('leaves the room of those who wait for it, and gives more where there is more', () => {
    const rules = profile({ plugins: defaultPlugins() });
    const state = snapshotOf(
      [small('a'), small('b')],
      [on('a', 'low', 1, { cpu: '2' }), on('b', 'mid', 5, { cpu: '2' })],
    );
    const wayOf = (pod: Pod) => {
      const decision = schedule(pod, state, rules);
      return decision.outcome === 'placed' ? 'placed' : decision.preemption?.node;
    };
    const first = testPod('first', { requests: { cpu: '1500m' }, spec: { priority: 100 } });
    expect(wayOf(first)).toBe('a');
    state.nominate(first.metadata.uid, first, 'a');
    expect(wayOf(wanting('1'))).toBe('b');
    expect(wayOf(wanting('500m'))).toBe('a');
    // One of lower priority must not count on it either; one of higher priority may.
    expect(wayOf(wanting('1', { priority: 3 }))).toBeUndefined();
    expect(wayOf(wanting('1', { priority: 200 }))).toBe('a');
  });
});
