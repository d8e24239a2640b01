/** The scheduler against the slow reference, over random clusters and histories: same nodes, same scores, same choice. */
import type { corev1, Node, Pod } from '@orbitkit/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { profile } from './framework/profile.js';
import { defaultPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { boundTo, testNode, testPod } from './testing/fixtures.js';
import { reference } from './testing/reference.js';

const zoneKey = 'topology.kubernetes.io/zone';
const hostKey = 'kubernetes.io/hostname';
const topologyKey = fc.constantFrom(zoneKey, hostKey, 'rack');
const app = fc.constantFrom('a', 'b', 'c');
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });

const nodeShape = fc.record({
  cpu: fc.integer({ min: 1, max: 4 }),
  memory: fc.integer({ min: 1, max: 8 }),
  zone: maybe(fc.constantFrom('z1', 'z2', 'z3')),
  rack: maybe(fc.constantFrom('r1', 'r2')),
  ready: fc.boolean().map(each => each),
  cordoned: fc.constantFrom(false, false, false, true),
  taint: maybe(fc.constantFrom('NoSchedule', 'PreferNoSchedule', 'NoExecute') as fc.Arbitrary<corev1.Taint['effect']>),
});
const makeNode = (index: number, shape: Parameters<Parameters<typeof nodeShape.map>[0]>[0]): Node =>
  testNode(`n${index}`, {
    allocatable: { cpu: String(shape.cpu), memory: `${shape.memory}Gi`, pods: '6' },
    labels: { ...(shape.zone ? { [zoneKey]: shape.zone } : {}), ...(shape.rack ? { rack: shape.rack } : {}) },
    // One node in eight or so is down.
    ready: shape.ready || index % 4 !== 0,
    unschedulable: shape.cordoned,
    ...(shape.taint ? { taints: [{ key: 'only', value: 'some', effect: shape.taint }] } : {}),
  });

const term = fc.record({ app, topologyKey, namespaces: maybe(fc.constantFrom<string[]>(['x'], ['x', 'y'])) }).map(
  (each): corev1.PodAffinityTerm => ({
    labelSelector: { matchLabels: { app: each.app } },
    topologyKey: each.topologyKey,
    ...(each.namespaces ? { namespaces: each.namespaces } : {}),
  }),
);
const weighted = fc.record({ weight: fc.integer({ min: 1, max: 100 }), podAffinityTerm: term });
const required = (
  terms: corev1.PodAffinityTerm[] | undefined,
  soft: (typeof weighted extends fc.Arbitrary<infer T> ? T : never)[] | undefined,
) => ({
  ...(terms ? { requiredDuringSchedulingIgnoredDuringExecution: terms } : {}),
  ...(soft ? { preferredDuringSchedulingIgnoredDuringExecution: soft } : {}),
});
const constraint = fc
  .record({
    maxSkew: fc.integer({ min: 1, max: 3 }),
    topologyKey,
    whenUnsatisfiable: fc.constantFrom('DoNotSchedule', 'ScheduleAnyway') as fc.Arbitrary<
      'DoNotSchedule' | 'ScheduleAnyway'
    >,
    app,
    minDomains: maybe(fc.integer({ min: 1, max: 4 })),
    nodeAffinityPolicy: maybe(fc.constantFrom('Honor', 'Ignore') as fc.Arbitrary<'Honor' | 'Ignore'>),
    nodeTaintsPolicy: maybe(fc.constantFrom('Honor', 'Ignore') as fc.Arbitrary<'Honor' | 'Ignore'>),
    matchLabelKeys: maybe(fc.constant<string[]>(['version'])),
  })
  .map(
    ({
      app: name,
      minDomains,
      nodeAffinityPolicy,
      nodeTaintsPolicy,
      matchLabelKeys,
      ...rest
    }): corev1.TopologySpreadConstraint => ({
      ...rest,
      labelSelector: { matchLabels: { app: name } },
      ...(minDomains !== undefined && rest.whenUnsatisfiable === 'DoNotSchedule' ? { minDomains } : {}),
      ...(nodeAffinityPolicy ? { nodeAffinityPolicy } : {}),
      ...(nodeTaintsPolicy ? { nodeTaintsPolicy } : {}),
      ...(matchLabelKeys ? { matchLabelKeys } : {}),
    }),
  );
const some = <T>(arbitrary: fc.Arbitrary<T>) => maybe(fc.array(arbitrary, { minLength: 1, maxLength: 2 }));

const podShape = fc.record({
  namespace: fc.constantFrom('x', 'y'),
  app,
  version: fc.constantFrom('1', '2'),
  cpu: fc.constantFrom('0', '100m', '700m', '1500m'),
  memory: fc.constantFrom('0', '300Mi', '1Gi'),
  near: some(term),
  away: some(term),
  likes: some(weighted),
  dislikes: some(weighted),
  spread: some(constraint),
  zone: maybe(fc.constantFrom('z1', 'z2')),
  prefers: maybe(fc.constantFrom('z1', 'z3')),
  tolerates: fc.boolean(),
  leaving: fc.constantFrom(false, false, false, true),
});
type PodShape = typeof podShape extends fc.Arbitrary<infer T> ? T : never;
const makePod = (index: number, shape: PodShape): Pod => {
  const zoneIn = (value: string) => ({
    matchExpressions: [{ key: zoneKey, operator: 'In' as const, values: [value] }],
  });
  const spec: Partial<corev1.PodSpec> = {
    affinity: {
      podAffinity: required(shape.near, shape.likes),
      podAntiAffinity: required(shape.away, shape.dislikes),
      ...(shape.prefers
        ? {
            nodeAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 7, preference: zoneIn(shape.prefers) }],
            },
          }
        : {}),
    },
    ...(shape.spread ? { topologySpreadConstraints: shape.spread } : {}),
    ...(shape.zone ? { nodeSelector: { [zoneKey]: shape.zone } } : {}),
    ...(shape.tolerates ? { tolerations: [{ key: 'only', operator: 'Exists' as const }] } : {}),
  };
  const pod = testPod(`p${index}`, {
    namespace: shape.namespace,
    labels: { app: shape.app, version: shape.version },
    requests: { cpu: shape.cpu, memory: shape.memory },
    spec,
  });
  return shape.leaving ? { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } } : pod;
};

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('decide' as const), pod: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('remove' as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('node' as const), at: fc.nat(5), shape: nodeShape }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('drop' as const), at: fc.nat(5) }) },
);

describe('schedule, compared with the reference', () => {
  it('finds the same nodes, gives them the same scores, and takes a best one', () => {
    fc.assert(
      fc.property(
        fc.array(nodeShape, { minLength: 1, maxLength: 6 }),
        fc.array(podShape, { minLength: 6, maxLength: 6 }),
        fc.array(step, { minLength: 1, maxLength: 25 }),
        (shapes, kinds, steps) => {
          const nodes = new Map(shapes.map((shape, i) => [`n${i}`, makeNode(i, shape)]));
          const state = new ClusterState();
          for (const node of nodes.values()) state.setNode(node);
          const rules = profile({ plugins: defaultPlugins() });
          let placed: Pod[] = [];
          let serial = 0;
          for (const each of steps) {
            if (each.what === 'remove') {
              const gone = placed[each.at % Math.max(1, placed.length)];
              if (gone) state.removePod(gone.metadata.uid);
              placed = placed.filter(pod => pod !== gone);
            } else if (each.what === 'node') {
              const node = makeNode(each.at, each.shape);
              nodes.set(node.metadata.name, node);
              state.setNode(node);
            } else if (each.what === 'drop') {
              // Its pods stay, as they do until somebody collects them.
              nodes.delete(`n${each.at}`);
              state.removeNode(`n${each.at}`);
            } else {
              const pod = makePod(serial++, kinds[each.pod]!);
              const world = { nodes: [...nodes.values()], pods: placed };
              const { scores } = reference(pod, world);
              const options = { withoutPostFilter: true, start: serial };
              const full = schedule(pod, state, rules, options);
              // Twice: what is kept of a class is used from its second pod on.
              schedule(pod, state, rules, { ...options, detail: 'choice' });
              const choice = schedule(pod, state, rules, { ...options, detail: 'choice' });
              if (scores.size === 0) {
                expect(full.outcome).toBe('unschedulable');
                expect(choice.outcome).toBe('unschedulable');
                expect(full.refusals.size).toBe(nodes.size);
                continue;
              }
              if (full.outcome !== 'placed' || choice.outcome !== 'placed') {
                expect.unreachable(`the reference would place on ${[...scores.keys()]}`);
                continue;
              }
              if (scores.size > 1)
                expect(Object.fromEntries(full.scores.map(one => [one.node, one.total]))).toEqual(
                  Object.fromEntries(scores),
                );
              expect(scores.get(full.node)).toBe(Math.max(...scores.values()));
              expect([choice.node, choice.feasible, choice.examined, choice.nextStart]).toEqual([
                full.node,
                full.feasible,
                full.examined,
                full.nextStart,
              ]);
              const bound = boundTo(pod, full.node);
              if (serial % 2 === 0) state.assume(pod, full.node);
              else state.setPod(bound);
              placed.push(bound);
            }
          }
        },
      ),
      { numRuns: Number(process.env['SCHEDULER_RUNS'] ?? 250) },
    );
  }, 60_000);
});
