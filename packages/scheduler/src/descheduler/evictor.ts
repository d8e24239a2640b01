/**
 * Which pods may be asked to leave. Never: mirror and static pods, pods that are ending already, pods whose owner would not make them anew (none), pods of
 * daemon sets. Not unless allowed: system-critical priority, local storage. The annotation `descheduler.alpha.kubernetes.io/evict: "true"`
 * of a pod wins over all but the first two.
 *
 * Source: the documentation of the descheduler's DefaultEvictor; priorities of the system classes are the API's.
 */
import { type LabelSelector, labelSelectorOf, type Pod } from '@orbitkit/core';

/** Which pods may be asked to leave; everything has a default. */
export interface EvictorOptions {
  /** Priority 2,000,000,000 and above. Default false. */
  evictSystemCriticalPods?: boolean;
  /** Pods with emptyDir or hostPath volumes, whose content would be lost. Default false. */
  evictLocalStoragePods?: boolean;
  /** Leaves pods with claims alone. Default false. */
  ignorePvcPods?: boolean;
  /** Only pods below this priority. Default: none but the system's. */
  priorityThreshold?: number;
  /** Only pods that it matches. */
  labelSelector?: LabelSelector;
  namespaces?: { include?: readonly string[]; exclude?: readonly string[] };
  /** Pods of owners with fewer pods than this stay. Default 0. */
  minReplicas?: number;
  /** Younger pods stay. Default 0. */
  minPodAgeMs?: number;
}

const systemCritical = 2_000_000_000;
const evictAnnotation = 'descheduler.alpha.kubernetes.io/evict';

/** The reason why the pod stays, or undefined. `replicas` counts the pods of its owner. */
export function protectionOf(
  pod: Pod,
  options: EvictorOptions,
  facts: { now: number; replicas: () => number },
): string | undefined {
  const { annotations = {}, deletionTimestamp, namespace, creationTimestamp, ownerReferences = [] } = pod.metadata;
  const owners = ownerReferences.map(each => each.kind);
  if ('kubernetes.io/config.mirror' in annotations || owners.includes('Node')) return 'it is a static pod';
  if (deletionTimestamp) return 'it is ending';
  if (annotations[evictAnnotation] === 'true') return undefined;
  if (owners.length === 0) return 'nobody would make it anew';
  if (owners.includes('DaemonSet')) return 'its daemon set would put it back';
  const priority = pod.spec.priority ?? 0;
  if (!options.evictSystemCriticalPods && priority >= systemCritical) return 'it is critical to the system';
  if (options.priorityThreshold !== undefined && priority >= options.priorityThreshold)
    return `its priority is not below ${options.priorityThreshold}`;
  const volumes = pod.spec.volumes ?? [];
  if (!options.evictLocalStoragePods && volumes.some(each => each.emptyDir || each.hostPath))
    return 'it has local storage';
  if (options.ignorePvcPods && volumes.some(each => each.persistentVolumeClaim)) return 'it has a claim';
  const { include, exclude } = options.namespaces ?? {};
  if ((include && !include.includes(namespace)) || exclude?.includes(namespace)) return 'its namespace is left alone';
  if (options.labelSelector && !labelSelectorOf(options.labelSelector).matches(pod.metadata.labels ?? {}))
    return 'the label selector does not match it';
  if (options.minReplicas !== undefined && facts.replicas() < options.minReplicas)
    return `its owner has fewer than ${options.minReplicas} pods`;
  const age = facts.now - Date.parse(creationTimestamp ?? '');
  if (options.minPodAgeMs !== undefined && !(age >= options.minPodAgeMs)) return 'it is too young';
  return undefined;
}
