/**
 * Which events bring a refused pod back, plugin by plugin: tables after kube-scheduler 1.33's queueing hints, where they differ closer: a freed room is
 * looked at before somebody is woken for it.
 */
import type { corev1, KubeObject, Node, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../framework/event.js';
import type { Plugin } from '../framework/plugin.js';
import { profile } from '../framework/profile.js';
import { nodeEvents, podEvents } from '../live/cluster-events.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { avoids, boundTo, type NodeOptions, testNode, testPod } from '../testing/fixtures.js';
import { acceleratorPacking } from './accelerator-packing.js';
import { defaultPreemption } from './default-preemption.js';
import { interPodAffinity } from './inter-pod-affinity.js';
import { nodeAffinity } from './node-affinity.js';
import { nodeName } from './node-name.js';
import { nodePorts } from './node-ports.js';
import { nodeReady } from './node-ready.js';
import { nodeUnschedulable } from './node-unschedulable.js';
import { nodeVolumeLimits } from './node-volume-limits.js';
import { resourceFit } from './resource-fit.js';
import { taintToleration } from './taint-toleration.js';
import { topologySpread } from './topology-spread.js';
import { volumeBinding } from './volume-binding.js';
import { volumeRestrictions } from './volume-restrictions.js';
import { volumeZone } from './volume-zone.js';

type Spec = Partial<corev1.PodSpec>;
interface World {
  nodes?: readonly Node[];
  pods?: readonly Pod[];
  objects?: readonly KubeObject[];
}
type Row = [what: string, spec: Spec | Pod, events: readonly ClusterEvent[], expected: 'Queue' | 'Skip', world?: World];

function table(name: string, plugin: () => Plugin, rows: readonly Row[]): void {
  describe(name, () => {
    it.each(rows)('%s', (_what, given, events, expected, world = {}) => {
      const rules = profile({ plugins: [plugin()] });
      const pod = 'kind' in given ? given : testPod('p', { spec: given });
      const state = snapshotOf(world.nodes ?? [], world.pods);
      for (const object of world.objects ?? []) state.objects.set(object);
      const refusedBy = new Set([rules.plugins[0]!.name]);
      const concerned = events.some(event => rules.concerns(event, pod, refusedBy, state));
      expect(concerned ? 'Queue' : 'Skip').toBe(expected);
    });
  });
}

const added = (options: NodeOptions = {}, name = 'n') => nodeEvents(undefined, testNode(name, options));
const deleted = (options: NodeOptions = {}) => nodeEvents(testNode('n', options), undefined);
const changed = (before: NodeOptions, after: NodeOptions) => nodeEvents(testNode('n', before), testNode('n', after));
const on = (node: string, options: Parameters<typeof testPod>[1] = {}, name = 'other'): Pod =>
  boundTo(testPod(name, options), node);
const came = (options: Parameters<typeof testPod>[1]) => podEvents(undefined, on('n', options));
const went = (pod: Pod) => podEvents(pod, undefined);

describe('events of nodes and pods', () => {
  it('names what changed, and nothing for a heartbeat', () => {
    expect(changed({}, {})).toEqual([]);
    const types = changed(
      { labels: { a: '1' }, allocatable: { cpu: '1' }, ready: false },
      { labels: { a: '2' }, allocatable: { cpu: '2' }, unschedulable: true },
    ).map(each => each.type);
    expect(types).toEqual(['NodeAllocatable', 'NodeLabel', 'NodeTaint', 'NodeReady']);
  });
  it('tells a pod that counts from one that does not', () => {
    const pod = on('n', { labels: { a: '1' }, requests: { cpu: '2' } });
    const types = (before: Pod | undefined, after: Pod | undefined) => podEvents(before, after).map(each => each.type);
    expect(types(undefined, testPod('waits'))).toEqual([]);
    expect(types(undefined, pod)).toEqual(['PodAdd']);
    expect(types(pod, { ...pod, status: { phase: 'Running' } })).toEqual([]);
    expect(types(pod, { ...pod, status: { phase: 'Failed' } })).toEqual(['PodDelete']);
    expect(types({ ...pod, status: { phase: 'Failed' } }, undefined)).toEqual([]);
    expect(types(pod, { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } })).toEqual([
      'PodTerminating',
    ]);
    const smaller = on('n', { labels: { a: '2' }, requests: { cpu: '1' } });
    expect(types(pod, smaller)).toEqual(['PodLabel', 'PodScaleDown']);
    expect(types(smaller, pod)).toEqual(['PodLabel']);
  });
});

table('NodeName', nodeName, [
  ['the node it names', { nodeName: 'n' }, added(), 'Queue'],
  ['another', { nodeName: 'm' }, added(), 'Skip'],
]);

table('NodeReady', nodeReady, [
  ['a node that is ready', {}, added(), 'Queue'],
  ['a node that is not', {}, added({ ready: false }), 'Skip'],
  ['becomes ready', {}, changed({ ready: false }, {}), 'Queue'],
  ['is not ready any more', {}, changed({}, { ready: false }), 'Skip'],
]);

table('NodeUnschedulable', nodeUnschedulable, [
  ['an open node', {}, added(), 'Queue'],
  ['a cordoned node', {}, added({ unschedulable: true }), 'Skip'],
  ['uncordoned', {}, changed({ unschedulable: true }, {}), 'Queue'],
  ['cordoned', {}, changed({}, { unschedulable: true }), 'Skip'],
  ['open before and after', {}, changed({}, { taints: [{ key: 'k', effect: 'NoSchedule' }] }), 'Skip'],
]);

const k: corev1.Taint = { key: 'k', value: 'v', effect: 'NoSchedule' };
const l: corev1.Taint = { key: 'l', effect: 'NoExecute' };
const tolerating: Spec = { tolerations: [{ key: 'k', operator: 'Exists' }] };
table('TaintToleration', taintToleration, [
  ['a node without taints', {}, added(), 'Queue'],
  ['a taint it does not tolerate', {}, added({ taints: [k] }), 'Skip'],
  ['a taint it tolerates', tolerating, added({ taints: [k] }), 'Queue'],
  ['the taint goes', {}, changed({ taints: [k] }, {}), 'Queue'],
  ['one of two goes', {}, changed({ taints: [k, l] }, { taints: [l] }), 'Skip'],
  ['the one it does not tolerate goes', tolerating, changed({ taints: [k, l] }, { taints: [k] }), 'Queue'],
  ['tolerated before and after', tolerating, changed({ taints: [k] }, {}), 'Skip'],
]);

const ssd: Spec = { nodeSelector: { disk: 'ssd' } };
table('NodeAffinity', nodeAffinity, [
  ['a node that matches', ssd, added({ labels: { disk: 'ssd' } }), 'Queue'],
  ['a node that does not', ssd, added(), 'Skip'],
  ['labelled so that it matches', ssd, changed({}, { labels: { disk: 'ssd' } }), 'Queue'],
  ['another label', ssd, changed({}, { labels: { team: 'red' } }), 'Skip'],
  ['matched before and after', ssd, changed({ labels: { disk: 'ssd' } }, { labels: { disk: 'ssd', a: 'b' } }), 'Skip'],
  ['a taint', ssd, changed({}, { taints: [k] }), 'Skip'],
]);
const inZone = {
  requiredDuringSchedulingIgnoredDuringExecution: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['x'] }] }],
  },
};
table('NodeAffinity with addedAffinity', () => nodeAffinity({ addedAffinity: inZone }), [
  ['the added affinity too', ssd, added({ labels: { disk: 'ssd', zone: 'x' } }), 'Queue'],
  ['the pod alone', ssd, added({ labels: { disk: 'ssd' } }), 'Skip'],
]);

const port = (hostPort: number, hostIP?: string): Spec => ({
  containers: [{ name: 'c', image: 'i', ports: [{ hostPort, containerPort: 1, ...(hostIP ? { hostIP } : {}) }] }],
});
table('NodePorts', nodePorts, [
  ['any node', port(80), added(), 'Queue'],
  ['the holder went', port(80), went(on('n', { spec: port(80) })), 'Queue'],
  ['a holder of another port', port(80), went(on('n', { spec: port(81) })), 'Skip'],
  ['of another address', port(80, '10.0.0.1'), went(on('n', { spec: port(80, '10.0.0.2') })), 'Skip'],
  ['of every address', port(80, '10.0.0.1'), went(on('n', { spec: port(80) })), 'Queue'],
]);

const asking = (cpu: string, spec: Spec = {}) => testPod('p', { requests: { cpu }, spec: { priority: 10, ...spec } });
const two: NodeOptions = { allocatable: { cpu: '2' } };
const full = (priority: number, cpu = '2'): World => ({
  nodes: [testNode('n', two)],
  pods: [on('n', { requests: { cpu }, spec: { priority } }, 'stays')],
});
const gone = went(on('n', { requests: { cpu: '1' } }));
const shrunk = podEvents(on('n', { requests: { cpu: '2' } }), on('n', { requests: { cpu: '1' } }));
const ending = (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const nominatedTo = (node: string): Pod => ({ ...asking('2'), status: { nominatedNodeName: node } });
table('NodeResourcesFit', resourceFit, [
  ['a node that is large enough', asking('2'), added(two), 'Queue', { nodes: [testNode('n', two)] }],
  ['a node that is not', asking('3'), added(two), 'Skip', { nodes: [testNode('n', two)] }],
  ['a node that is full already', asking('1'), added(two), 'Skip', full(10)],
  [
    'it has more now',
    asking('2'),
    changed({ allocatable: { cpu: '1' } }, two),
    'Queue',
    { nodes: [testNode('n', two)] },
  ],
  [
    'not enough more',
    asking('3'),
    changed({ allocatable: { cpu: '1' } }, two),
    'Skip',
    { nodes: [testNode('n', two)] },
  ],
  ['a label', asking('1'), changed({}, { labels: { a: 'b' } }), 'Skip', { nodes: [testNode('n', two)] }],
  ['a pod came', asking('1'), came({}), 'Skip', { nodes: [testNode('n', two)] }],
  ['a pod went, and there is room', asking('2'), gone, 'Queue', { nodes: [testNode('n', two)] }],
  ['a pod went, and the room is not enough', asking('2'), gone, 'Skip', full(10, '1')],
  ['not enough, but it may preempt who is left', asking('2'), gone, 'Queue', full(0, '1')],
  ['and may not', asking('2', { preemptionPolicy: 'Never' }), gone, 'Skip', full(0, '1')],
  ['on a node that is not there', asking('1'), gone, 'Skip'],
  ['too many pods, one went', asking('1'), gone, 'Queue', { nodes: [testNode('n', { allocatable: { pods: '1' } })] }],
  [
    'too many pods still',
    asking('1'),
    gone,
    'Skip',
    { ...full(10, '0'), nodes: [testNode('n', { allocatable: { pods: '1' } })] },
  ],
  ['a pod asks for less', asking('1'), shrunk, 'Queue', full(10, '1')],
  ['less, and not enough', asking('2'), shrunk, 'Skip', full(10, '1')],
  [
    'room that was kept for another is free',
    asking('2'),
    [{ type: 'PodDelete', before: testPod('q'), node: 'n' }],
    'Queue',
    { nodes: [testNode('n', two)] },
  ],
  [
    'its victims are ending elsewhere',
    nominatedTo('m'),
    gone,
    'Skip',
    {
      nodes: [testNode('n', two), testNode('m', two)],
      pods: [on('n', { requests: { cpu: '1' } }, 'low'), ending(on('m', {}, 'victim'))],
    },
  ],
]);
table('NodeResourcesFit without cpu', () => resourceFit({ ignoredResources: ['cpu'] }), [
  ['an ignored resource is not looked at', asking('9'), added(two), 'Queue', { nodes: [testNode('n', two)] }],
]);

const near = (matchLabels: Record<string, string>, topologyKey = 'zone'): Spec => ({
  affinity: {
    podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels }, topologyKey }] },
  },
});
const web = { app: 'web' };
const db = { app: 'db' };
const relabelled = (before: Record<string, string>, after: Record<string, string>) =>
  podEvents(on('n', { labels: before }), on('n', { labels: after }));
const self = (spec: Spec): Pod => testPod('p', { labels: web, spec });
const namespaced = (spec: Spec): Spec => {
  const [term] = spec.affinity!.podAntiAffinity!.requiredDuringSchedulingIgnoredDuringExecution!;
  return {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { ...term!, namespaceSelector: { matchLabels: { team: 'red' } } },
        ],
      },
    },
  };
};
const namespaceChanged: ClusterEvent[] = [
  {
    type: 'NamespaceLabel',
    after: {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'x', uid: 'x', resourceVersion: '1', creationTimestamp: '' },
    },
  },
];
table('InterPodAffinity', interPodAffinity, [
  ['affinity: a friend came', near(db), came({ labels: db }), 'Queue'],
  ['affinity: a stranger came', near(db), came({ labels: web }), 'Skip'],
  ['affinity: a friend of another namespace', near(db), came({ labels: db, namespace: 'x' }), 'Skip'],
  ['affinity: a friend went', near(db), went(on('n', { labels: db })), 'Queue'],
  ['affinity: a stranger went', near(db), went(on('n', { labels: web })), 'Skip'],
  ['affinity: becomes a friend', near(db), relabelled(web, db), 'Queue'],
  ['affinity: a friend before and after', near(db), relabelled(db, { ...db, a: 'b' }), 'Skip'],
  ['affinity: a node of the topology', near(db), added({ labels: { zone: 'x' } }), 'Queue'],
  ['affinity: a node without it', near(db), added(), 'Skip'],
  ['affinity: the node moved', near(db), changed({ labels: { zone: 'x' } }, { labels: { zone: 'y' } }), 'Queue'],
  [
    'affinity: another label of it',
    near(db),
    changed({ labels: { zone: 'x' } }, { labels: { zone: 'x', a: 'b' } }),
    'Skip',
  ],
  ['anti-affinity: an enemy went', avoids(db), went(on('n', { labels: db })), 'Queue'],
  ['anti-affinity: a stranger went', avoids(db), went(on('n', { labels: web })), 'Skip'],
  ['anti-affinity: an enemy came', avoids(db), came({ labels: db }), 'Skip'],
  ['anti-affinity: is no enemy any more', avoids(db), relabelled(db, web), 'Queue'],
  [
    'anti-affinity: avoids it still, in a smaller place',
    self(avoids(db, 'zone')),
    podEvents(on('n', { labels: db, spec: avoids(web) }), on('n', { labels: web, spec: avoids(web) })),
    'Queue',
  ],
  ['anti-affinity: any node', avoids(db), added(), 'Queue'],
  ['anti-affinity: a node went', avoids(db), deleted(), 'Queue'],
  ['who avoids it went', self({}), went(on('n', { spec: avoids(web) })), 'Queue'],
  ['who avoids others went', self({}), went(on('n', { spec: avoids(db) })), 'Skip'],
  [
    'a node of who avoids it moved',
    self({}),
    changed({ labels: { zone: 'x' } }, { labels: { zone: 'y' } }),
    'Queue',
    { nodes: [testNode('n')], pods: [on('n', { spec: avoids(web, 'zone') })] },
  ],
  ['labels of a namespace, with a term by namespace', namespaced(avoids(db)), namespaceChanged, 'Queue'],
  [
    'labels of a namespace, where others have such a term',
    self({}),
    namespaceChanged,
    'Queue',
    { nodes: [testNode('n')], pods: [on('n', { spec: namespaced(avoids(db)) })] },
  ],
  ['labels of a namespace, without one', avoids(db), namespaceChanged, 'Skip'],
]);

const even = (more: object = {}): Pod =>
  self({
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: web },
        ...more,
      },
    ],
  });
table('PodTopologySpread', topologySpread, [
  ['one that is counted came', even(), came({ labels: web }), 'Queue'],
  ['one that is not', even(), came({ labels: db }), 'Skip'],
  ['of another namespace', even(), came({ labels: web, namespace: 'x' }), 'Skip'],
  ['one that was counted went', even(), went(on('n', { labels: web })), 'Queue'],
  ['one that was not', even(), went(on('n', { labels: db })), 'Skip'],
  [
    'one that was counted is ending',
    even(),
    podEvents(on('n', { labels: web }), ending(on('n', { labels: web }))),
    'Queue',
  ],
  ['one that was not is ending', even(), podEvents(on('n', { labels: db }), ending(on('n', { labels: db }))), 'Skip'],
  ['relabelled into the count', even(), relabelled(db, web), 'Queue'],
  ['another label', even(), relabelled(web, { ...web, a: 'b' }), 'Skip'],
  ['a node of the topology', even(), added({ labels: { zone: 'x' } }), 'Queue'],
  ['a node without it', even(), added(), 'Skip'],
  ['a node of it went', even(), deleted({ labels: { zone: 'x' } }), 'Queue'],
  ['a node without it went', even(), deleted(), 'Skip'],
  ['the node moved', even(), changed({ labels: { zone: 'x' } }, { labels: { zone: 'y' } }), 'Queue'],
  ['another label of it', even(), changed({ labels: { zone: 'x' } }, { labels: { zone: 'x', a: 'b' } }), 'Skip'],
  ['a taint', even(), changed({}, { taints: [k] }), 'Skip'],
  ['a taint, where taints count', even({ nodeTaintsPolicy: 'Honor' }), changed({}, { taints: [k] }), 'Queue'],
]);

const using = (claimName: string): Spec => ({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] });
const object = (kind: string, name: string, spec: object = {}, namespace?: string): KubeObject & { spec: object } => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', ...(namespace ? { namespace } : {}) },
  spec,
});
const claim = (name: string, namespace = 'default') =>
  object('PersistentVolumeClaim', name, { storageClassName: 'disk' }, namespace);
const heard = (type: ClusterEvent['type'], after: KubeObject, before?: KubeObject): ClusterEvent[] => [
  { type, after, ...(before ? { before } : {}) },
];
const volume = (name: string, holder?: string) =>
  object('PersistentVolume', name, holder ? { claimRef: { namespace: 'default', name: holder } } : {});
const csi = (count: number | undefined) =>
  object('CSINode', 'n', {
    drivers: [{ name: 'disk', nodeID: 'n', ...(count === undefined ? {} : { allocatable: { count } }) }],
  });
const ephemeral: Spec = { volumes: [{ name: 'data', ephemeral: {} }] };

table('VolumeRestrictions', volumeRestrictions, [
  ['who uses the claim went', using('c'), went(on('n', { spec: using('c') })), 'Queue'],
  ['who uses another', using('c'), went(on('n', { spec: using('d') })), 'Skip'],
  ['who uses one of that name elsewhere', using('c'), went(on('n', { spec: using('c'), namespace: 'x' })), 'Skip'],
  ['its claim', using('c'), heard('PersistentVolumeClaim', claim('c')), 'Queue'],
  ['another claim', using('c'), heard('PersistentVolumeClaim', claim('d')), 'Skip'],
  ['any node', using('c'), added(), 'Skip'],
]);
table('NodeVolumeLimits', nodeVolumeLimits, [
  ['any node', using('c'), added(), 'Queue'],
  ['a higher limit', using('c'), heard('CSINode', csi(9), csi(8)), 'Queue'],
  ['no limit any more', using('c'), heard('CSINode', csi(undefined), csi(8)), 'Queue'],
  ['a lower limit', using('c'), heard('CSINode', csi(7), csi(8)), 'Skip'],
  ['a pod with volumes went', using('c'), went(on('n', { spec: using('d') })), 'Queue'],
  ['a pod without', using('c'), went(on('n')), 'Skip'],
  ['its claim', using('c'), heard('PersistentVolumeClaim', claim('c')), 'Queue'],
  ['another claim', using('c'), heard('PersistentVolumeClaim', claim('d')), 'Skip'],
]);
table('VolumeBinding', volumeBinding, [
  ['any node', using('c'), added(), 'Queue'],
  ['any label of a node', using('c'), changed({}, { labels: { a: 'b' } }), 'Queue'],
  ['its claim', using('c'), heard('PersistentVolumeClaim', claim('c')), 'Queue'],
  ['the claim of its ephemeral volume', ephemeral, heard('PersistentVolumeClaim', claim('p-data')), 'Queue'],
  ['another claim', using('c'), heard('PersistentVolumeClaim', claim('d')), 'Skip'],
  ['a claim of that name elsewhere', using('c'), heard('PersistentVolumeClaim', claim('c', 'x')), 'Skip'],
  ['its volume', using('c'), heard('PersistentVolume', volume('v', 'c')), 'Queue'],
  ["nobody's volume", using('c'), heard('PersistentVolume', volume('v')), 'Queue'],
  ["another's volume", using('c'), heard('PersistentVolume', volume('v', 'd')), 'Skip'],
  [
    'the class of its claim',
    using('c'),
    heard('StorageClass', object('StorageClass', 'disk')),
    'Queue',
    { objects: [claim('c')] },
  ],
  [
    'another class',
    using('c'),
    heard('StorageClass', object('StorageClass', 'tape')),
    'Skip',
    { objects: [claim('c')] },
  ],
  ['a pod with claims went', using('c'), went(on('n', { spec: using('d') })), 'Queue'],
  ['a pod without', using('c'), went(on('n')), 'Skip'],
]);
table('VolumeZone', volumeZone, [
  ['any node', using('c'), added(), 'Queue'],
  ['the zone of a node', using('c'), changed({}, { labels: { 'topology.kubernetes.io/zone': 'x' } }), 'Queue'],
  ['another label', using('c'), changed({}, { labels: { a: 'b' } }), 'Skip'],
  ['its volume', using('c'), heard('PersistentVolume', volume('v', 'c')), 'Queue'],
  ["another's volume", using('c'), heard('PersistentVolume', volume('v', 'd')), 'Skip'],
  ['another claim', using('c'), heard('PersistentVolumeClaim', claim('d')), 'Skip'],
]);

const gpu = (count: string) => testPod('p', { requests: { 'nvidia.com/gpu': count } });
table('AcceleratorPacking', acceleratorPacking, [
  ['a pod with devices went', gpu('1'), went(on('n', { requests: { 'nvidia.com/gpu': '1' } })), 'Queue'],
  ['a pod with a share went', gpu('1'), went(on('n', { requests: { 'orbitkit.dev/gpu-share': '50' } })), 'Queue'],
  ['a pod without went', gpu('1'), went(on('n', { requests: { cpu: '1' } })), 'Skip'],
]);

const waitingFor = (...left: Pod[]): World => ({ nodes: [testNode('n', two)], pods: left });
table('DefaultPreemption', defaultPreemption, [
  ['its last victim went', nominatedTo('n'), gone, 'Queue', waitingFor()],
  ['one went, another is ending', nominatedTo('n'), gone, 'Skip', waitingFor(ending(on('n', {}, 'victim')))],
  ['a pod on another node went', nominatedTo('m'), gone, 'Skip', waitingFor()],
  ['it waits for no victims', asking('2'), gone, 'Skip', waitingFor()],
  ['its nominated node went', nominatedTo('n'), deleted(), 'Queue'],
  ['its nominated node was cordoned', nominatedTo('n'), changed({}, { unschedulable: true }), 'Queue'],
  ['another node was', nominatedTo('m'), changed({}, { unschedulable: true }), 'Skip'],
]);
