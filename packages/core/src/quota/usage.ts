/**
 * What one object uses of a quota, by the names that quotas have: `pods`, `requests.cpu`, `limits.memory`, `services.nodeports`,
 * `count/deployments.apps`, `gold.storageclass.storage.k8s.io/requests.storage`. Source: kubernetes `pkg/quota/v1/evaluator/core` (v0.33).
 */
import type { corev1 } from '../kinds/generated/types/index.js';
import type { Kind } from '../kinds/kind.js';
import type { DynamicObject } from '../meta/object.js';
import { Quantity } from '../meta/quantity.js';
import { parseTime } from '../meta/time.js';
import { podAmounts } from './pod-amounts.js';
import { isScoped, matchesScopes } from './scopes.js';

/** Amounts by quota name. What an object does not use is absent. */
export type QuotaUsage = ReadonlyMap<string, Quantity>;
type Object_ = Readonly<DynamicObject>;

const one = Quantity.of(1);
/** Kinds that quotas know by their bare plural. */
const counted = new Set([
  'configmaps',
  'secrets',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'persistentvolumeclaims',
  'pods',
]);

/** The resource that a name of a quota speaks of; undefined for one that nobody counts. */
export function resourceOfQuotaName(name: string): { group: string; plural: string } | undefined {
  if (name.startsWith('count/')) {
    const [plural, ...group] = name.slice('count/'.length).split('.');
    return { group: group.join('.'), plural: plural! };
  }
  if (name === 'services.loadbalancers' || name === 'services.nodeports') return { group: '', plural: 'services' };
  if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/'))
    return { group: '', plural: 'persistentvolumeclaims' };
  if (counted.has(name)) return { group: '', plural: name };
  if (
    /^(?:requests\.|limits\.)/.test(name) ||
    ['cpu', 'memory', 'ephemeral-storage'].includes(name) ||
    name.startsWith('hugepages-')
  )
    return { group: '', plural: 'pods' };
  return undefined;
}

const countName = ({ group, plural }: Pick<Kind, 'group' | 'plural'>): string =>
  `count/${plural}${group === '' ? '' : `.${group}`}`;

/**
 * What the object uses of this quota, by the names that it bounds; nothing when the quota is not about the object.
 * @param now Milliseconds since 1970.
 */
export function quotaUsage(
  spec: corev1.ResourceQuotaSpec,
  kind: Pick<Kind, 'group' | 'plural'>,
  object: Object_,
  now: number,
): QuotaUsage {
  const hard = spec.hard ?? {};
  const isPod = kind.group === '' && kind.plural === 'pods';
  if (isScoped(spec) && (!isPod || !matchesScopes(spec, object as unknown as corev1.Pod))) return new Map();
  // Most kinds are only counted, and most quotas do not count them.
  if (kind.group !== '' && hard[countName(kind)] === undefined) return new Map();
  const usage = new Map<string, Quantity>();
  for (const [name, amount] of usageOf(kind, object, now)) if (hard[name] !== undefined) usage.set(name, amount);
  return usage;
}

function usageOf(kind: Pick<Kind, 'group' | 'plural'>, object: Object_, now: number): QuotaUsage {
  const usage = new Map<string, Quantity>([[countName(kind), one]]);
  if (kind.group !== '') return usage;
  switch (kind.plural) {
    case 'pods':
      return podUsage(object as unknown as corev1.Pod, usage, now);
    case 'services':
      return serviceUsage(object as unknown as corev1.Service, usage);
    case 'persistentvolumeclaims':
      return claimUsage(object as unknown as corev1.PersistentVolumeClaim, usage);
    default:
      if (counted.has(kind.plural)) usage.set(kind.plural, one);
      return usage;
  }
}

/** A pod that has ended, or is long overdue, uses nothing but its place among the objects. */
function isActive({ status, metadata }: corev1.Pod, now: number): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return false;
  if (metadata.deletionTimestamp === undefined || metadata.deletionGracePeriodSeconds === undefined) return true;
  // The timestamp is the end of the grace.
  return now <= (parseTime(metadata.deletionTimestamp) ?? now);
}

function podUsage(pod: corev1.Pod, usage: Map<string, Quantity>, now: number): QuotaUsage {
  if (!isActive(pod, now)) return usage;
  usage.set('pods', one);
  const { requests, limits } = podAmounts(pod);
  for (const [name, amount] of requests) {
    usage.set(`requests.${name}`, amount);
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name.startsWith('hugepages-'))
      usage.set(name, amount);
  }
  for (const [name, amount] of limits) usage.set(`limits.${name}`, amount);
  return usage;
}

function serviceUsage({ spec }: corev1.Service, usage: Map<string, Quantity>): QuotaUsage {
  usage.set('services', one);
  const ports = spec.ports?.length ?? 0;
  if (spec.type === 'NodePort') usage.set('services.nodeports', Quantity.of(ports));
  if (spec.type === 'LoadBalancer') {
    usage.set('services.loadbalancers', one);
    const taken =
      spec.allocateLoadBalancerNodePorts === false ? (spec.ports ?? []).filter(each => each.nodePort).length : ports;
    usage.set('services.nodeports', Quantity.of(taken));
  }
  return usage;
}

function claimUsage(claim: corev1.PersistentVolumeClaim, usage: Map<string, Quantity>): QuotaUsage {
  usage.set('persistentvolumeclaims', one);
  const asked = claim.spec.resources?.requests?.['storage'];
  const storage = asked === undefined ? undefined : Quantity.parse(asked);
  if (storage) usage.set('requests.storage', storage);
  const storageClass =
    claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec.storageClassName;
  if (storageClass) {
    const prefix = `${storageClass}.storageclass.storage.k8s.io/`;
    usage.set(`${prefix}persistentvolumeclaims`, one);
    if (storage) usage.set(`${prefix}requests.storage`, storage);
  }
  return usage;
}
