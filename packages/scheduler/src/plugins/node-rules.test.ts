/** Semantics of the plugins that look at one node: tables after the API's documentation and kube-scheduler's observable behaviour. */
import type { corev1, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { requestsOf, scoringRequestsOf } from '../snapshot/resources.js';
import { boundTo, type NodeOptions, testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';
import { imageLocality } from './image-locality.js';
import { nodeAffinity } from './node-affinity.js';
import { nodeName } from './node-name.js';
import { nodePorts } from './node-ports.js';
import { nodeReady } from './node-ready.js';
import { nodeUnschedulable } from './node-unschedulable.js';
import { resourceFit } from './resource-fit.js';
import { taintToleration } from './taint-toleration.js';

type Spec = Partial<corev1.PodSpec>;
type World = Omit<Parameters<typeof policyTest>[0], 'plugins'>;

const verdict = (plugin: Plugin, pod: Pod, world: World) => {
  const decision = policyTest({ plugins: [plugin], ...world }).decide(pod);
  const refusal = decision.refusals.values().next().value;
  return refusal
    ? `${refusal.unresolvable ? 'never: ' : ''}${refusal.reasons.join(', ')}`
    : decision.outcome === 'placed'
      ? 'fits'
      : decision.message;
};
const onNode = (plugin: Plugin, spec: Spec, options: NodeOptions = {}, name = 'a') =>
  verdict(plugin, testPod('p', { spec }), { nodes: [testNode(name, options)] });
const scoresOf = (plugin: Plugin, pod: Pod, world: World) => {
  const decision = policyTest({ plugins: [plugin], ...world }).decide(pod);
  return decision.outcome === 'placed'
    ? Object.fromEntries(decision.scores.map(each => [each.node, each.byPlugin[plugin.name]]))
    : decision.message;
};

describe('NodeName', () => {
  const elsewhere = "never: node(s) didn't match the requested node name";
  it.each([
    ['', 'fits'],
    ['a', 'fits'],
    ['b', elsewhere],
  ])('%j: %s', (wanted, expected) => {
    expect(onNode(nodeName(), wanted ? { nodeName: wanted } : {})).toBe(expected);
  });
});

describe('NodeReady and NodeUnschedulable', () => {
  const cordoned = 'never: node(s) were unschedulable';
  const tolerates = (toleration: corev1.Toleration): Spec => ({ tolerations: [toleration] });
  it.each<[string, Spec, NodeOptions, string]>([
    ['open', {}, {}, 'fits'],
    ['closed', {}, { unschedulable: true }, cordoned],
    [
      'tolerated by its taint',
      tolerates({ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }),
      { unschedulable: true },
      'fits',
    ],
    ['tolerated by everything', tolerates({ operator: 'Exists' }), { unschedulable: true }, 'fits'],
    [
      'tolerated for another effect',
      tolerates({ key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoExecute' }),
      { unschedulable: true },
      cordoned,
    ],
    ['another taint tolerated', tolerates({ key: 'other', operator: 'Exists' }), { unschedulable: true }, cordoned],
  ])('%s', (_what, spec, node, expected) => {
    expect(onNode(nodeUnschedulable(), spec, node)).toBe(expected);
  });
  it('a node that is not ready takes nobody', () => {
    expect(onNode(nodeReady(), {}, { ready: false })).toContain('node(s) were not ready');
    expect(onNode(nodeReady(), {})).toBe('fits');
  });
});

describe('TaintToleration', () => {
  const taint = (effect: corev1.Taint['effect'], value = 'v'): corev1.Taint => ({ key: 'k', value, effect });
  const no = 'never: node(s) had untolerated taint {k: v}';
  it.each<[corev1.Taint, corev1.Toleration | undefined, string]>([
    [taint('NoSchedule'), undefined, no],
    [taint('NoExecute'), undefined, no],
    [taint('PreferNoSchedule'), undefined, 'fits'],
    [taint('NoSchedule'), { key: 'k', operator: 'Equal', value: 'v', effect: 'NoSchedule' }, 'fits'],
    [taint('NoSchedule'), { key: 'k', value: 'v' }, 'fits'],
    [taint('NoSchedule'), { key: 'k', operator: 'Equal', value: 'w' }, no],
    [taint('NoSchedule'), { key: 'k', operator: 'Exists' }, 'fits'],
    [taint('NoSchedule'), { key: 'other', operator: 'Exists' }, no],
    [taint('NoSchedule'), { operator: 'Exists' }, 'fits'],
    [taint('NoSchedule'), { key: 'k', operator: 'Exists', effect: 'NoExecute' }, no],
    [taint('NoExecute'), { key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 }, 'fits'],
  ])('%j with %j: %s', (given, toleration, expected) => {
    expect(onNode(taintToleration(), toleration ? { tolerations: [toleration] } : {}, { taints: [given] })).toBe(
      expected,
    );
  });
  it('every taint must be tolerated, and the first that is not is named', () => {
    const taints = [taint('NoSchedule'), { key: 'second', effect: 'NoExecute' } as const];
    expect(onNode(taintToleration(), { tolerations: [{ key: 'k', operator: 'Exists' }] }, { taints })).toBe(
      'never: node(s) had untolerated taint {second: }',
    );
  });
  it('fewer untolerated PreferNoSchedule taints score higher; tolerations of other effects say nothing of them', () => {
    const soft = (name: string, ...keys: string[]) =>
      testNode(name, { taints: keys.map(key => ({ key, effect: 'PreferNoSchedule' as const })) });
    const nodes = [soft('none'), soft('one', 'x'), soft('two', 'x', 'y')];
    const tolerating = (toleration: corev1.Toleration) => testPod('p', { spec: { tolerations: [toleration] } });
    expect(scoresOf(taintToleration(), testPod('p'), { nodes })).toEqual({ none: 100, one: 50, two: 0 });
    expect(scoresOf(taintToleration(), tolerating({ key: 'x', operator: 'Exists' }), { nodes })).toEqual({
      none: 100,
      one: 100,
      two: 0,
    });
    expect(
      scoresOf(taintToleration(), tolerating({ key: 'x', operator: 'Exists', effect: 'NoSchedule' }), { nodes }),
    ).toEqual({ none: 100, one: 50, two: 0 });
    expect(scoresOf(taintToleration(), testPod('p'), { nodes: [soft('none'), soft('too')] })).toEqual({
      none: 100,
      too: 100,
    });
  });
});

describe('NodeAffinity', () => {
  const no = "never: node(s) didn't match Pod's node affinity/selector";
  const labels = { zone: 'z1', cores: '16', 'kubernetes.io/hostname': 'a' };
  const required = (...nodeSelectorTerms: corev1.NodeSelectorTerm[]): Spec => ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  });
  const term = (key: string, operator: string, ...values: string[]): corev1.NodeSelectorTerm => ({
    matchExpressions: [{ key, operator, values } as corev1.NodeSelectorRequirement],
  });
  const field = (operator: string, ...values: string[]): corev1.NodeSelectorTerm => ({
    matchFields: [{ key: 'metadata.name', operator, values } as corev1.NodeSelectorRequirement],
  });
  it.each<[string, Spec, string]>([
    ['no terms at all', {}, 'fits'],
    ['nodeSelector', { nodeSelector: { zone: 'z1', cores: '16' } }, 'fits'],
    ['nodeSelector, one of two', { nodeSelector: { zone: 'z1', cores: '8' } }, no],
    ['In', required(term('zone', 'In', 'z0', 'z1')), 'fits'],
    ['In, another', required(term('zone', 'In', 'z0')), no],
    ['In, no such label', required(term('disk', 'In', 'ssd')), no],
    ['NotIn', required(term('zone', 'NotIn', 'z0')), 'fits'],
    ['NotIn, that one', required(term('zone', 'NotIn', 'z1')), no],
    ['NotIn, no such label', required(term('disk', 'NotIn', 'ssd')), 'fits'],
    ['Exists', required(term('zone', 'Exists')), 'fits'],
    ['Exists, no such label', required(term('disk', 'Exists')), no],
    ['DoesNotExist', required(term('disk', 'DoesNotExist')), 'fits'],
    ['DoesNotExist, and it does', required(term('zone', 'DoesNotExist')), no],
    ['Gt', required(term('cores', 'Gt', '8')), 'fits'],
    ['Gt, equal', required(term('cores', 'Gt', '16')), no],
    ['Gt, no number', required(term('zone', 'Gt', '8')), no],
    ['Lt', required(term('cores', 'Lt', '100')), 'fits'],
    ['Lt, less', required(term('cores', 'Lt', '9')), no],
    ['Lt, no such label', required(term('disk', 'Lt', '9')), no],
    ['terms are alternatives', required(term('zone', 'In', 'z0'), term('cores', 'Gt', '8')), 'fits'],
    [
      'expressions of a term hold together',
      required({
        matchExpressions: [...term('zone', 'Exists').matchExpressions!, ...term('cores', 'Gt', '99').matchExpressions!],
      }),
      no,
    ],
    ['an empty term matches nothing', required({}), no],
    ['no terms match nothing', required(), no],
    ['matchFields', required(field('In', 'a')), 'fits'],
    ['matchFields, another', required(field('In', 'b')), no],
    ['matchFields NotIn', required(field('NotIn', 'b')), 'fits'],
    ['fields and expressions hold together', required({ ...field('In', 'a'), ...term('zone', 'In', 'z0') }), no],
    ['selector and affinity hold together', { nodeSelector: { zone: 'z0' }, ...required(term('zone', 'Exists')) }, no],
  ])('%s', (_what, spec, expected) => {
    expect(onNode(nodeAffinity(), spec, { labels })).toBe(expected);
  });
  it('what the profile adds holds beside it', () => {
    const added = required(term('zone', 'In', 'z0')).affinity!.nodeAffinity!;
    expect(onNode(nodeAffinity({ addedAffinity: added }), {}, { labels })).toBe(
      "never: node(s) didn't match scheduler-enforced node affinity",
    );
  });
  it('preferred terms add their weights, of the best node a hundred', () => {
    const preferred = (weight: number, preference: corev1.NodeSelectorTerm) => ({ weight, preference });
    const pod = testPod('p', {
      spec: {
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              preferred(2, term('zone', 'In', 'z1')),
              preferred(6, term('cores', 'Gt', '8')),
            ],
          },
        },
      },
    });
    const nodes = [testNode('both', { labels }), testNode('zone', { labels: { zone: 'z1' } }), testNode('neither')];
    expect(scoresOf(nodeAffinity(), pod, { nodes })).toEqual({ both: 100, zone: 25, neither: 0 });
  });
});

describe('NodePorts', () => {
  const no = "node(s) didn't have free ports for the requested pod ports";
  const ports = (...list: corev1.ContainerPort[]): Spec => ({ containers: [{ name: 'c', image: 'i', ports: list }] });
  const port = (
    hostPort: number,
    hostIP?: string,
    protocol?: corev1.ContainerPort['protocol'],
  ): corev1.ContainerPort => ({
    containerPort: 80,
    hostPort,
    ...(hostIP ? { hostIP } : {}),
    ...(protocol ? { protocol } : {}),
  });
  it.each<[string, Spec, Spec, string]>([
    ['no host ports', ports({ containerPort: 80 }), ports({ containerPort: 80 }), 'fits'],
    ['different ports', ports(port(80)), ports(port(81)), 'fits'],
    ['the same port', ports(port(80)), ports(port(80)), no],
    ['another protocol', ports(port(80, undefined, 'UDP')), ports(port(80)), 'fits'],
    ['TCP is the default', ports(port(80, undefined, 'TCP')), ports(port(80)), no],
    ['different addresses', ports(port(80, '10.0.0.1')), ports(port(80, '10.0.0.2')), 'fits'],
    ['the same address', ports(port(80, '10.0.0.1')), ports(port(80, '10.0.0.1')), no],
    ['every address and one', ports(port(80, '0.0.0.0')), ports(port(80, '10.0.0.1')), no],
    ['one and every address', ports(port(80, '10.0.0.1')), ports(port(80)), no],
    ['one of several', ports(port(70), port(80)), ports(port(80), port(90)), no],
    ['the host network', { ...ports({ containerPort: 80 }), hostNetwork: true }, ports(port(80)), no],
    [
      'a sidecar',
      { ...ports(), initContainers: [{ name: 's', image: 'i', restartPolicy: 'Always', ports: [port(80)] }] },
      ports(port(80)),
      no,
    ],
    [
      'an init container, which has ended',
      { ...ports(), initContainers: [{ name: 's', image: 'i', ports: [port(80)] }] },
      ports(port(80)),
      'fits',
    ],
  ])('%s', (_what, there, comes, expected) => {
    const pods = [boundTo(testPod('q', { spec: there }), 'a')];
    expect(verdict(nodePorts(), testPod('p', { spec: comes }), { nodes: [testNode('a')], pods })).toBe(expected);
  });
});

describe('ImageLocality', () => {
  const mega = 1024 * 1024;
  const having = (name: string, ...images: [string, number][]) => {
    const node = testNode(name);
    node.status.images = images.map(([image, size]) => ({ names: [image], sizeBytes: size * mega }));
    return node;
  };
  const running = (...images: string[]) =>
    testPod('p', { spec: { containers: images.map((image, i) => ({ name: `c${i}`, image })) } });
  it.each<[string, Pod, [string, number][], number]>([
    ['a large image on half of the nodes counts half', running('x:1'), [['x:1', 1000]], 48],
    ['more than a gigabyte is no better', running('x:1'), [['x:1', 4000]], 100],
    ['below 23 MB nothing', running('x:1'), [['x:1', 40]], 0],
    ['no tag means latest', running('registry:5000/x'), [['registry:5000/x:latest', 1000]], 48],
    ['another tag is another image', running('x:2'), [['x:1', 1000]], 0],
    ['two containers need twice as much', running('x:1', 'y:1'), [['x:1', 1000]], 24],
    [
      'and their images add up',
      running('x:1', 'y:1'),
      [
        ['x:1', 1000],
        ['y:1', 1000],
      ],
      49,
    ],
  ])('%s', (_what, pod, images, expected) => {
    expect(scoresOf(imageLocality(), pod, { nodes: [having('a', ...images), testNode('b')] })).toEqual({
      a: expected,
      b: 0,
    });
  });
});

describe('requests', () => {
  const container = (cpu?: string, more: Partial<corev1.Container> = {}): corev1.Container => ({
    name: 'c',
    image: 'i',
    ...(cpu ? { resources: { requests: { cpu } } } : {}),
    ...more,
  });
  const sidecar = (cpu?: string) => container(cpu, { restartPolicy: 'Always' });
  const table: [string, Spec, counted: number, scored: number][] = [
    ['nothing', { containers: [container()] }, 0, 100],
    ['containers add up', { containers: [container('1'), container('500m')] }, 1500, 1500],
    [
      'an init container that is smaller',
      { initContainers: [container('1')], containers: [container('2')] },
      2000,
      2000,
    ],
    [
      'an init container that is larger',
      { initContainers: [container('3')], containers: [container('2')] },
      3000,
      3000,
    ],
    [
      'init containers run in turn',
      { initContainers: [container('1'), container('1')], containers: [container('1')] },
      1000,
      1000,
    ],
    ['a sidecar runs beside', { initContainers: [sidecar('1')], containers: [container('1')] }, 2000, 2000],
    [
      'and beside the init containers after it',
      { initContainers: [sidecar('1'), container('3')], containers: [container('1')] },
      4000,
      4000,
    ],
    [
      'not beside those before it',
      { initContainers: [container('3'), sidecar('1')], containers: [container('1')] },
      3000,
      3000,
    ],
    ['two sidecars', { initContainers: [sidecar('1'), sidecar('2')], containers: [container('1')] }, 4000, 4000],
    ['overhead', { containers: [container('1')], overhead: { cpu: '250m' } }, 1250, 1250],
    [
      'overhead after the largest init container',
      { initContainers: [container('3')], containers: [container('1')], overhead: { cpu: '250m' } },
      3250,
      3250,
    ],
    [
      'the pod as a whole',
      { containers: [container('1'), container('1')], resources: { requests: { cpu: '1500m' } } },
      1500,
      1500,
    ],
    [
      'the pod as a whole, and overhead',
      { containers: [container()], resources: { requests: { cpu: '2' } }, overhead: { cpu: '1' } },
      3000,
      3000,
    ],
    ['a sidecar without a request', { initContainers: [sidecar()], containers: [container('1')] }, 1000, 1100],
  ];
  it.each(table)('%s', (_what, spec, counted, scored) => {
    expect(requestsOf(testPod('p', { spec })).get('cpu') ?? 0).toBe(counted);
    expect(scoringRequestsOf(testPod('p', { spec })).get('cpu')).toBe(scored);
  });
  it('pods that differ in what they ask for as a whole are not one class', () => {
    const whole = (cpu: string) =>
      testPod(cpu, { spec: { containers: [container()], resources: { requests: { cpu } } } });
    const test = policyTest({ plugins: [resourceFit()], nodes: [testNode('a', { allocatable: { cpu: '4' } })] });
    expect(test.trace([whole('3'), whole('2'), whole('1')])).toEqual(['a', 'Pending', 'a']);
  });
  it('what can never fit is told from what cannot now; every resource is named', () => {
    const world = { nodes: [testNode('a', { allocatable: { cpu: '4', memory: '4Gi', pods: '2' } })] };
    const pods = [boundTo(testPod('q', { requests: { cpu: '3', memory: '3Gi' } }), 'a')];
    const asking = (requests: Record<string, string>) =>
      verdict(resourceFit(), testPod('p', { requests }), { ...world, pods });
    expect(asking({ cpu: '1', memory: '1Gi' })).toBe('fits');
    expect(asking({ cpu: '2', memory: '2Gi' })).toBe('Insufficient cpu, Insufficient memory');
    expect(asking({ cpu: '5' })).toBe('never: Insufficient cpu');
    expect(asking({ 'example.com/foo': '1' })).toBe('never: Insufficient example.com/foo');
    const full = { ...world, pods: ['q', 'r'].map(name => boundTo(testPod(name), 'a')) };
    expect(verdict(resourceFit(), testPod('p'), full)).toBe('Too many pods');
    const ignoring = resourceFit({ ignoredResources: ['example.com/foo'] });
    expect(verdict(ignoring, testPod('p', { requests: { 'example.com/foo': '1' } }), world)).toBe('fits');
  });
});
