/** Where a daemon set's pods belong, and what they are made of. Source: kube-controller-manager `daemon_controller.go`, `daemon/util`. */
import {
  controllerReference,
  type DaemonSet,
  type Draft,
  type KubeObject,
  type Node,
  type Pod,
  selectsNode,
  tolerates,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { PodView } from '../../pods/pod-state.js';
import { revisionLabel } from '../revision-history/revision-history.js';

export type DaemonSetView = DeepReadonly<DaemonSet>;
export type NodeView = DeepReadonly<Node>;

/** Daemons stay where others are driven away (API documentation, "Taints and tolerations"). */
const daemonTolerations = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
] as const;
const networkUnavailable = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
} as const;

/** `run`: a pod belongs there. `stay`: one that is there may go on. */
export function placeOn(set: DaemonSetView, node: NodeView): { run: boolean; stay: boolean } {
  const spec = set.spec.template.spec;
  const nowhere = { run: false, stay: false };
  if (spec?.nodeName && spec.nodeName !== node.metadata.name) return nowhere;
  if (!selectsNode(spec ?? {}, node as SelectableNode)) return nowhere;
  const tolerations = [
    ...(spec?.tolerations ?? []),
    ...daemonTolerations,
    ...(spec?.hostNetwork ? [networkUnavailable] : []),
  ];
  const untolerated = (node.spec.taints ?? []).filter(taint => !tolerations.some(each => tolerates(each, taint)));
  if (untolerated.some(({ effect }) => effect === 'NoExecute')) return nowhere;
  return { run: !untolerated.some(({ effect }) => effect === 'NoSchedule'), stay: true };
}
type SelectableNode = Parameters<typeof selectsNode>[1];

/** The node that a pod is on, or is meant for. */
export function nodeOf(pod: PodView): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const terms =
    pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const { matchFields = [] } of terms)
    for (const { key, operator, values = [] } of matchFields)
      if (key === 'metadata.name' && operator === 'In' && values.length === 1) return values[0];
  return undefined;
}

export function podFor(set: DaemonSetView, node: string, hash: string): Draft<Pod> {
  const { metadata, spec = { containers: [] } } = mutableCopy<DaemonSet>(set).spec.template;
  const tolerations = [...(spec.tolerations ?? [])];
  for (const toleration of [...daemonTolerations, ...(spec.hostNetwork ? [networkUnavailable] : [])])
    if (
      !tolerations.some(
        ({ key, effect, operator }) => key === toleration.key && effect === toleration.effect && operator === 'Exists',
      )
    )
      tolerations.push({ ...toleration });
  const here = { matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [node] }] };
  const nodeAffinity = {
    ...spec.affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [here] },
  };
  return {
    metadata: {
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace,
      labels: {
        ...metadata?.labels,
        [revisionLabel]: hash,
        'pod-template-generation': `${set.metadata.generation ?? 1}`,
      },
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ...(metadata?.finalizers ? { finalizers: metadata.finalizers } : {}),
      ownerReferences: [controllerReference(set as unknown as KubeObject)],
    },
    spec: { ...spec, tolerations, affinity: { ...spec.affinity, nodeAffinity } },
  };
}
