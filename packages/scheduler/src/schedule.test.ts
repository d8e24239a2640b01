import { describe, expect, it } from 'vitest';
import { commit, rollback } from './commit.js';
import { explain, refusalsByNode } from './explain.js';
import { profile } from './framework/profile.js';
import { roundRobin } from './plugins/round-robin.js';
import { defaultPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { snapshotOf } from './snapshot/snapshot.js';
import { avoids, boundTo, testNode, testPod } from './testing/fixtures.js';

const rules = () => profile({ plugins: defaultPlugins() });

describe('a nomination', () => {
  it('counts also when its node is known later', () => {
    const state = new ClusterState();
    const first = testPod('first', { requests: { cpu: '3' }, spec: { priority: 10 } });
    state.nominate(first.metadata.uid, first, 'n');
    expect(state.nominationOf(first.metadata.uid)).toBe('n');
    state.setNode(testNode('n'));
    const next = testPod('next', { requests: { cpu: '2' } });
    const plugins = rules();
    expect(schedule(next, state, plugins).outcome).toBe('unschedulable');
    state.nominate(first.metadata.uid, undefined);
    expect(schedule(next, state, plugins)).toMatchObject({ outcome: 'placed', node: 'n' });
  });
});

describe('schedule', () => {
  it('says node by node why nothing fits, and counts the reasons', () => {
    const nodes = [
      testNode('full', { allocatable: { cpu: '1' } }),
      testNode('tainted', { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] }),
      testNode('down', { ready: false }),
      testNode('closed', { unschedulable: true }),
    ];
    const decision = schedule(testPod('big', { requests: { cpu: '2' } }), snapshotOf(nodes), rules());
    expect(decision.outcome).toBe('unschedulable');
    if (decision.outcome !== 'unschedulable') return;
    expect(decision.message).toBe(
      '0/4 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were not ready, 1 node(s) were unschedulable.',
    );
    expect(refusalsByNode(decision)).toContain('full: Insufficient cpu (NodeResourcesFit)');
    expect([...decision.refusedBy].sort()).toEqual([
      'DefaultPreemption',
      'NodeReady',
      'NodeResourcesFit',
      'NodeUnschedulable',
      'TaintToleration',
    ]);
  });

  it('says so when there are no nodes', () => {
    const decision = schedule(testPod('p'), snapshotOf([]), rules());
    expect(decision).toMatchObject({ outcome: 'unschedulable', message: 'no nodes are registered in the cluster' });
  });

  it('prefers the node with the most room, and the first by name among equals', () => {
    const nodes = [testNode('b'), testNode('a'), testNode('c')];
    const pods = [boundTo(testPod('x', { requests: { cpu: '2', memory: '1Gi' } }), 'a')];
    const decision = schedule(testPod('p', { requests: { cpu: '1' } }), snapshotOf(nodes, pods), rules());
    expect(decision).toMatchObject({ outcome: 'placed', node: 'b' });
    expect(explain(decision)).toMatch(/^placed on b\n {2}b: /);
  });

  it('spreads pods that ask for nothing', () => {
    const nodes = [testNode('a'), testNode('b'), testNode('c')];
    const placed = [];
    for (let i = 0; i < 6; i++) {
      const pod = testPod(`p${i}`);
      const decision = schedule(pod, snapshotOf(nodes, placed), rules());
      if (decision.outcome === 'placed') placed.push(boundTo(pod, decision.node));
    }
    expect(placed.map(pod => pod.spec.nodeName)).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  it('follows nodeSelector, required and preferred node affinity', () => {
    const nodes = [
      testNode('ssd', { labels: { disk: 'ssd' } }),
      testNode('hdd', { labels: { disk: 'hdd', zone: 'z1' } }),
    ];
    const place = (spec: object) => schedule(testPod('p', { spec }), snapshotOf(nodes), rules());
    expect(place({ nodeSelector: { disk: 'hdd' } })).toMatchObject({ node: 'hdd' });
    const requiring = (operator: string, values?: string[]) =>
      place({
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator, ...(values ? { values } : {}) }] }],
            },
          },
        },
      });
    expect(requiring('Exists')).toMatchObject({ node: 'hdd' });
    expect(requiring('DoesNotExist')).toMatchObject({ node: 'ssd' });
    expect(requiring('In', ['z2'])).toMatchObject({ outcome: 'unschedulable' });
    const preferring = {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 100, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } },
          ],
        },
      },
    };
    expect(place(preferring)).toMatchObject({ node: 'ssd' });
  });

  it('keeps anti-affinity in both directions and by topology', () => {
    const nodes = ['a1', 'a2', 'b1'].map(name => testNode(name, { labels: { zone: name[0]! } }));
    const lone = boundTo(testPod('lone', { labels: { app: 'lone' }, spec: avoids({ app: 'web' }, 'zone') }), 'a1');
    const web = testPod('web', { labels: { app: 'web' } });
    expect(schedule(web, snapshotOf(nodes, [lone]), rules())).toMatchObject({ node: 'b1' });
    const shy = testPod('shy', { spec: avoids({ app: 'lone' }, 'zone') });
    expect(schedule(shy, snapshotOf(nodes, [lone]), rules())).toMatchObject({ node: 'b1' });
    const elsewhere = testPod('shy2', { namespace: 'other', spec: avoids({ app: 'lone' }, 'zone') });
    expect(schedule(elsewhere, snapshotOf(nodes, [lone]), rules()).refusals.size).toBe(0);
  });

  it('keeps host ports apart', () => {
    const spec = { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 8080 }] }] };
    const taken = boundTo(testPod('one', { spec }), 'n1');
    expect(schedule(testPod('two', { spec }), snapshotOf([testNode('n1')], [taken]), rules())).toMatchObject({
      outcome: 'unschedulable',
      message: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    });
  });

  it('names the plugin whose score is not a number', () => {
    const bad = profile({ plugins: [{ name: 'Bad', score: () => Number.NaN }] });
    expect(() => schedule(testPod('p'), snapshotOf([testNode('a'), testNode('b')]), bad)).toThrow(
      /"Bad" scored node "a" with NaN/,
    );
  });

  it('changes nothing until the placement is committed, and rollback restores the turn', () => {
    const turns = roundRobin();
    const mine = profile({ plugins: [turns] });
    const world = snapshotOf(['a', 'b', 'c'].map(name => testNode(name)));
    const pod = testPod('p');
    expect(schedule(pod, world, mine)).toMatchObject({ node: 'a' });
    expect(schedule(pod, world, mine)).toMatchObject({ node: 'a' });
    for (const name of ['a', 'b', 'c']) turns.nodeJoined?.(name);
    commit(pod, 'a', mine);
    expect(turns.queue).toEqual(['b', 'c', 'a']);
    rollback(pod, 'a', mine);
    expect(turns.queue).toEqual(['a', 'b', 'c']);
  });
});

describe('profile', () => {
  it('refuses two plugins of one name and two that sort the queue', () => {
    expect(() => profile({ plugins: [{ name: 'A' }, { name: 'A' }] })).toThrow('two plugins are named "A"');
    const less = () => 0;
    expect(() =>
      profile({
        plugins: [
          { name: 'A', less },
          { name: 'B', less },
        ],
      }),
    ).toThrow('both sort the queue');
  });
});
