/**
 * Keeps `status` of every ResourceQuota: what `spec.hard` bounds, and what is used of it, counted from the objects themselves.
 *
 * The API server charges a quota before it stores an object, and gives back what is deleted; this controller counts new quotas, follows
 * changes of `spec`, and mends what a server that died in between left behind. So
 * - what is counted above what is charged is written at once;
 * - what is charged above what is counted may be an object on its way: it is lowered only when nobody has written the quota for a while;
 * - every write is a compare-and-swap on the quota that was read before counting: a charge that came meanwhile makes it count anew.
 *
 * Each quota is counted at least every five minutes (kube-controller-manager `--resource-quota-sync-period`), and some time after something
 * in its namespace ended. Rules of what counts: core's `quotaUsage`.
 */
import {
  type corev1,
  type DiscoveredKind,
  discoverKinds,
  keyOf,
  PersistentVolumeClaim,
  Pod,
  Quantity,
  quotaUsage,
  ResourceQuota,
  type ResourceRef,
  resourceOfQuotaName,
  Service,
} from '@orbitkit/core';
import type { Controller, ControllerContext } from '../../controller.js';
import { isTerminal } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';

/** Everything has upstream's default but `stillMs`; times are in milliseconds. */
export interface ResourceQuotasOptions {
  /** Quotas counted at the same time. Default 5 (`--concurrent-resource-quota-syncs`). */
  concurrency?: number;
  /** Each is counted anew after this long. Default 5 minutes. */
  resyncMs?: number;
  /** How long a quota must not have been written before charges without an object are taken from it. Default 5 s. */
  stillMs?: number;
}

const name = 'resourcequota-controller';
/** What is served changes seldom. */
const discoveryMs = 60_000;
const pageSize = 500;

type Amounts = Map<string, Quantity>;

/** The controller of ResourceQuotas. */
export function resourceQuotas(options: ResourceQuotasOptions = {}): Controller {
  const { concurrency = 5, resyncMs = 300_000, stillMs = 5_000 } = options;
  return {
    name,
    async run(context) {
      const { client, clock } = context;
      const quotas = context.informers.informer(ResourceQuota);
      const pods = context.informers.informer(Pod);
      const services = context.informers.informer(Service);
      const claims = context.informers.informer(PersistentVolumeClaim);
      const queue = controllerQueue(context, name);
      const counting = new Counting(context);
      /** Since when a quota has been at the version that was read last. */
      const still = new Map<string, { version: string; since: number }>();

      const later = (namespace: string | undefined): void => {
        for (const quota of quotas.store.list(namespace)) queue.addAfter(keyOf(quota), 2 * stillMs);
      };
      const registrations = [
        quotas.addHandler({
          onAdd: quota => queue.add(keyOf(quota)),
          onUpdate: (before, after) => {
            if (JSON.stringify(before.spec) !== JSON.stringify(after.spec)) queue.add(keyOf(after));
          },
          onDelete: quota => still.delete(keyOf(quota)),
        }),
        pods.addHandler({
          onUpdate: (before, after) => {
            if (isTerminal(after) && !isTerminal(before)) later(after.metadata.namespace);
          },
          onDelete: pod => later(pod.metadata.namespace),
        }),
        services.addHandler({ onDelete: service => later(service.metadata.namespace) }),
        claims.addHandler({ onDelete: claim => later(claim.metadata.namespace) }),
      ];

      const reconcile = async (key: string): Promise<ReconcileResult> => {
        const cached = quotas.store.get(key);
        if (!cached) return undefined;
        const { name: quotaName, namespace } = cached.metadata;
        // Its role may list quotas, not get one (kube-controller-manager reads them from its cache alone).
        const fieldSelector = `metadata.name=${quotaName}`;
        const [quota] = (await client.list(ResourceQuota, { namespace, fieldSelector })).items;
        if (!quota) return undefined;
        const { resourceVersion: version } = quota.metadata;
        const known = still.get(key);
        if (known?.version !== version) still.set(key, { version, since: clock.now() });
        const isStill = known?.version === version && clock.now() - known.since >= stillMs;
        const { used, excess } = outcome(quota, await counting.count(quota), isStill);
        const { hard = {} } = quota.spec;
        if (!sameAmounts(quota.status?.hard, hard) || !sameAmounts(quota.status?.used, used)) {
          const status = { hard: { ...hard }, used } as corev1.ResourceQuotaStatus;
          const written = await client.updateStatus(ResourceQuota, { ...quota, status });
          still.set(key, { version: written.metadata.resourceVersion, since: clock.now() });
        }
        return { requeueAfter: excess ? stillMs : resyncMs };
      };
      await reconcileLoop(
        context,
        { name, queue, informers: [quotas, pods, services, claims], concurrency, reconcile },
        registrations,
      );
    },
  };
}

/** @returns `excess`: more is charged than there is, and it is too early to say that it will stay so. */
function outcome(
  quota: corev1.ResourceQuota,
  counted: Amounts,
  isStill: boolean,
): { used: Record<string, string>; excess: boolean } {
  const charged = (quota.status?.used ?? {}) as Record<string, string>;
  const used: Record<string, string> = {};
  let excess = false;
  for (const [resource, amount] of counted) {
    const before = charged[resource] === undefined ? undefined : Quantity.parse(charged[resource]);
    const order = before === undefined ? 1 : amount.compare(before);
    if (order < 0 && !isStill) excess = true;
    // A quantity that is worth the same keeps its text.
    used[resource] = order === 0 || (order < 0 && !isStill) ? charged[resource]! : amount.toString();
  }
  return { used, excess };
}

function sameAmounts(a: object | undefined, b: object): boolean {
  const [left, right] = [(a ?? {}) as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every(each => left[each] === right[each]);
}

/** Kinds of which objects use different amounts; of all others only the number counts. */
const measured: Readonly<Record<string, ResourceRef<any>>> = {
  pods: Pod,
  services: Service,
  persistentvolumeclaims: PersistentVolumeClaim,
};

class Counting {
  #discovered: { at: number; kinds: readonly DiscoveredKind[] } | undefined;

  constructor(private readonly context: ControllerContext) {}

  /** By the names of `spec.hard`. */
  async count(quota: corev1.ResourceQuota): Promise<Amounts> {
    const used: Amounts = new Map();
    const resources = new Map<string, { group: string; plural: string; names: string[] }>();
    for (const each of Object.keys(quota.spec.hard ?? {})) {
      used.set(each, Quantity.zero);
      const resource = resourceOfQuotaName(each);
      if (!resource) continue;
      const key = `${resource.group}/${resource.plural}`;
      const known = resources.get(key);
      if (known) known.names.push(each);
      else resources.set(key, { ...resource, names: [each] });
    }
    for (const resource of resources.values()) {
      if (resource.group === '' && measured[resource.plural]) await this.#measure(quota, resource.plural, used);
      else {
        const number = await this.#number(quota, resource);
        for (const each of resource.names) used.set(each, Quantity.of(number));
      }
    }
    return used;
  }

  async #measure({ spec, metadata }: corev1.ResourceQuota, plural: string, used: Amounts): Promise<void> {
    const { client, clock } = this.context;
    const kind = measured[plural]!;
    let after: string | undefined;
    do {
      const page = await client.list(kind, {
        namespace: metadata.namespace!,
        limit: pageSize,
        ...(after ? { continue: after } : {}),
      });
      for (const item of page.items) {
        for (const [each, amount] of quotaUsage(spec, { group: '', plural }, item, clock.now()))
          used.set(each, (used.get(each) ?? Quantity.zero).add(amount));
      }
      after = page.metadata.continue || undefined;
    } while (after !== undefined);
  }

  /** One object tells how many there are beside it. */
  async #number(
    { spec, metadata }: corev1.ResourceQuota,
    resource: { group: string; plural: string },
  ): Promise<number> {
    if ((spec.scopes?.length ?? 0) > 0 || (spec.scopeSelector?.matchExpressions?.length ?? 0) > 0) return 0;
    const kind = (await this.#kinds()).find(
      each => each.group === resource.group && each.plural === resource.plural && each.namespaced,
    );
    // What is not served has no objects.
    if (!kind) return 0;
    const { items, metadata: list } = await this.context.client.list(kind, {
      namespace: metadata.namespace!,
      limit: 1,
    });
    return items.length + (list.remainingItemCount ?? 0);
  }

  async #kinds(): Promise<readonly DiscoveredKind[]> {
    const { client, clock } = this.context;
    if (this.#discovered && clock.now() - this.#discovered.at < discoveryMs) return this.#discovered.kinds;
    const { kinds } = await discoverKinds(client.transport);
    this.#discovered = { at: clock.now(), kinds };
    return kinds;
  }
}
