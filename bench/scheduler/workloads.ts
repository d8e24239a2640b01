/**
 * The shapes and sizes of kube-scheduler's own scheduler_perf workloads (test/integration/scheduler_perf, facts of shape, no text of theirs), and
 * the thresholds upstream's CI asks of kube-scheduler there: the least average of pods per second, through its API server and etcd.
 */
import type { corev1, Node, Pod } from '@orbitkit/core';
import { testNode, testPod } from '@orbitkit/scheduler/testing';

export interface Workload {
  readonly name: string;
  /** Pods that are there before, and pods that are measured, at 5,000 nodes. Other sizes scale. */
  readonly initial: number;
  readonly measured: number;
  /** At 500 nodes, where there is not room for more. Default: in proportion, at least half. */
  readonly measuredAt500?: number;
  /** Upstream's threshold at 5,000 nodes, pods/s. */
  readonly threshold: number | undefined;
  initialPod(index: number): Pod;
  pod(index: number): Pod;
  /** Values of the zone label, in turn. Default: three. */
  readonly zones?: readonly string[];
  /** The nodes, where they are not the usual ones and not as many as asked for. */
  ownNodes?(): Node[];
  /** Pods that come beside the measured ones, five a second. Nobody waits for them to be placed. */
  beside?(index: number): Pod;
  /** Pods that are kept from being placed all the time. */
  readonly gated?: number;
  gatedPod?(index: number): Pod;
  /** Of the initial pods so many end each second while others are measured. */
  readonly endingPerSecond?: number;
}

const three = ['zone-1', 'zone-2', 'zone-3'];
/** Affinity is measured in one zone, as upstream does: every node can be near. */
const one = ['zone-1'];

/** 4 cores, 32 GiB, 110 pods, in a zone: scheduler_perf's default node. */
export const nodes = (count: number, zones: readonly string[] = three): Node[] =>
  Array.from({ length: count }, (_, i) =>
    testNode(`node-${String(i).padStart(5, '0')}`, {
      allocatable: { cpu: '4', memory: '32Gi', pods: '110' },
      labels: { 'topology.kubernetes.io/zone': zones[i % zones.length]! },
    }),
  );

const requests = { cpu: '100m', memory: '500Mi' };
const plain = (name: string) => (index: number) => testPod(`${name}-${index}`, { namespace: name, requests });
const labelled =
  (name: string, labels: Record<string, string>, spec: Partial<corev1.PodSpec>) =>
  (index: number): Pod =>
    testPod(`${name}-${index}`, { namespace: 'perf', labels, requests, spec });

const hostname = 'kubernetes.io/hostname';
const zone = 'topology.kubernetes.io/zone';
const green = { color: 'green' };
const term = (labels: Record<string, string>, topologyKey: string) => ({
  labelSelector: { matchLabels: labels },
  topologyKey,
});
const required = <T>(terms: T[]) => ({ requiredDuringSchedulingIgnoredDuringExecution: terms });
const preferred = <T>(terms: T[]) => ({ preferredDuringSchedulingIgnoredDuringExecution: terms });

const spread = (whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway') => ({
  topologySpreadConstraints: [
    { maxSkew: 5, topologyKey: zone, whenUnsatisfiable, labelSelector: { matchLabels: { color: 'blue' } } },
  ],
});
const blue = { color: 'blue' };
const away = labelled('away', green, { affinity: { podAntiAffinity: required([term(green, hostname)]) } });
const near = labelled('near', blue, { affinity: { podAffinity: required([term(blue, zone)]) } });
const likes = labelled(
  'likes',
  { color: 'red' },
  {
    affinity: { podAffinity: preferred([{ weight: 1, podAffinityTerm: term({ color: 'red' }, hostname) }]) },
  },
);
const dislikes = labelled(
  'dislikes',
  { color: 'yellow' },
  {
    affinity: { podAntiAffinity: preferred([{ weight: 1, podAffinityTerm: term({ color: 'yellow' }, hostname) }]) },
  },
);
const inZone = labelled(
  'zoned',
  {},
  {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: zone, operator: 'In', values: ['zone-1', 'zone-2'] }] }],
        },
      },
    },
  },
);

/** Four of these fill a node. */
const low = (index: number): Pod =>
  testPod(`low-${index}`, {
    namespace: 'perf',
    requests: { cpu: '900m', memory: '500Mi' },
    spec: { priority: 0, terminationGracePeriodSeconds: 0 },
  });
/** Takes the place of three of them. */
const high = (index: number): Pod =>
  testPod(`high-${index}`, { namespace: 'perf', requests: { cpu: '3', memory: '500Mi' }, spec: { priority: 10 } });

/** More than a node has, so that it waits. */
const large = (index: number): Pod =>
  testPod(`large-${index}`, { namespace: 'perf', requests: { cpu: '9', memory: '500Mi' }, spec: { priority: 10 } });
const light = (name: string) => (index: number) => testPod(`${name}-${index}`, { namespace: name });
const gate = { schedulingGates: [{ name: 'perf/wait' }] };

/** Each pod is one decision: measured with and without the queue and the API. */
export const workloads: readonly Workload[] = [
  {
    name: 'SchedulingBasic',
    initial: 1_000,
    measured: 10_000,
    threshold: 680,
    initialPod: plain('init'),
    pod: plain('basic'),
  },
  {
    name: 'SchedulingPodAntiAffinity',
    initial: 1_000,
    measured: 2_000,
    measuredAt500: 400,
    threshold: 60,
    initialPod: away,
    pod: i => away(i + 100_000),
  },
  {
    name: 'SchedulingPodAffinity',
    zones: one,
    initial: 5_000,
    measured: 5_000,
    threshold: 35,
    initialPod: near,
    pod: i => near(i + 100_000),
  },
  {
    name: 'SchedulingPodAffinity, three zones',
    initial: 5_000,
    measured: 5_000,
    threshold: undefined,
    initialPod: near,
    pod: i => near(i + 100_000),
  },
  {
    name: 'SchedulingPreferredPodAffinity',
    initial: 5_000,
    measured: 5_000,
    threshold: 90,
    initialPod: likes,
    pod: i => likes(i + 100_000),
  },
  {
    name: 'SchedulingPreferredPodAntiAffinity',
    initial: 5_000,
    measured: 5_000,
    threshold: 90,
    initialPod: dislikes,
    pod: i => dislikes(i + 100_000),
  },
  {
    name: 'SchedulingNodeAffinity',
    zones: one,
    initial: 5_000,
    measured: 10_000,
    threshold: 220,
    initialPod: inZone,
    pod: i => inZone(i + 100_000),
  },
  {
    name: 'TopologySpreading',
    initial: 5_000,
    measured: 5_000,
    threshold: 460,
    initialPod: plain('init'),
    pod: labelled('spread', blue, spread('DoNotSchedule')),
  },
  {
    name: 'PreferredTopologySpreading',
    initial: 5_000,
    measured: 5_000,
    threshold: 340,
    initialPod: plain('init'),
    pod: labelled('spread', blue, spread('ScheduleAnyway')),
  },
  {
    // Upstream stops at 1,000 nodes.
    name: 'PreemptionBasic',
    initial: 20_000,
    measured: 5_000,
    measuredAt500: 500,
    threshold: undefined,
    initialPod: low,
    pod: high,
  },
];

/** What happens beside the measured pods is what is measured: with the queue, and through the API. */
export const queueWorkloads: readonly Workload[] = [
  {
    name: 'Nothing beside',
    initial: 100,
    measured: 10_000,
    threshold: undefined,
    initialPod: plain('init'),
    pod: plain('measured'),
  },
  {
    name: 'Unschedulable',
    initial: 100,
    measured: 10_000,
    threshold: 590,
    initialPod: plain('init'),
    pod: plain('measured'),
    beside: large,
  },
  {
    name: 'Unschedulable, 20,000 there',
    initial: 20_000,
    measured: 10_000,
    threshold: 600,
    initialPod: plain('init'),
    pod: plain('measured'),
    beside: large,
  },
  {
    name: 'PreemptionAsync',
    initial: 20_000,
    measured: 5_000,
    measuredAt500: 1_000,
    threshold: 570,
    initialPod: low,
    pod: plain('measured'),
    beside: high,
  },
  {
    name: 'SchedulingWhileGated',
    ownNodes: () => [testNode('one', { allocatable: { cpu: '64', memory: '512Gi', pods: '90000' } })],
    initial: 20_000,
    measured: 20_000,
    threshold: 910,
    initialPod: light('ending'),
    pod: light('measured'),
    gated: 10_000,
    gatedPod: index => testPod(`gated-${index}`, { namespace: 'gated', spec: gate }),
    endingPerSecond: 50,
  },
];

/** How many pods there are in a cluster of that size: a workload whose nodes are its own has them all. */
export function sizesOf(workload: Workload, nodeCount: number): { initial: number; measured: number } {
  if (workload.ownNodes) return workload;
  const scale = nodeCount / 5_000;
  const measured =
    nodeCount === 500 && workload.measuredAt500
      ? workload.measuredAt500
      : Math.round(workload.measured * Math.max(scale, 0.5));
  return { initial: Math.round(workload.initial * scale), measured };
}

export const nodesOf = ({ ownNodes, zones }: Workload, nodeCount: number): Node[] =>
  ownNodes?.() ?? nodes(nodeCount, zones);
