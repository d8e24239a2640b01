/** Which pods a pod belongs with, as its services and its workload say: what default spread constraints count. Source: kube-scheduler's DefaultSelector. */
import {
  type appsv1,
  type corev1,
  type KubeObject,
  type LabelSelector,
  labelSelectorOf,
  type Pod,
} from '@orbitkit/core';
import type { ClusterObjects } from '../snapshot/cluster-objects.js';

type Service = KubeObject & { kind: 'Service'; spec: corev1.ServiceSpec };
type Workload = KubeObject & { spec: Pick<appsv1.ReplicaSetSpec, 'selector'> };
type Controller = KubeObject & { spec: corev1.ReplicationControllerSpec };

const kinds = ['Service', 'ReplicaSet', 'StatefulSet', 'ReplicationController'];

/** Changes when the answers may. */
export const selectorsVersion = (objects: ClusterObjects): number =>
  kinds.reduce((sum, kind) => sum + objects.version(kind), 0);

/** Undefined when nothing selects the pod. */
export function defaultSelector(pod: Pod, objects: ClusterObjects): LabelSelector | undefined {
  const { namespace, labels = {} } = pod.metadata;
  const matchLabels: Record<string, string> = {};
  const matchExpressions: NonNullable<LabelSelector['matchExpressions']>[number][] = [];
  for (const service of objects.list<Service>('Service')) {
    const { selector } = service.spec;
    if (service.metadata.namespace !== namespace || !selector || Object.keys(selector).length === 0) continue;
    if (labelSelectorOf({ matchLabels: selector }).matches(labels)) Object.assign(matchLabels, selector);
  }
  const owner = pod.metadata.ownerReferences?.find(each => each.controller);
  if (owner?.kind === 'ReplicationController') {
    Object.assign(matchLabels, objects.get<Controller>(owner.kind, namespace, owner.name)?.spec.selector);
  } else if (owner && (owner.kind === 'ReplicaSet' || owner.kind === 'StatefulSet')) {
    const selector = objects.get<Workload>(owner.kind, namespace, owner.name)?.spec.selector;
    Object.assign(matchLabels, selector?.matchLabels);
    matchExpressions.push(...(selector?.matchExpressions ?? []));
  }
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) return undefined;
  return { matchLabels, ...(matchExpressions.length > 0 ? { matchExpressions } : {}) };
}
