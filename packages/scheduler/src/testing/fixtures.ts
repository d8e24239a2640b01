/** Nodes and pods for tests of policies: complete objects from a few words. */
import type { corev1, Node, Pod } from '@orbitkit/core';

let counter = 0;
const meta = (name: string) => {
  counter += 1;
  return {
    name,
    uid: `uid-${counter}-${name}`,
    resourceVersion: String(counter),
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
};

/** What differs from a ready node of 4 cores, 8 GiB and 110 pods. */
export interface NodeOptions {
  labels?: Record<string, string>;
  taints?: corev1.Taint[];
  allocatable?: Record<string, string>;
  /** Default true. */
  ready?: boolean;
  /** Default false. */
  unschedulable?: boolean;
}

/** A whole Node. */
export function testNode(name: string, options: NodeOptions = {}): Node {
  const allocatable = { cpu: '4', memory: '8Gi', pods: '110', ...options.allocatable };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...meta(name), labels: { 'kubernetes.io/hostname': name, ...options.labels } },
    spec: {
      ...(options.taints ? { taints: options.taints } : {}),
      ...(options.unschedulable ? { unschedulable: true } : {}),
    },
    status: {
      capacity: allocatable,
      allocatable,
      conditions: [{ type: 'Ready', status: options.ready === false ? 'False' : 'True' }],
    },
  };
}

/** What differs from a pod of one container that asks for nothing. */
export interface PodOptions {
  labels?: Record<string, string>;
  namespace?: string;
  requests?: Record<string, string>;
  spec?: Partial<corev1.PodSpec>;
  phase?: corev1.PodStatus['phase'];
}

/** A whole Pod without a node. */
export function testPod(name: string, options: PodOptions = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...meta(name), namespace: options.namespace ?? 'default', labels: options.labels ?? {} },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'orbitkit/echo',
          ...(options.requests ? { resources: { requests: options.requests } } : {}),
        },
      ],
      schedulerName: 'default-scheduler',
      ...options.spec,
    },
    status: { phase: options.phase ?? 'Pending' },
  };
}

/** Required anti-affinity to pods with these labels, by host name. */
export const avoids = (
  matchLabels: Record<string, string>,
  topologyKey = 'kubernetes.io/hostname',
): Partial<corev1.PodSpec> => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels }, topologyKey }],
    },
  },
});

/** The pod as it is after binding. */
export const boundTo = (pod: Pod, nodeName: string): Pod => ({ ...pod, spec: { ...pod.spec, nodeName } });
