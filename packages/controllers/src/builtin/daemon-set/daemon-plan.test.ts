import type { DaemonSet, Node, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { planDaemons } from './daemon-plan.js';
import { nodeOf, placeOn, podFor } from './daemon-pods.js';

const now = Date.parse('2026-01-01T01:00:00Z');
const nodeNamed = (name: string, more: { taints?: object[]; labels?: object } = {}): Node =>
  ({ metadata: { name, labels: more.labels ?? {} }, spec: { taints: more.taints ?? [] }, status: {} }) as never;
const setWith = (spec: object = {}, podSpec: object = {}): DaemonSet =>
  ({
    metadata: { name: 'd', namespace: 'default', uid: 'set', generation: 1 },
    spec: {
      selector: {},
      template: { metadata: { labels: { app: 'd' } }, spec: { containers: [], ...podSpec } },
      ...spec,
    },
    status: {},
  }) as never;
interface PodWish {
  hash?: string;
  ready?: boolean;
  phase?: string;
  deleting?: boolean;
  age?: number;
}
const podOn = (
  node: string,
  name: string,
  { hash = 'new', ready = true, phase = 'Running', deleting, age = 60 }: PodWish = {},
): Pod =>
  ({
    metadata: {
      ...{ name, uid: name, namespace: 'default', labels: { 'controller-revision-hash': hash } },
      creationTimestamp: new Date(now - age * 1000).toISOString(),
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: node },
    status: {
      phase,
      conditions: ready
        ? [{ type: 'Ready', status: 'True', lastTransitionTime: new Date(now - age * 1000).toISOString() }]
        : [],
    },
  }) as never;
const plan = (set: DaemonSet, nodes: Node[], pods: Pod[], backoff = 0) => {
  const {
    create,
    delete: gone,
    ...rest
  } = planDaemons({ set, nodes, pods, hash: 'new', now, backoffMs: () => backoff });
  return { create, gone: gone.map(({ metadata }) => metadata.name), ...rest };
};
const three = ['n1', 'n2', 'n3'].map(name => nodeNamed(name));

describe('where', () => {
  const noSchedule = { key: 'x', effect: 'NoSchedule' };
  const noExecute = { key: 'x', effect: 'NoExecute' };
  it.each<[string, Node, object, boolean, boolean]>([
    ['anywhere', nodeNamed('n'), {}, true, true],
    ['by selector', nodeNamed('n', { labels: { disk: 'ssd' } }), { nodeSelector: { disk: 'ssd' } }, true, true],
    ['not by selector', nodeNamed('n'), { nodeSelector: { disk: 'ssd' } }, false, false],
    ['by name', nodeNamed('n'), { nodeName: 'other' }, false, false],
    ['not where it is refused, but it may stay', nodeNamed('n', { taints: [noSchedule] }), {}, false, true],
    ['not where it is driven away', nodeNamed('n', { taints: [noExecute] }), {}, false, false],
    ['tolerated', nodeNamed('n', { taints: [noExecute] }), { tolerations: [{ operator: 'Exists' }] }, true, true],
    [
      'cordoned',
      nodeNamed('n', { taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] }),
      {},
      true,
      true,
    ],
    [
      'lost',
      nodeNamed('n', { taints: [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }] }),
      {},
      true,
      true,
    ],
  ])('%s', (_title, node, podSpec, run, stay) => {
    expect(placeOn(setWith({}, podSpec), node)).toEqual({ run, stay });
  });

  it('a pod names its node, and tolerates what daemons tolerate', () => {
    const pod = podFor(setWith({}, { affinity: { podAffinity: {} } }), 'n1', 'abc');
    expect(nodeOf(pod as never)).toBe('n1');
    expect(pod.metadata.labels).toMatchObject({ app: 'd', 'controller-revision-hash': 'abc' });
    expect(pod.spec?.tolerations?.map(({ key }) => key)).toContain('node.kubernetes.io/not-ready');
    expect(pod.spec?.affinity).toHaveProperty('podAffinity');
  });
});

describe('one pod a node', () => {
  it('makes what is missing, and removes a second one and one that may not stay', () => {
    const nodes = [...three, nodeNamed('n4', { taints: [{ key: 'x', effect: 'NoExecute' }] })];
    const pods = [podOn('n1', 'a', { age: 90 }), podOn('n1', 'b', { age: 10 }), podOn('n4', 'c'), podOn('gone', 'e')];
    const { create, gone, counts } = plan(setWith(), nodes, pods);
    expect(create).toEqual(['n2', 'n3']);
    expect(gone.sort()).toEqual(['b', 'c', 'e']);
    expect(counts).toMatchObject({
      desiredNumberScheduled: 3,
      currentNumberScheduled: 1,
      numberMisscheduled: 1,
      numberReady: 1,
    });
  });

  it('waits until the old one is gone', () => {
    expect(plan(setWith(), [three[0]!], [podOn('n1', 'a', { deleting: true })]).create).toEqual([]);
  });

  it('replaces a failed one after its backoff, an ended one at once', () => {
    expect(plan(setWith(), [three[0]!], [podOn('n1', 'a', { phase: 'Failed', ready: false })], 500)).toMatchObject({
      gone: [],
      recheckMs: 500,
    });
    expect(plan(setWith(), [three[0]!], [podOn('n1', 'a', { phase: 'Failed', ready: false })])).toMatchObject({
      gone: ['a'],
      create: [],
    });
    expect(plan(setWith(), [three[0]!], [podOn('n1', 'a', { phase: 'Succeeded', ready: false })], 500).gone).toEqual([
      'a',
    ]);
  });
});

describe('updates', () => {
  const old = (node: string, ready = true) => podOn(node, `old-${node}`, { hash: 'old', ready });
  it('one node at a time, those that do not serve first and beside', () => {
    expect(
      plan(
        setWith(),
        three,
        three.map(({ metadata }) => old(metadata.name)),
      ).gone,
    ).toEqual(['old-n1']);
    expect(plan(setWith(), three, [old('n1'), old('n2', false), old('n3')]).gone).toEqual(['old-n2']);
    // n1's new pod is not available yet: nobody else may go.
    expect(plan(setWith(), three, [podOn('n1', 'x', { ready: false }), old('n2'), old('n3')]).gone).toEqual([]);
  });

  it('as many as maxUnavailable says', () => {
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '50%' } };
    expect(
      plan(
        setWith({ updateStrategy }),
        three,
        three.map(({ metadata }) => old(metadata.name)),
      ).gone.length,
    ).toBe(2);
  });

  it('with maxSurge the new one comes first', () => {
    const set = setWith({
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
    expect(
      plan(
        set,
        three,
        three.map(({ metadata }) => old(metadata.name)),
      ),
    ).toMatchObject({ create: ['n1'], gone: [] });
    const rest = [old('n1'), old('n2'), old('n3')];
    expect(plan(set, three, [...rest, podOn('n1', 'x', { ready: false })])).toMatchObject({ create: [], gone: [] });
    expect(plan(set, three, [...rest, podOn('n1', 'x')])).toMatchObject({ gone: ['old-n1'] });
  });

  it('OnDelete leaves old pods alone', () => {
    expect(
      plan(
        setWith({ updateStrategy: { type: 'OnDelete' } }),
        three,
        three.map(({ metadata }) => old(metadata.name, false)),
      ).gone,
    ).toEqual([]);
  });

  it('a pod counts when it has been ready for long enough', () => {
    const set = setWith({ minReadySeconds: 100 });
    const result = plan(set, [three[0]!], [podOn('n1', 'a', { age: 60 })]);
    expect(result.counts).toMatchObject({ numberReady: 1, numberAvailable: 0 });
    expect(result.recheckMs).toBeGreaterThan(0);
  });
});
