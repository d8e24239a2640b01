/**
 * Pods that a scheduler cannot tell apart are one *class*: same namespace, labels, requests, affinity, tolerations, ports, images, volumes, owner.
 * Rules are compiled, and their answers kept, for a class and not for a pod; a Deployment of a thousand replicas is one class.
 *
 * The class of a pod is what the built-in plugins read of it. A plugin that reads more (an annotation, say) and wants its answers kept says so
 * by `sign` (kube-scheduler's SignPlugin, KEP-5598). Node name, status, environment and commands are not part of it.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { withLabelKeys } from './label-keys.js';
import { type Amounts, requestsOf, scoringRequestsOf } from './resources.js';

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

export interface PodClass {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Names and amounts, zero amounts left out. */
  readonly requests: Amounts;
  /** CPU and memory as they count when nodes are compared. */
  readonly scoring: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
  readonly affinity: corev1.Affinity | undefined;
  /** Being deleted: topology spread does not count it. */
  readonly leaving: boolean;
  readonly priority: number;
}

const classOfPod = new WeakMap<object, PodClass>();
let known = new Map<string, PodClass>();
/** Beyond this many the table starts anew; a class met twice costs memory, not correctness. */
const knownLimit = 50_000;

/** The class of a pod object. Objects of a cache do not change, so it is found once for each. */
export function classOf(pod: Pod): PodClass {
  const cached = classOfPod.get(pod);
  if (cached) return cached;
  const key = keyOf(pod);
  let found = known.get(key);
  if (!found) {
    found = describe(pod, key);
    if (known.size >= knownLimit) known = new Map();
    known.set(key, found);
  }
  classOfPod.set(pod, found);
  return found;
}

function keyOf({ metadata, spec }: Pod): string {
  const owner = metadata.ownerReferences?.find(each => each.controller);
  return JSON.stringify([
    metadata.namespace,
    metadata.labels,
    owner && `${owner.kind}/${owner.name}`,
    metadata.deletionTimestamp !== undefined,
    spec.schedulerName,
    spec.priority,
    spec.preemptionPolicy,
    spec.nodeSelector,
    spec.affinity,
    spec.tolerations,
    spec.topologySpreadConstraints,
    spec.schedulingGates,
    spec.overhead,
    spec.resources?.requests,
    spec.hostNetwork,
    spec.containers.map(containerKey),
    spec.initContainers?.map(containerKey),
    spec.volumes && volumeKeys(spec.volumes),
  ]);
}

const containerKey = (container: corev1.Container): unknown => {
  const ports = container.ports?.filter(port => port.hostPort || port.containerPort);
  return [
    container.image,
    container.resources?.requests,
    container.restartPolicy,
    ports?.map(port => [port.hostIP, port.hostPort, port.containerPort, port.protocol]),
  ];
};

/** Volumes that bind a pod to places; a projected token has a random name and says nothing. */
function volumeKeys(volumes: readonly corev1.Volume[]): unknown[] {
  const keys: unknown[] = [];
  for (const volume of volumes) {
    if (volume.persistentVolumeClaim) keys.push(volume.persistentVolumeClaim.claimName);
    else if (volume.ephemeral) keys.push([volume.name]);
    else {
      const disk = volume.gcePersistentDisk ?? volume.awsElasticBlockStore ?? volume.rbd ?? volume.iscsi;
      if (disk) keys.push(disk);
    }
  }
  return keys;
}

function describe(pod: Pod, key: string): PodClass {
  const scoring = scoringRequestsOf(pod);
  return {
    key,
    namespace: pod.metadata.namespace,
    labels: pod.metadata.labels ?? {},
    requests: new Map([...requestsOf(pod)].filter(([, amount]) => amount > 0)),
    scoring: { cpu: scoring.get('cpu') ?? 0, memory: scoring.get('memory') ?? 0 },
    hostPorts: hostPortsOf(pod),
    affinity: withLabelKeys(pod.spec.affinity, pod.metadata.labels ?? {}),
    leaving: pod.metadata.deletionTimestamp !== undefined,
    priority: pod.spec.priority ?? 0,
  };
}

function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always');
  return [...pod.spec.containers, ...sidecars].flatMap(container =>
    (container.ports ?? []).flatMap(each => {
      const port = each.hostPort || (pod.spec.hostNetwork ? each.containerPort : 0);
      return port ? [{ ip: each.hostIP || '0.0.0.0', protocol: each.protocol ?? 'TCP', port }] : [];
    }),
  );
}
