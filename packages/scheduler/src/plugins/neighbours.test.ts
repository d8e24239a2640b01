/** Semantics of the plugins that look at other pods: tables after the API's documentation and kube-scheduler's observable behaviour. */
import type { corev1, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { boundTo, type NodeOptions, testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';
import { interPodAffinity } from './inter-pod-affinity.js';
import { topologySpread } from './topology-spread.js';

type Spec = Partial<corev1.PodSpec>;
type Placed = [node: string, labels: Record<string, string>, namespace?: string, spec?: Spec];

const zone = 'topology.kubernetes.io/zone';
const host = 'kubernetes.io/hostname';
const zoned = (name: string, value: string, options: NodeOptions = {}) =>
  testNode(name, { ...options, labels: { [zone]: value, ...options.labels } });
/** Two zones of two nodes. */
const four = () => [zoned('a1', 'a'), zoned('a2', 'a'), zoned('b1', 'b'), zoned('b2', 'b')];

const podsOf = (placed: readonly Placed[]): Pod[] =>
  placed.map(([node, labels, namespace = 'default', spec = {}], i) =>
    boundTo(testPod(`there-${i}`, { labels, namespace, spec }), node),
  );

function testOf(plugin: Plugin, placed: readonly Placed[], nodes = four()) {
  const test = policyTest({ plugins: [plugin], nodes, pods: podsOf(placed) });
  test.state.setNamespace('default', { team: 'red' });
  test.state.setNamespace('blue', { team: 'blue' });
  test.state.setNamespace('red', { team: 'red' });
  return test;
}
/** Names of the nodes that can take it. */
function open(plugin: Plugin, pod: Pod, placed: readonly Placed[], nodes = four()): string[] {
  const decision = testOf(plugin, placed, nodes).decide(pod, { allNodes: true });
  return nodes.map(node => node.metadata.name).filter(name => !decision.refusals.has(name));
}
function scoresOf(
  plugin: Plugin,
  pod: Pod,
  placed: readonly Placed[],
  nodes = four(),
): Record<string, number | undefined> {
  const decision = testOf(plugin, placed, nodes).decide(pod, { allNodes: true });
  if (decision.outcome !== 'placed') throw new Error(decision.message);
  return Object.fromEntries(decision.scores.map(each => [each.node, each.byPlugin[plugin.name]]).sort());
}

describe('InterPodAffinity', () => {
  type Term = corev1.PodAffinityTerm;
  const near = (...terms: Term[]): Spec => ({
    affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
  });
  const away = (...terms: Term[]): Spec => ({
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
  });
  const app = (value: string, topologyKey = zone, more: Partial<Term> = {}): Term => ({
    labelSelector: { matchLabels: { app: value } },
    topologyKey,
    ...more,
  });
  const all = ['a1', 'a2', 'b1', 'b2'];
  const b = ['b1', 'b2'];
  const web = { app: 'web' };
  const rolled = { app: 'web', version: '2' };

  it.each<[string, Spec, Record<string, string>, Placed[], string[]]>([
    ['near: the zone of one that matches', near(app('web')), {}, [['b1', web]], b],
    ['near: its host alone', near(app('web', host)), {}, [['b1', web]], ['b1']],
    ['near: nobody matches', near(app('web')), {}, [['b1', { app: 'db' }]], []],
    ['near: nobody matches but itself: it is the first', near(app('web')), web, [], all],
    ['near: itself does not help when there is one', near(app('web')), web, [['b1', web]], b],
    [
      'near: one pod must match all of the terms',
      near(app('web'), app('db')),
      {},
      [
        ['a1', web],
        ['b1', { app: 'db' }],
      ],
      [],
    ],
    [
      'near: expressions',
      near({
        labelSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['db'] }] },
        topologyKey: zone,
      }),
      {},
      [
        ['a1', { app: 'db' }],
        ['b1', web],
      ],
      b,
    ],
    ['near: an empty selector matches every pod', near({ labelSelector: {}, topologyKey: zone }), {}, [['b1', {}]], b],
    ['near: no selector matches none', near({ topologyKey: zone }), {}, [['b1', web]], []],
    [
      'near: only its own namespace',
      near(app('web')),
      {},
      [
        ['a1', web, 'blue'],
        ['b1', web],
      ],
      b,
    ],
    [
      'near: namespaces by name',
      near(app('web', zone, { namespaces: ['blue'] })),
      {},
      [
        ['a1', web, 'blue'],
        ['b1', web],
      ],
      ['a1', 'a2'],
    ],
    [
      'near: namespaces by label',
      near(app('web', zone, { namespaceSelector: { matchLabels: { team: 'blue' } } })),
      {},
      [
        ['a1', web, 'blue'],
        ['b1', web],
      ],
      ['a1', 'a2'],
    ],
    [
      'near: an empty namespace selector means all',
      near(app('web', zone, { namespaceSelector: {} })),
      {},
      [
        ['a1', web, 'blue'],
        ['b1', web],
      ],
      all,
    ],
    [
      'near: by name or by label',
      near(app('web', zone, { namespaces: ['default'], namespaceSelector: { matchLabels: { team: 'blue' } } })),
      {},
      [
        ['a1', web, 'blue'],
        ['b1', web],
      ],
      all,
    ],
    ['away: from the zone of one that matches', away(app('web')), {}, [['b1', web]], ['a1', 'a2']],
    ['away: from its host alone', away(app('web', host)), {}, [['b1', web]], ['a1', 'a2', 'b2']],
    [
      'away: any of the terms',
      away(app('web'), app('db')),
      {},
      [
        ['a1', web],
        ['b1', { app: 'db' }],
      ],
      [],
    ],
    ['away: another namespace is no matter', away(app('web')), {}, [['b1', web, 'blue']], all],
    ['away: nobody matches', away(app('web')), {}, [], all],
    [
      'symmetric: who is there wants nobody like it near',
      {},
      web,
      [['b1', {}, 'default', away(app('web'))]],
      ['a1', 'a2'],
    ],
    ['symmetric: its term is about its own namespace', {}, web, [['b1', {}, 'blue', away(app('web'))]], all],
    [
      'symmetric: and about those it names',
      {},
      web,
      [['b1', {}, 'blue', away(app('web', zone, { namespaces: ['default'] }))]],
      ['a1', 'a2'],
    ],
    ['not symmetric: who is there wants company', {}, web, [['b1', {}, 'default', near(app('web'))]], all],
  ])('%s', (_what, spec, labels, placed, expected) => {
    expect(open(interPodAffinity(), testPod('p', { labels, spec }), placed)).toEqual(expected);
  });

  it('nodes without the label: near cannot be kept there, away is', () => {
    const nodes = [zoned('a1', 'a'), testNode('bare')];
    expect(open(interPodAffinity(), testPod('p', { spec: near(app('web')) }), [['bare', web]], nodes)).toEqual([]);
    expect(open(interPodAffinity(), testPod('p', { spec: away(app('web')) }), [['bare', web]], nodes)).toEqual([
      'a1',
      'bare',
    ]);
  });
  it('says which rule it was', () => {
    const said = (spec: Spec, placed: Placed[]) =>
      testOf(interPodAffinity(), placed)
        .decide(testPod('p', { labels: web, spec }))
        .refusals.get('b1')?.reasons[0];
    expect(said(near(app('db')), [])).toBe("node(s) didn't match pod affinity rules");
    expect(said(away(app('web')), [['b1', web]])).toBe("node(s) didn't match pod anti-affinity rules");
    expect(said({}, [['b1', {}, 'default', away(app('web'))]])).toBe(
      "node(s) didn't satisfy existing pods anti-affinity rules",
    );
  });
  const keyed = (keys: Pick<Term, 'matchLabelKeys' | 'mismatchLabelKeys'>): Term => app('web', host, keys);
  const versions: Placed[] = [
    ['a1', { ...web, version: '1' }],
    ['b1', rolled],
  ];
  it.each<[string, Spec, string[]]>([
    ['away from the same version', away(keyed({ matchLabelKeys: ['version'] })), ['a1', 'a2', 'b2']],
    ['away from other versions', away(keyed({ mismatchLabelKeys: ['version'] })), ['a2', 'b1', 'b2']],
    ['near the same version', near(keyed({ matchLabelKeys: ['version'] })), ['b1']],
    ['near other versions', near(keyed({ mismatchLabelKeys: ['version'] })), ['a1']],
    ['a key that the pod has not', away(keyed({ matchLabelKeys: ['nothing'] })), ['a2', 'b2']],
  ])('matchLabelKeys and mismatchLabelKeys: %s', (_what, spec, expected) => {
    expect(open(interPodAffinity(), testPod('p', { labels: rolled, spec }), versions)).toEqual(expected);
  });
  it('the keys of a pod that is there speak of its own labels', () => {
    const there: Placed[] = [['b1', rolled, 'default', away(keyed({ matchLabelKeys: ['version'] }))]];
    const coming = (version: string) => testPod('p', { labels: { ...web, version } });
    expect(open(interPodAffinity(), coming('2'), there)).toEqual(['a1', 'a2', 'b2']);
    expect(open(interPodAffinity(), coming('3'), there)).toEqual(all);
  });

  describe('preferences', () => {
    const prefers = (affinity: [number, Term][], anti: [number, Term][] = []): Spec => {
      const list = (terms: [number, Term][]) => ({
        preferredDuringSchedulingIgnoredDuringExecution: terms.map(([weight, podAffinityTerm]) => ({
          weight,
          podAffinityTerm,
        })),
      });
      return { affinity: { podAffinity: list(affinity), podAntiAffinity: list(anti) } };
    };
    it.each<[string, Spec, Placed[], Record<string, number | undefined>]>([
      ['near', prefers([[10, app('web')]]), [['b1', web]], { a1: 0, a2: 0, b1: 100, b2: 100 }],
      [
        'near, more where more are',
        prefers([[10, app('web')]]),
        [
          ['a1', web],
          ['b1', web],
          ['b2', web],
        ],
        { a1: 0, a2: 0, b1: 100, b2: 100 },
      ],
      [
        'near by host and by zone',
        prefers([
          [10, app('web')],
          [10, app('web', host)],
        ]),
        [['b1', web]],
        { a1: 0, a2: 0, b1: 100, b2: 50 },
      ],
      ['away', prefers([], [[10, app('web')]]), [['b1', web]], { a1: 100, a2: 100, b1: 0, b2: 0 }],
      [
        'near and away weigh against each other',
        prefers([[10, app('web')]], [[20, app('web', host)]]),
        [['b1', web]],
        { a1: 50, a2: 50, b1: 0, b2: 100 },
      ],
      [
        'who is there prefers company',
        {},
        [['b1', {}, 'default', prefers([[10, app('new')]])]],
        { a1: 0, a2: 0, b1: 100, b2: 100 },
      ],
      [
        'who is there prefers distance',
        {},
        [['b1', {}, 'default', prefers([], [[10, app('new')]])]],
        { a1: 100, a2: 100, b1: 0, b2: 0 },
      ],
      [
        'who is there requires company: a little',
        {},
        [['b1', {}, 'default', near(app('new'))]],
        { a1: 0, a2: 0, b1: 100, b2: 100 },
      ],
      ['nothing to say', {}, [['b1', web]], { a1: undefined, a2: undefined, b1: undefined, b2: undefined }],
    ])('%s', (_what, spec, placed, expected) => {
      expect(scoresOf(interPodAffinity(), testPod('p', { labels: { app: 'new' }, spec }), placed)).toEqual(expected);
    });
    it('those of pods that are there can be left out, and what their required ones count', () => {
      const there: Placed[] = [
        ['b1', {}, 'default', prefers([[10, app('new')]])],
        ['a1', {}, 'default', near(app('new'))],
      ];
      const pod = testPod('p', { labels: { app: 'new' } });
      expect(scoresOf(interPodAffinity({ ignorePreferredTermsOfExistingPods: true }), pod, there)).toMatchObject({
        a1: 100,
        b1: 0,
      });
      expect(scoresOf(interPodAffinity({ hardPodAffinityWeight: 40 }), pod, there)).toMatchObject({ a1: 100, b1: 0 });
      expect(scoresOf(interPodAffinity({ hardPodAffinityWeight: 0 }), pod, there)).toMatchObject({ a1: 0, b1: 100 });
    });
  });
});

describe('PodTopologySpread', () => {
  type Constraint = corev1.TopologySpreadConstraint;
  const web = { app: 'web' };
  const spread = (more: Partial<Constraint> = {}): Constraint => ({
    maxSkew: 1,
    topologyKey: zone,
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: { matchLabels: web },
    ...more,
  });
  const pod = (constraints: Constraint[], options: { labels?: Record<string, string>; spec?: Spec } = {}) =>
    testPod('p', { labels: options.labels ?? web, spec: { topologySpreadConstraints: constraints, ...options.spec } });
  const at = (...names: string[]): Placed[] => names.map(name => [name, web]);
  const all = ['a1', 'a2', 'b1', 'b2'];
  const a = ['a1', 'a2'];
  const b = ['b1', 'b2'];

  it.each<[string, Constraint[], Placed[], string[]]>([
    ['nothing there', [spread()], [], all],
    ['one ahead: the other zone', [spread()], at('a1'), b],
    ['even again', [spread()], at('a1', 'b1'), all],
    ['maxSkew 2: one more', [spread({ maxSkew: 2 })], at('a1'), all],
    ['maxSkew 2: and no more', [spread({ maxSkew: 2 })], at('a1', 'a2'), b],
    ['by host', [spread({ topologyKey: host })], at('a1', 'a2', 'b1'), ['b2']],
    ['by zone and by host', [spread(), spread({ topologyKey: host })], at('a1'), b],
    [
      'by zone and by host, against each other',
      [spread(), spread({ topologyKey: host })],
      at('a1', 'b1', 'b2'),
      ['a2'],
    ],
    ['other labels do not count', [spread()], [['a1', { app: 'db' }]], all],
    ['other namespaces do not count', [spread()], [['a1', web, 'blue']], all],
    ['ScheduleAnyway refuses nobody', [spread({ whenUnsatisfiable: 'ScheduleAnyway' })], at('a1', 'a1', 'a2'), all],
    ['minDomains reached', [spread({ minDomains: 2 })], at('a1', 'b1'), all],
    ['minDomains not reached: the least counts as none', [spread({ minDomains: 3 })], at('a1', 'b1'), []],
    ['minDomains not reached, and there is none', [spread({ minDomains: 3 })], at('a1'), b],
    [
      'no selector counts nobody',
      [{ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: 'DoNotSchedule' }],
      at('a1', 'a1'),
      all,
    ],
  ])('%s', (_what, constraints, placed, expected) => {
    expect(open(topologySpread(), pod(constraints), placed)).toEqual(expected);
  });

  it('a pod that its selector does not match may go where the count is as it may be', () => {
    expect(open(topologySpread(), pod([spread()], { labels: { app: 'other' } }), at('a1'))).toEqual(all);
    expect(open(topologySpread(), pod([spread()], { labels: { app: 'other' } }), at('a1', 'a2'))).toEqual(b);
  });
  it('pods that are being deleted do not count', () => {
    const [leaving] = podsOf(at('a1'));
    (leaving!.metadata as { deletionTimestamp?: string }).deletionTimestamp = '2026-01-01T00:00:00Z';
    const test = policyTest({ plugins: [topologySpread()], nodes: four(), pods: [leaving!] });
    expect(test.decide(pod([spread()])).refusals.size).toBe(0);
  });
  it('a node without the label is out, for good', () => {
    const nodes = [...four(), testNode('bare')];
    expect(open(topologySpread(), pod([spread()]), [], nodes)).toEqual(all);
    const refusal = testOf(topologySpread(), [], nodes)
      .decide(pod([spread()]))
      .refusals.get('bare');
    expect(refusal).toMatchObject({
      unresolvable: true,
      reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"],
    });
  });
  it('matchLabelKeys: only pods of the same revision count', () => {
    const revision = (value: string) => ({ ...web, 'pod-template-hash': value });
    const placed: Placed[] = [
      ['a1', revision('old')],
      ['a2', revision('old')],
      ['b1', revision('new')],
    ];
    const keyed = pod([spread({ matchLabelKeys: ['pod-template-hash'] })], { labels: revision('new') });
    expect(open(topologySpread(), keyed, placed)).toEqual(a);
    expect(open(topologySpread(), pod([spread()], { labels: revision('new') }), placed)).toEqual(b);
    // A key that the pod does not have is no key.
    expect(open(topologySpread(), pod([spread({ matchLabelKeys: ['nothing'] })]), at('a1'))).toEqual(b);
  });
  it.each<['Honor' | 'Ignore' | undefined, string[]]>([
    [undefined, b],
    ['Honor', b],
    ['Ignore', []],
  ])('nodeAffinityPolicy %s: a zone that the pod may not use %j', (nodeAffinityPolicy, expected) => {
    // Zone c is empty, and not for this pod: counted, it holds b back.
    const nodes = [
      zoned('b1', 'b', { labels: { disk: 'ssd' } }),
      zoned('b2', 'b', { labels: { disk: 'ssd' } }),
      zoned('c1', 'c'),
    ];
    const constraint = spread(nodeAffinityPolicy ? { nodeAffinityPolicy } : {});
    const picky = pod([constraint], { spec: { nodeSelector: { disk: 'ssd' } } });
    expect(open(topologySpread(), picky, at('b1', 'b2'), nodes).filter(name => name !== 'c1')).toEqual(expected);
  });
  it.each<['Honor' | 'Ignore' | undefined, string[]]>([
    [undefined, []],
    ['Ignore', []],
    ['Honor', b],
  ])('nodeTaintsPolicy %s: a zone whose taints the pod does not tolerate %j', (nodeTaintsPolicy, expected) => {
    const nodes = [
      zoned('b1', 'b'),
      zoned('b2', 'b'),
      zoned('c1', 'c', { taints: [{ key: 'k', effect: 'NoSchedule' }] }),
    ];
    const constraint = spread(nodeTaintsPolicy ? { nodeTaintsPolicy } : {});
    expect(open(topologySpread(), pod([constraint]), at('b1', 'b2'), nodes).filter(name => name !== 'c1')).toEqual(
      expected,
    );
  });

  it('as a preference: the emptier zone scores higher, and nodes without the label nothing', () => {
    const soft = (more: Partial<Constraint> = {}) => spread({ whenUnsatisfiable: 'ScheduleAnyway', ...more });
    const byZone = scoresOf(topologySpread(), pod([soft()]), at('a1', 'a2', 'b1'));
    expect(byZone['a1']).toBe(byZone['a2']);
    expect(byZone['b1']).toBe(100);
    expect(byZone['a1']).toBeLessThan(100);
    const byHost = scoresOf(topologySpread(), pod([soft({ topologyKey: host })]), at('a1', 'a1', 'b1'));
    expect(byHost).toMatchObject({ a2: 100, b2: 100 });
    expect(byHost['a1']).toBeLessThan(byHost['b1']!);
    expect(
      scoresOf(topologySpread(), pod([soft()]), at('a1'), [zoned('a1', 'a'), zoned('b1', 'b'), testNode('bare')]),
    ).toMatchObject({ b1: 100, bare: 0 });
  });
});
