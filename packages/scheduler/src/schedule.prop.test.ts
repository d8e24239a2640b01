import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commit } from './commit.js';
import { profile } from './framework/profile.js';
import { defaultPlugins, miniK8sPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { snapshotOf } from './snapshot/snapshot.js';
import { avoids, boundTo, testNode, testPod } from './testing/fixtures.js';

const nodes = fc
  .array(
    fc.record({
      cpu: fc.integer({ min: 1, max: 4 }),
      ready: fc.boolean(),
      unschedulable: fc.boolean(),
      tainted: fc.boolean(),
      zone: fc.constantFrom('a', 'b'),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map(list =>
    list.map((each, index) =>
      testNode(`n${index}`, {
        allocatable: { cpu: String(each.cpu), pods: '5' },
        ready: each.ready,
        unschedulable: each.unschedulable,
        labels: { zone: each.zone },
        ...(each.tainted ? { taints: [{ key: 'only', value: 'some', effect: 'NoSchedule' as const }] } : {}),
      }),
    ),
  );
const pods = fc
  .array(
    fc.record({
      cpu: fc.integer({ min: 0, max: 2_500 }),
      app: fc.constantFrom('x', 'y'),
      shy: fc.boolean(),
      zone: fc.option(fc.constantFrom('a', 'b')),
    }),
    { maxLength: 25 },
  )
  .map(list =>
    list.map((each, index) =>
      testPod(`p${index}`, {
        labels: { app: each.app },
        requests: { cpu: `${each.cpu}m` },
        spec: {
          ...(each.shy ? avoids({ app: each.app }) : {}),
          ...(each.zone ? { nodeSelector: { zone: each.zone } } : {}),
        },
      }),
    ),
  );

describe.each([
  ['default', defaultPlugins],
  ['MiniK8s', () => miniK8sPlugins()],
])('the %s profile, on random clusters', (_name, plugins) => {
  it('never breaks a rule, and gives a reason for each node when it refuses', () => {
    fc.assert(
      fc.property(nodes, pods, (world, wishes) => {
        const cache = new ClusterState();
        for (const node of world) cache.setNode(node);
        const rules = profile({ plugins: plugins() });
        for (const pod of wishes) {
          const before = cache.snapshot();
          const decision = schedule(pod, before, rules);
          if (decision.outcome === 'unschedulable') {
            expect([...decision.refusals.keys()].sort()).toEqual(world.map(node => node.metadata.name).sort());
            continue;
          }
          const chosen = before.get(decision.node)!;
          expect(decision.refusals.has(decision.node)).toBe(false);
          expect(chosen.node.spec.unschedulable ?? false).toBe(false);
          expect(chosen.node.spec.taints ?? []).toEqual([]);
          expect(chosen.node.metadata.labels).toMatchObject(pod.spec.nodeSelector ?? {});
          commit(pod, decision.node, rules);
          cache.assume(pod, decision.node);
          const after = cache.snapshot().get(decision.node)!;
          for (const resource of ['cpu', 'pods']) {
            expect(after.requested.get(resource) ?? 0).toBeLessThanOrEqual(after.allocatable.get(resource)!);
          }
          for (const one of after.pods) {
            const rule = one.spec.affinity?.podAntiAffinity;
            if (!rule) continue;
            const alike = after.pods.filter(
              other => other !== one && other.metadata.labels?.app === one.metadata.labels?.app,
            );
            expect(alike).toEqual([]);
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('the short way to a choice', () => {
  it('takes the node that the long way takes, among 150 nodes, beside pods that are nominated', () => {
    const step = fc.record({ kind: fc.nat(4), priority: fc.nat(2), nominate: fc.option(fc.nat(149), { freq: 2 }) });
    const zone = (i: number) => ({ zone: ['a', 'b', 'c'][i % 3]! });
    const spread = (whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway') => ({
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable, labelSelector: { matchLabels: { app: 'x' } } },
      ],
    });
    const specs = [
      {},
      avoids({ app: 'x' }),
      avoids({ app: 'y' }, 'zone'),
      spread('DoNotSchedule'),
      spread('ScheduleAnyway'),
    ];
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat(149), (steps, from) => {
        const state = new ClusterState();
        for (let i = 0; i < 150; i++)
          state.setNode(
            testNode(`n${i}`, { allocatable: { cpu: '1', pods: '3' }, ...(i % 7 === 0 ? {} : { labels: zone(i) }) }),
          );
        const rules = profile({ plugins: defaultPlugins() });
        let start = from;
        for (const [index, { kind, priority, nominate }] of steps.entries()) {
          const pod = testPod(`p${index}`, {
            labels: { app: kind === 2 ? 'y' : 'x' },
            requests: { cpu: '400m' },
            spec: { ...specs[kind], priority },
          });
          if (nominate !== null) {
            state.nominate(pod.metadata.uid, pod, `n${nominate}`);
            continue;
          }
          const options = { start, withoutPostFilter: true };
          const long = schedule(pod, state, rules, options);
          const first = schedule(pod, state, rules, { ...options, detail: 'choice' });
          const kept = schedule(pod, state, rules, { ...options, detail: 'choice' });
          for (const short of [first, kept]) {
            expect(short.outcome).toBe(long.outcome);
            if (short.outcome !== 'placed' || long.outcome !== 'placed') continue;
            expect([short.node, short.feasible, short.examined, short.nextStart]).toEqual([
              long.node,
              long.feasible,
              long.examined,
              long.nextStart,
            ]);
          }
          start = long.nextStart;
          if (long.outcome === 'placed') state.assume(pod, long.node);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('the short way to a refusal', () => {
  it('has the reasons and the way out of the long one, beside pods that are nominated', () => {
    const step = fc.record({
      what: fc.constantFrom('decide', 'decide', 'nominate', 'leave', 'change'),
      node: fc.nat(5),
      cpu: fc.constantFrom('500m', '1', '3'),
      priority: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), fc.nat(5), (steps, start) => {
        const state = new ClusterState();
        const node = (i: number, cpu: string) => ({ ...testNode(`n${i}`, { allocatable: { cpu, pods: '3' } }) });
        for (let i = 0; i < 6; i++) state.setNode(node(i, '1'));
        const rules = profile({ plugins: defaultPlugins() });
        for (const [index, { what, node: at, cpu, priority }] of steps.entries()) {
          const pod = testPod(`p${index}`, { requests: { cpu }, spec: { priority } });
          if (what === 'nominate') state.nominate(pod.metadata.uid, pod, `n${at}`);
          else if (what === 'change') state.setNode(node(at, cpu));
          else if (what === 'leave') {
            const [first] = state.get(`n${at}`)!.pods;
            if (first) state.removePod(first.metadata.uid);
          } else {
            const long = schedule(pod, state, rules, { start });
            // The second and third of a class read what is kept of it.
            for (let again = 0; again < 3; again++) {
              const short = schedule(pod, state, rules, { start, detail: 'choice' });
              expect(short.outcome).toBe(long.outcome);
              if (short.outcome !== 'unschedulable' || long.outcome !== 'unschedulable') continue;
              expect(short.message).toBe(long.message);
              expect([...short.refusals]).toEqual([...long.refusals]);
              expect(short.refusedBy).toEqual(long.refusedBy);
              expect(short.preemption?.node).toBe(long.preemption?.node);
            }
            if (long.outcome === 'placed') state.assume(pod, long.node);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('ClusterState', () => {
  it('keeps sums that equal a recount, whatever happens to pods', () => {
    const step = fc.record({
      pod: fc.integer({ min: 0, max: 5 }),
      node: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom('assume', 'confirm', 'forget', 'remove', 'end'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const cache = new ClusterState();
        const world = [0, 1, 2].map(index => testNode(`n${index}`));
        for (const node of world) cache.setNode(node);
        const all = Array.from({ length: 6 }, (_, index) =>
          testPod(`p${index}`, { requests: { cpu: `${index + 1}00m` } }),
        );
        const model = new Map<number, { node: number; assumed: boolean }>();
        for (const { pod, node, what } of steps) {
          const object = all[pod]!;
          const uid = object.metadata.uid;
          if (what === 'assume') {
            cache.assume(object, `n${node}`);
            model.set(pod, { node, assumed: true });
          } else if (what === 'confirm') {
            cache.setPod(boundTo(object, `n${node}`));
            model.set(pod, { node, assumed: false });
          } else if (what === 'forget') {
            cache.forget(uid);
            if (model.get(pod)?.assumed) model.delete(pod);
          } else {
            if (what === 'remove') cache.removePod(uid);
            else cache.setPod({ ...boundTo(object, `n${node}`), status: { phase: 'Succeeded' } });
            model.delete(pod);
          }
        }
        const snapshot = cache.snapshot();
        for (const [index, node] of world.entries()) {
          const here = [...model].filter(([, place]) => place.node === index).map(([pod]) => all[pod]!);
          const recount = snapshotOf(
            [node],
            here.map(pod => boundTo(pod, node.metadata.name)),
          ).get(node.metadata.name)!;
          const info = snapshot.get(node.metadata.name)!;
          expect(info.pods).toHaveLength(here.length);
          expect(info.requested.get('cpu') ?? 0).toBe(recount.requested.get('cpu') ?? 0);
        }
      }),
      { numRuns: 200 },
    );
  });
});
