import type { KubeObject, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { snapshotOf } from '../snapshot/snapshot.js';
import { avoids, type NodeOptions, type PodOptions, testNode, testPod } from '../testing/fixtures.js';
import type { EvictorOptions } from './evictor.js';
import { type DescheduleStrategy, type PlanOptions, planEvictions } from './plan.js';
import { removeDuplicates, removePodsViolatingTopologySpreadConstraint } from './spread.js';
import { highNodeUtilization, lowNodeUtilization } from './utilization.js';
import {
  removePodsViolatingInterPodAntiAffinity,
  removePodsViolatingNodeAffinity,
  removePodsViolatingNodeTaints,
} from './violations.js';

const owned = (kind = 'ReplicaSet', name = 'web') => [
  { apiVersion: 'apps/v1', kind, name, uid: `uid-${name}`, controller: true },
];

function on(
  node: string,
  name: string,
  options: PodOptions & { owner?: object[]; meta?: object; priority?: number } = {},
): Pod {
  const { owner = owned(), meta = {}, priority, ...rest } = options;
  const pod = testPod(name, {
    ...rest,
    phase: 'Running',
    spec: { ...rest.spec, nodeName: node, ...(priority === undefined ? {} : { priority }) },
  });
  return { ...pod, metadata: { ...pod.metadata, ownerReferences: owner, ...meta } } as Pod;
}
const cpu = (amount: string) => ({ requests: { cpu: amount } });

function plan(
  nodes: Record<string, NodeOptions>,
  pods: readonly Pod[],
  strategy: DescheduleStrategy | DescheduleStrategy[],
  options: Partial<PlanOptions> = {},
  objects: readonly KubeObject[] = [],
): string[] {
  const state = snapshotOf(
    Object.entries(nodes).map(([name, node]) => testNode(name, node)),
    pods,
  );
  for (const object of objects) state.objects.set(object);
  const before = state.nodes.map(node => [
    node.name,
    node.pods.map(each => each.metadata.name).sort(),
    [...node.requested],
  ]);
  const planned = planEvictions(state, { strategies: [strategy].flat(), ...options });
  // It asks and changes nothing.
  expect(
    state.nodes.map(node => [node.name, node.pods.map(each => each.metadata.name).sort(), [...node.requested]]),
  ).toEqual(before);
  return planned.map(({ pod, node, target }) => `${pod.metadata.name}: ${node} → ${target ?? '?'}`);
}

describe('strategies', () => {
  const spread = (maxSkew = 1): PodOptions => ({
    labels: { app: 'a' },
    spec: {
      topologySpreadConstraints: [
        {
          maxSkew,
          topologyKey: 'zone',
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: { app: 'a' } },
        },
      ],
    },
  });
  const zones = { x: { labels: { zone: 'x' } }, y: { labels: { zone: 'y' } } };

  it.each<[string, string[], () => string[]]>([
    [
      'low: from above the target to nearly empty nodes, until it is below',
      ['p1: a → b', 'p2: a → b'],
      () =>
        plan(
          { a: {}, b: {} },
          [on('a', 'p1', cpu('1')), on('a', 'p2', cpu('1')), on('a', 'p3', cpu('1')), on('a', 'p4', cpu('1'))],
          lowNodeUtilization(),
        ),
    ],
    [
      'low: the least important first',
      ['low: a → b'],
      () =>
        plan(
          { a: {}, b: {} },
          [on('a', 'high', { ...cpu('1500m'), priority: 10 }), on('a', 'low', { ...cpu('1'), priority: 1 })],
          lowNodeUtilization(),
        ),
    ],
    [
      'low: a target takes no more than its own target',
      ['p1: a → b', 'p2: a → b'],
      () =>
        plan(
          { a: { allocatable: { cpu: '8' } }, b: {} },
          [1, 2, 3, 4, 5, 6, 7, 8].map(i => on('a', `p${i}`, cpu('1'))),
          lowNodeUtilization(),
        ),
    ],
    [
      'low: nobody, when no node is nearly empty',
      [],
      () => plan({ a: {}, b: {} }, [on('a', 'p1', cpu('3')), on('b', 'p2', cpu('1'))], lowNodeUtilization()),
    ],
    [
      'low: not to a closed node',
      [],
      () => plan({ a: {}, b: { unschedulable: true } }, [on('a', 'p1', cpu('3'))], lowNodeUtilization()),
    ],
    [
      'high: the emptiest node is emptied onto one that is used',
      ['p1: a → b'],
      () => plan({ a: {}, b: {}, c: {} }, [on('a', 'p1', cpu('100m')), on('b', 'p2', cpu('2'))], highNodeUtilization()),
    ],
    [
      'high: nobody, when there is nowhere to go',
      [],
      () => plan({ a: {}, b: {} }, [on('a', 'p1', cpu('100m')), on('b', 'p2', cpu('100m'))], highNodeUtilization()),
    ],
    [
      'node affinity: a label is gone',
      ['p1: a → b'],
      () =>
        plan(
          { a: {}, b: { labels: { disk: 'ssd' } } },
          [on('a', 'p1', { spec: { nodeSelector: { disk: 'ssd' } } }), on('a', 'p2')],
          removePodsViolatingNodeAffinity(),
        ),
    ],
    [
      'node affinity: not when no node has it',
      [],
      () =>
        plan(
          { a: {}, b: {} },
          [on('a', 'p1', { spec: { nodeSelector: { disk: 'ssd' } } })],
          removePodsViolatingNodeAffinity(),
        ),
    ],
    [
      'taints: who does not tolerate',
      ['p1: a → b'],
      () =>
        plan(
          { a: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }, b: {} },
          [on('a', 'p1'), on('a', 'p2', { spec: { tolerations: [{ key: 'k', operator: 'Exists' }] } })],
          removePodsViolatingNodeTaints(),
        ),
    ],
    [
      'taints: an excluded or a preferred one moves nobody',
      [],
      () =>
        plan(
          {
            a: {
              taints: [
                { key: 'k', value: 'v', effect: 'NoSchedule' },
                { key: 'soft', effect: 'PreferNoSchedule' },
              ],
            },
            b: {},
          },
          [on('a', 'p1')],
          removePodsViolatingNodeTaints({ excludedTaints: ['k=v'] }),
        ),
    ],
    [
      'taints: a preferred one when asked for',
      ['p1: a → b'],
      () =>
        plan(
          { a: { taints: [{ key: 'soft', effect: 'PreferNoSchedule' }] }, b: {} },
          [on('a', 'p1')],
          removePodsViolatingNodeTaints({ includePreferNoSchedule: true }),
        ),
    ],
    [
      'anti-affinity: the least important leaves, the other may stay',
      ['low: a → b'],
      () =>
        plan(
          { a: {}, b: {} },
          [
            on('a', 'high', { labels: { app: 'a' }, spec: avoids({ app: 'a' }), priority: 5 }),
            on('a', 'low', { labels: { app: 'a' } }),
          ],
          removePodsViolatingInterPodAntiAffinity(),
        ),
    ],
    [
      'anti-affinity: pods apart stay',
      [],
      () =>
        plan(
          { a: {}, b: {} },
          [
            on('a', 'p1', { labels: { app: 'a' }, spec: avoids({ app: 'a' }) }),
            on('b', 'p2', { labels: { app: 'a' } }),
          ],
          removePodsViolatingInterPodAntiAffinity(),
        ),
    ],
    [
      'spread: from the fullest domain to the emptiest',
      ['p1: x → y'],
      () =>
        plan(
          zones,
          ['p1', 'p2', 'p3'].map(name => on('x', name, spread())).concat(on('y', 'q', spread())),
          removePodsViolatingTopologySpreadConstraint(),
        ),
    ],
    [
      'spread: within the skew nobody moves',
      [],
      () =>
        plan(
          zones,
          ['p1', 'p2', 'p3'].map(name => on('x', name, spread(3))),
          removePodsViolatingTopologySpreadConstraint(),
        ),
    ],
    [
      'spread: a domain that the pods do not select does not count',
      [],
      () =>
        plan(
          zones,
          ['p1', 'p2'].map(name => {
            const { labels, spec } = spread();
            return on('x', name, { labels: labels!, spec: { ...spec, nodeSelector: { zone: 'x' } } });
          }),
          removePodsViolatingTopologySpreadConstraint(),
        ),
    ],
    [
      'duplicates: what is more than the share',
      ['p1: a → b'],
      () =>
        plan(
          { a: {}, b: {} },
          [on('a', 'p1'), on('a', 'p2'), on('a', 'other', { owner: owned('ReplicaSet', 'other') })],
          removeDuplicates(),
        ),
    ],
    [
      'duplicates: three on two nodes may be two and one',
      ['p1: a → b'],
      () => plan({ a: {}, b: {} }, [on('a', 'p1'), on('a', 'p2'), on('a', 'p3')], removeDuplicates()),
    ],
    [
      'duplicates: not of an excluded kind',
      [],
      () =>
        plan({ a: {}, b: {} }, [on('a', 'p1'), on('a', 'p2')], removeDuplicates({ excludeOwnerKinds: ['ReplicaSet'] })),
    ],
    [
      'one after the other: the second sees what the first did',
      ['p1: a → b'],
      () => plan({ a: {}, b: {} }, [on('a', 'p1'), on('a', 'p2')], [removeDuplicates(), removeDuplicates()]),
    ],
  ])('%s', (_name, expected, run) => {
    expect(run()).toEqual(expected);
  });

  it('refuse thresholds that make no sense', () => {
    expect(() => lowNodeUtilization({ thresholds: { cpu: 101 } })).toThrow(/cpu: 101 is not a percentage/);
    expect(() => lowNodeUtilization({ thresholds: { cpu: 80 } })).toThrow(/above its target/);
  });
});

describe('who may be evicted', () => {
  const moves = removePodsViolatingNodeAffinity();
  const wants: PodOptions = { spec: { nodeSelector: { disk: 'ssd' } } };
  const nodes = { a: {}, b: { labels: { disk: 'ssd' } } };
  const volume = (source: object) => ({ spec: { ...wants.spec, volumes: [{ name: 'v', ...source }] } });
  const of = (pod: Pod, options: EvictorOptions & Partial<PlanOptions> = {}) =>
    plan(nodes, [pod], moves, options).length;

  it.each<[string, number, Parameters<typeof of>]>([
    ['an owned pod', 1, [on('a', 'p', wants)]],
    ['not a bare one', 0, [on('a', 'p', { ...wants, owner: [] })]],
    [
      'unless its annotation says so',
      1,
      [
        on('a', 'p', {
          ...wants,
          owner: [],
          meta: { annotations: { 'descheduler.alpha.kubernetes.io/evict': 'true' } },
        }),
      ],
    ],
    ['not of a daemon set', 0, [on('a', 'p', { ...wants, owner: owned('DaemonSet') })]],
    [
      'not a static one, whatever it says',
      0,
      [
        on('a', 'p', {
          ...wants,
          meta: {
            annotations: { 'kubernetes.io/config.mirror': 'x', 'descheduler.alpha.kubernetes.io/evict': 'true' },
          },
        }),
      ],
    ],
    ['not one that is ending', 0, [on('a', 'p', { ...wants, meta: { deletionTimestamp: '2026-01-01T00:00:00Z' } })]],
    ['not a critical one', 0, [on('a', 'p', { ...wants, priority: 2_000_000_000 })]],
    ['unless allowed', 1, [on('a', 'p', { ...wants, priority: 2_000_000_000 }), { evictSystemCriticalPods: true }]],
    ['below the threshold', 1, [on('a', 'p', { ...wants, priority: 9 }), { priorityThreshold: 10 }]],
    ['not at it', 0, [on('a', 'p', { ...wants, priority: 10 }), { priorityThreshold: 10 }]],
    ['not with local storage', 0, [on('a', 'p', volume({ emptyDir: {} }))]],
    ['unless allowed', 1, [on('a', 'p', volume({ hostPath: { path: '/x' } })), { evictLocalStoragePods: true }]],
    ['not of an excluded namespace', 0, [on('a', 'p', wants), { namespaces: { exclude: ['default'] } }]],
    ['not outside the included ones', 0, [on('a', 'p', wants), { namespaces: { include: ['other'] } }]],
    ['not what the selector leaves out', 0, [on('a', 'p', wants), { labelSelector: { matchLabels: { app: 'x' } } }]],
    ['not of too few', 0, [on('a', 'p', wants), { minReplicas: 2 }]],
    ['not too young', 0, [on('a', 'p', wants), { minPodAgeMs: 60_000, now: Date.parse('2026-01-01T00:00:30Z') }]],
    ['old enough', 1, [on('a', 'p', wants), { minPodAgeMs: 60_000, now: Date.parse('2026-01-01T00:02:00Z') }]],
  ])('%s', (_name, expected, [pod, options]) => {
    expect(of(pod, options)).toBe(expected);
  });

  it('no more than the limits and budgets allow', () => {
    const pods = ['p1', 'p2', 'p3'].map(name => on('a', name, { ...wants, labels: { app: 'a' } }));
    expect(plan(nodes, pods, moves, { maxEvictionsPerNode: 2 })).toHaveLength(2);
    expect(plan(nodes, pods, moves, { maxEvictionsPerNamespace: 1 })).toHaveLength(1);
    expect(plan(nodes, pods, moves, { maxEvictions: 0 })).toHaveLength(0);
    const budget = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'b', namespace: 'default' },
      spec: { selector: { matchLabels: { app: 'a' } } },
      status: { disruptionsAllowed: 1 },
    } as unknown as KubeObject;
    expect(plan(nodes, pods, moves, {}, [budget])).toHaveLength(1);
  });

  it('without nodeFit also who finds no other node', () => {
    expect(plan({ a: {} }, [on('a', 'p', wants)], moves)).toEqual([]);
    expect(plan({ a: {} }, [on('a', 'p', wants)], moves, { nodeFit: false })).toEqual(['p: a → ?']);
  });

  it('counts room once', () => {
    const big = (name: string) => on('a', name, { ...wants, requests: { cpu: '3' } });
    expect(plan({ a: { allocatable: { cpu: '8' } }, b: nodes.b }, [big('p1'), big('p2')], moves)).toHaveLength(1);
  });
});
