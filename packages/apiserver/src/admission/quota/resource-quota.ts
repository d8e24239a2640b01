/**
 * ResourceQuotas: no namespace uses more than its quotas allow, however many writers there are at once.
 *
 * - What an object uses is charged to `status.used` by compare-and-swap before the object is stored, and given back when it is refused after
 *   all. What is deleted, or ends, is given back at once by the server that does it.
 * - A server that dies in between leaves a charge without an object. A quota that would refuse, and has been still for a while, is
 *   therefore counted anew first. New quotas are counted when they are first seen.
 * - A dry run is judged and charges nothing.
 * Source and texts: apiserver `admission/plugin/resourcequota` (v0.33).
 */
import {
  type Clock,
  type corev1,
  type DynamicObject,
  type Kind,
  Quantity,
  type QuotaUsage,
  quotaUsage,
  ResourceQuota,
  resourceOfQuotaName,
  systemClock,
} from '@orbitkit/core';
import type { ObjectBytes } from '../../registry/contract.js';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from '../contract.js';
import { refused } from '../functions.js';

const quotas = { group: '', plural: 'resourcequotas' };
/** How long a quota must not have been written before its charges can be taken for settled. */
const stillMs = 5_000;

type Amounts = Map<string, Quantity>;

/** Upstream's ResourceQuota; it belongs at the end of the list, after everything that may still change or refuse an object. Refuses with 403. */
export function resourceQuota(options: { clock?: Clock } = {}): AdmissionPlugin {
  const { clock = systemClock } = options;
  const turns = new Map<string, Promise<unknown>>();
  /** When this server first saw a version of a quota. */
  const seen = new WeakMap<object, number>();

  /** One writer at a time in this process: their swaps would only fail each other. */
  function inTurn<T>(namespace: string, run: () => Promise<T>): Promise<T> {
    const before = turns.get(namespace) ?? Promise.resolve();
    const turn = before.then(run, run);
    const done = turn
      .catch(() => undefined)
      .finally(() => {
        if (turns.get(namespace) === done) turns.delete(namespace);
      });
    turns.set(namespace, done);
    return turn;
  }

  async function charge(
    request: AdmissionRequest,
    cluster: AdmissionCluster,
    quota: corev1.ResourceQuota,
    delta: Amounts,
  ): Promise<void> {
    const { name, namespace } = quota.metadata;
    let problem: string | undefined;
    await cluster.change(ResourceQuota, { name, namespace }, request.signal, async object => {
      const current = object as unknown as corev1.ResourceQuota;
      await settle(current, cluster, request.signal);
      problem = excess(current, delta);
      if (problem === undefined && request.dryRun) return false;
      if (problem !== undefined) {
        if (!(await recounted(current, cluster, request.signal))) return false;
        problem = excess(current, delta);
        if (problem !== undefined) return true;
      }
      if (!request.dryRun) move(current, delta, 1);
      return true;
    });
    if (problem !== undefined) throw refused(request, problem);
  }

  /** True when the quota was still long enough to count anew what is used; it then says so. */
  async function recounted(
    quota: corev1.ResourceQuota,
    cluster: AdmissionCluster,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { name, namespace } = quota.metadata;
    const stored = cluster.peek(quotas, { name, namespace });
    if (stored === undefined) return false;
    const since = seen.get(stored);
    if (since === undefined) seen.set(stored, clock.now());
    if (since === undefined || clock.now() - since < stillMs) return false;
    quota.status!.used = textOf(await count(quota, cluster, signal));
    return true;
  }

  async function settle(quota: corev1.ResourceQuota, cluster: AdmissionCluster, signal: AbortSignal): Promise<void> {
    const { hard = {} } = quota.spec;
    const status = quota.status ?? {};
    const known = status.hard ?? {};
    const same =
      Object.keys(hard).length === Object.keys(known).length &&
      Object.keys(hard).every(name => hard[name] === known[name]);
    if (same) return;
    const used = await count(quota, cluster, signal);
    // What is charged already may not be in the cache yet.
    for (const [name, amount] of Object.entries(status.used ?? {})) {
      const [charged, found] = [Quantity.parse(amount), used.get(name)];
      if (found !== undefined && found.compare(charged) < 0) used.set(name, charged);
    }
    quota.status = { hard: { ...hard }, used: textOf(used) } as corev1.ResourceQuotaStatus;
  }

  async function count(quota: corev1.ResourceQuota, cluster: AdmissionCluster, signal: AbortSignal): Promise<Amounts> {
    const used: Amounts = new Map();
    const resources = new Map<string, { group: string; plural: string }>();
    for (const name of Object.keys(quota.spec.hard ?? {})) {
      used.set(name, Quantity.zero);
      const resource = resourceOfQuotaName(name);
      if (resource) resources.set(`${resource.group}/${resource.plural}`, resource);
    }
    for (const resource of resources.values()) {
      for (const item of await cluster.list(resource, quota.metadata.namespace, signal)) {
        const usage = concerning(quota, resource, item.object(), clock.now());
        for (const [name, amount] of usage) used.set(name, used.get(name)!.add(amount));
      }
    }
    return used;
  }

  return {
    name: 'ResourceQuota',
    validate(request, cluster) {
      const { namespace, operation, subresource, signal } = request;
      if (namespace === undefined || operation === 'DELETE' || isQuotaStatus(request)) return;
      // A binding or an eviction is no object of its kind, and uses nothing.
      if (operation === 'CREATE' && subresource !== undefined) return;
      // Most namespaces have none: that must cost nothing.
      const all = cluster.list(quotas, namespace, signal);
      if (!(all instanceof Promise) && all.length === 0) return;
      return judge(request, cluster, namespace);
    },
    removed(kind, object, cluster) {
      const { namespace } = object.metadata;
      if (!namespace) return;
      const all = cluster.list(quotas, namespace, never);
      if (all instanceof Promise) return all.then(each => giveBack(kind, object, cluster, namespace, each));
      if (all.length === 0) return;
      return giveBack(kind, object, cluster, namespace, all);
    },
  };

  async function judge(request: AdmissionRequest, cluster: AdmissionCluster, namespace: string): Promise<void> {
    const { kind, operation, object, oldObject, signal } = request;
    const all = await cluster.list(quotas, namespace, signal);
    const now = clock.now();
    const charges: [quota: corev1.ResourceQuota, delta: Amounts][] = [];
    const releases: [quota: corev1.ResourceQuota, delta: Amounts][] = [];
    for (const item of all) {
      const quota = item.object() as unknown as corev1.ResourceQuota;
      const after = concerning(quota, kind, object!, now);
      const before = oldObject === undefined ? undefined : concerning(quota, kind, oldObject, now);
      if (operation === 'CREATE') requireAmounts(request, quota, now);
      const more: Amounts = new Map();
      const less: Amounts = new Map();
      for (const name of new Set([...after.keys(), ...(before?.keys() ?? [])])) {
        const difference = (after.get(name) ?? Quantity.zero).sub(before?.get(name) ?? Quantity.zero);
        const side = difference.compare(Quantity.zero);
        if (side > 0) more.set(name, difference);
        else if (side < 0) less.set(name, difference);
      }
      if (more.size > 0) charges.push([quota, more]);
      if (less.size > 0) releases.push([quota, less]);
    }
    if (charges.length > 0) {
      await inTurn(namespace, async () => {
        const charged: [corev1.ResourceQuota, Amounts][] = [];
        try {
          for (const [quota, delta] of charges) {
            await charge(request, cluster, quota, delta);
            charged.push([quota, delta]);
          }
        } catch (error) {
          if (!request.dryRun) for (const [quota, delta] of charged) await adjust(cluster, quota, delta, -1);
          throw error;
        }
      });
      if (!request.dryRun) {
        request.onUndone(() =>
          inTurn(namespace, async () => {
            for (const [quota, delta] of charges) await adjust(cluster, quota, delta, -1);
          }),
        );
      }
    }
    if (releases.length > 0 && !request.dryRun) {
      request.onDone(() =>
        inTurn(namespace, async () => {
          for (const [quota, delta] of releases) await adjust(cluster, quota, delta, 1);
        }),
      );
    }
  }

  async function giveBack(
    kind: Kind,
    object: Readonly<DynamicObject>,
    cluster: AdmissionCluster,
    namespace: string,
    all: readonly ObjectBytes[],
  ): Promise<void> {
    await inTurn(namespace, async () => {
      for (const item of all) {
        const quota = item.object() as unknown as corev1.ResourceQuota;
        // Overdue or not, its end is what gives back what was charged when it came.
        const usage = concerning(quota, kind, object, 0);
        if (usage.size > 0) await adjust(cluster, quota, usage, -1);
      }
    });
  }
}

const releaseMs = 10_000;
/** The cache bounds the wait by itself. */
const never = new AbortController().signal;

const isQuotaStatus = ({ kind, subresource }: AdmissionRequest): boolean =>
  kind.group === '' && kind.plural === 'resourcequotas' && subresource !== undefined;

function concerning(
  quota: corev1.ResourceQuota,
  kind: Pick<Kind, 'group' | 'plural'>,
  object: Readonly<DynamicObject>,
  now: number,
): QuotaUsage {
  return quotaUsage(quota.spec, kind, object, now);
}

const compute = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/** A quota of compute resources is only kept when every pod says how much it wants. */
function requireAmounts(request: AdmissionRequest, quota: corev1.ResourceQuota, now: number): void {
  const { kind, object } = request;
  if (kind.group !== '' || kind.plural !== 'pods') return;
  const pod = object as unknown as corev1.Pod;
  const needed = compute.filter(name => quota.spec.hard?.[name] !== undefined);
  if (
    needed.length === 0 ||
    concerning({ ...quota, spec: { ...quota.spec, hard: { pods: '1' } } } as never, kind, object!, now).size === 0
  )
    return;
  const missing = new Map<string, string[]>();
  for (const container of [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])]) {
    for (const name of needed) {
      const [list, resource] = name.includes('.') ? name.split('.') : ['requests', name];
      const amounts = list === 'limits' ? container.resources?.limits : container.resources?.requests;
      if (amounts?.[resource!] === undefined) missing.set(name, [...(missing.get(name) ?? []), container.name]);
    }
  }
  if (missing.size === 0) return;
  const text = [...missing].map(([name, containers]) => `${name} for: ${containers.join(',')}`).sort();
  throw refused(request, `failed quota: ${quota.metadata.name}: must specify ${text.join('; ')}`);
}

/** What would be too much; undefined when it fits. */
function excess(quota: corev1.ResourceQuota, delta: Amounts): string | undefined {
  const { hard = {}, used = {} } = quota.status ?? {};
  const over = [...delta.keys()].sort().filter(name => {
    const limit = hard[name];
    if (limit === undefined) return false;
    return (
      Quantity.parse(used[name] ?? '0')
        .add(delta.get(name)!)
        .compare(Quantity.parse(limit)) > 0
    );
  });
  if (over.length === 0) return undefined;
  const list = (amount: (name: string) => unknown) => over.map(name => `${name}=${String(amount(name))}`).join(',');
  return (
    `exceeded quota: ${quota.metadata.name}, requested: ${list(name => delta.get(name))}, ` +
    `used: ${list(name => used[name] ?? '0')}, limited: ${list(name => hard[name])}`
  );
}

function move(quota: corev1.ResourceQuota, delta: QuotaUsage, sign: 1 | -1): void {
  const status = quota.status ?? {};
  const used: Record<string, string> = { ...(status.used as Record<string, string> | undefined) };
  for (const [name, amount] of delta) {
    const before = Quantity.parse(used[name] ?? '0');
    const after = sign === 1 ? before.add(amount) : before.sub(amount);
    used[name] = (after.compare(Quantity.zero) < 0 ? Quantity.zero : after).toString();
  }
  quota.status = { ...status, used } as corev1.ResourceQuotaStatus;
}

async function adjust(
  cluster: AdmissionCluster,
  quota: corev1.ResourceQuota,
  delta: QuotaUsage,
  sign: 1 | -1,
): Promise<void> {
  const { name, namespace, uid } = quota.metadata;
  await cluster.change(ResourceQuota, { name, namespace }, AbortSignal.timeout(releaseMs), object => {
    if (object.metadata.uid !== uid || object['status']?.hard === undefined) return false;
    move(object as unknown as corev1.ResourceQuota, delta, sign);
    return true;
  });
}

const textOf = (amounts: Amounts): Record<string, string> =>
  Object.fromEntries([...amounts].map(([name, amount]) => [name, amount.toString()]));
