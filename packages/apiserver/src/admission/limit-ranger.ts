/**
 * LimitRanges: what containers that say nothing get, and between which bounds containers, pods and claims may ask. Judged when a pod is created
 * (its resources do not change after that) and when a claim is created or asks for more. Source and texts: `plugin/pkg/admission/limitranger` (v0.33).
 */
import { type corev1, podAmounts, Quantity } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';
import { refused } from './functions.js';

const limitRanges = { group: '', plural: 'limitranges' };
const annotation = 'kubernetes.io/limit-ranger';

type Amounts = Record<string, string | number>;
type Item = corev1.LimitRangeItem;

/** Upstream's LimitRanger. What is out of bounds is refused with 403. */
export function limitRanger(): AdmissionPlugin {
  async function items(request: AdmissionRequest, cluster: AdmissionCluster): Promise<readonly Item[]> {
    const ranges = await cluster.list(limitRanges, request.namespace, request.signal);
    return ranges.flatMap(each => (each.object() as unknown as corev1.LimitRange).spec.limits ?? []);
  }
  return {
    name: 'LimitRanger',
    admit(request, cluster) {
      if (!isNewPod(request)) return;
      return items(request, cluster).then(limits => {
        if (limits.length > 0) fillContainers(request.object as unknown as corev1.Pod, limits);
      });
    },
    validate(request, cluster) {
      if (isNewPod(request) || isClaim(request)) return judge(request, cluster);
    },
  };

  async function judge(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const limits = await items(request, cluster);
    if (limits.length === 0) return;
    const problems = isNewPod(request)
      ? podProblems(request.object as unknown as corev1.Pod, limits)
      : claimProblems(request.object as unknown as corev1.PersistentVolumeClaim, limits);
    if (problems.length > 0) throw refused(request, problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`);
  }
}

const isNewPod = ({ kind, operation, subresource }: AdmissionRequest): boolean =>
  kind.group === '' && kind.plural === 'pods' && operation === 'CREATE' && subresource === undefined;
const isClaim = ({ kind, operation, subresource }: AdmissionRequest): boolean =>
  kind.group === '' && kind.plural === 'persistentvolumeclaims' && operation !== 'DELETE' && subresource === undefined;

function fillContainers(pod: corev1.Pod, limits: readonly Item[]): void {
  const defaults: Amounts = {};
  const requests: Amounts = {};
  for (const item of limits) {
    if (item.type !== 'Container') continue;
    for (const [name, amount] of Object.entries(item.default ?? {})) defaults[name] ??= amount;
    for (const [name, amount] of Object.entries(item.defaultRequest ?? {})) requests[name] ??= amount;
  }
  const notes: string[] = [];
  const fill = (container: corev1.Container, what: string): void => {
    const filled = (kind: 'limits' | 'requests', amounts: Amounts): void => {
      const names = Object.keys(amounts).filter(name => container.resources?.[kind]?.[name] === undefined);
      if (names.length === 0) return;
      container.resources ??= {};
      container.resources[kind] = {
        ...container.resources[kind],
        ...Object.fromEntries(names.map(name => [name, amounts[name]!])),
      } as never;
      const noun = kind === 'limits' ? 'limit' : 'request';
      notes.push(`${names.sort().join(', ')} ${noun} for ${what} ${container.name}`);
    };
    // A limit without a request asks for as much; the default request is for who names neither.
    const own = { ...container.resources?.limits };
    filled('requests', Object.fromEntries(Object.entries(requests).filter(([name]) => own[name] === undefined)));
    for (const [name, limit] of Object.entries(own)) {
      if (container.resources?.requests?.[name] !== undefined) continue;
      container.resources!.requests = { ...container.resources!.requests, [name]: limit } as never;
    }
    filled('limits', defaults);
  };
  for (const container of pod.spec.containers ?? []) fill(container, 'container');
  for (const container of pod.spec.initContainers ?? []) fill(container, 'init container');
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [annotation]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

function podProblems(pod: corev1.Pod, limits: readonly Item[]): string[] {
  const problems: string[] = [];
  const containers = [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])];
  for (const item of limits) {
    if (item.type === 'Container') {
      for (const { resources } of containers)
        problems.push(...itemProblems(item, parsed(resources?.requests), parsed(resources?.limits)));
    } else if (item.type === 'Pod') {
      const { requests, limits: most } = podAmounts(pod);
      problems.push(...itemProblems(item, requests, most));
    }
  }
  return problems;
}

function claimProblems(claim: corev1.PersistentVolumeClaim, limits: readonly Item[]): string[] {
  const asked = parsed(claim.spec.resources?.requests);
  const problems: string[] = [];
  for (const item of limits) {
    if (item.type !== 'PersistentVolumeClaim') continue;
    for (const [name, min] of parsed(item.min)) {
      const amount = asked.get(name);
      const text = `minimum ${name} usage per ${item.type} is ${min}`;
      if (amount === undefined) problems.push(`${text}.  No request is specified`);
      else if (amount.compare(min) < 0) problems.push(`${text}, but request is ${amount}`);
    }
    for (const [name, max] of parsed(item.max)) {
      const amount = asked.get(name);
      const text = `maximum ${name} usage per ${item.type} is ${max}`;
      if (amount === undefined) problems.push(`${text}.  No request is specified`);
      else if (amount.compare(max) > 0) problems.push(`${text}, but request is ${amount}`);
    }
  }
  return problems;
}

type Parsed = ReadonlyMap<string, Quantity>;
const parsed = (amounts: object | undefined): Parsed =>
  new Map(Object.entries(amounts ?? {}).map(([name, amount]) => [name, Quantity.parse(amount as string)]));

function itemProblems(item: Item, requests: Parsed, limits: Parsed): string[] {
  const problems: string[] = [];
  for (const [name, min] of parsed(item.min)) {
    const [request, limit] = [requests.get(name), limits.get(name)];
    const text = `minimum ${name} usage per ${item.type} is ${min}`;
    if (request === undefined) problems.push(`${text}.  No request is specified`);
    else if (request.compare(min) < 0) problems.push(`${text}, but request is ${request}`);
    else if (limit !== undefined && limit.compare(min) < 0) problems.push(`${text}, but limit is ${limit}`);
  }
  for (const [name, max] of parsed(item.max)) {
    const [request, limit] = [requests.get(name), limits.get(name)];
    const text = `maximum ${name} usage per ${item.type} is ${max}`;
    if (limit === undefined) problems.push(`${text}.  No limit is specified`);
    else if (limit.compare(max) > 0) problems.push(`${text}, but limit is ${limit}`);
    else if (request !== undefined && request.compare(max) > 0) problems.push(`${text}, but request is ${request}`);
  }
  for (const [name, ratio] of parsed(item.maxLimitRequestRatio)) {
    const [request, limit] = [requests.get(name), limits.get(name)];
    const text = `${name} max limit to request ratio per ${item.type} is ${ratio}`;
    if (request === undefined || request.isZero())
      problems.push(`${text}, but no request is specified or request is 0`);
    else if (limit === undefined || limit.isZero()) problems.push(`${text}, but no limit is specified or limit is 0`);
    else if (limit.toNumber() / request.toNumber() > ratio.toNumber())
      problems.push(`${text}, but provided ratio is ${(limit.toNumber() / request.toNumber()).toFixed(6)}`);
  }
  return problems;
}
