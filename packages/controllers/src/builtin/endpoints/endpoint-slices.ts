/**
 * EndpointSlices: for every service with a selector, where its pods are and which of them are ready.
 *
 * - Pods that have an address and are not over are listed, also while they terminate, with conditions: `ready` (never while
 *   terminating, always with publishNotReadyAddresses), `serving`, `terminating`.
 * - A named target port may be another number in each pod; pods with different ports come into different slices.
 * - Waits until its cache shows its last writes, so that lag makes no duplicates.
 *
 * Services without a selector are their users' own. Source of the rules: kubernetes `staging/src/k8s.io/endpointslice`.
 */
import {
  controllerReference,
  EndpointSlice,
  isConflict,
  isDeleting,
  isNotFound,
  type KubeObject,
  keyOf,
  labelSet,
  Node,
  Pod,
  parseKey,
  Service,
} from '@orbitkit/core';
import { mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { Expectations } from '../../expectations.js';
import { OwnWrites, rememberedMs } from '../../own-writes.js';
import { isPodReady, isTerminal, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import {
  type AddressFamily,
  addressOf,
  familiesOf,
  headlessLabel,
  hostnameOf,
  isHeadless,
  isManaged,
  podListener,
  portsOf,
  type ServiceView,
} from './service-pods.js';
import { type DesiredEndpoint, endpointsPerSlice, planSlices, type SliceView } from './slice-plan.js';

export const serviceNameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.k8s.io';
const zoneLabel = 'topology.kubernetes.io/zone';

export interface EndpointSlicesOptions {
  /** Services reconciled at the same time. Default 5 (`--concurrent-service-endpoint-syncs`). */
  concurrency?: number;
  /** Default 100. */
  endpointsPerSlice?: number;
}

const name = 'endpoint-slice-controller';

/** Index: our slices by the key of their service. */
const byService = (slice: SliceView): string[] => {
  const service = slice.metadata.labels?.[serviceNameLabel];
  return service && slice.metadata.labels?.[managedByLabel] === managedBy
    ? [`${slice.metadata.namespace}/${service}`]
    : [];
};

export function endpointSlices(options: EndpointSlicesOptions = {}): Controller {
  const { concurrency = 5 } = options;
  return {
    name,
    async run(context) {
      const { informers } = context;
      const services = informers.informer(Service);
      const pods = informers.informer(Pod);
      const nodes = informers.informer(Node);
      const slices = informers.informer(EndpointSlice, { indexers: { byService } });
      const queue = controllerQueue(context, name);
      const expectations = new Expectations(context.clock);
      const writes = new OwnWrites<EndpointSlice>(slices.store, context.clock);
      const caches = { services: services.store, pods: pods.store, nodes: nodes.store, slices: slices.store };
      const worker = new SliceWorker(
        context,
        caches,
        expectations,
        writes,
        options.endpointsPerSlice ?? endpointsPerSlice,
      );
      const enqueueOwner = (slice: SliceView) => {
        for (const key of byService(slice)) queue.add(key);
      };
      const registrations = [
        services.addHandler({
          onAdd: service => queue.add(keyOf(service)),
          onUpdate: (_, service) => queue.add(keyOf(service)),
          onDelete: service => queue.add(keyOf(service)),
        }),
        pods.addHandler(podListener(services.store, queue)),
        slices.addHandler({
          onAdd(slice) {
            for (const key of byService(slice)) expectations.creationObserved(key);
            enqueueOwner(slice);
          },
          onUpdate(before, after) {
            enqueueOwner(before);
            enqueueOwner(after);
          },
          onDelete(slice) {
            for (const key of byService(slice)) expectations.deletionObserved(key, slice.metadata.uid);
            enqueueOwner(slice);
          },
        }),
      ];
      const waitFor = [services, pods, nodes, slices];
      const reconcile = (key: string) => worker.reconcile(key);
      await reconcileLoop(context, { name, queue, informers: waitFor, concurrency, reconcile }, registrations);
    },
  };
}

interface Caches {
  services: Store<Service>;
  pods: Store<Pod>;
  nodes: Store<Node>;
  slices: Store<EndpointSlice>;
}

class SliceWorker {
  constructor(
    private readonly context: ControllerContext,
    private readonly caches: Caches,
    private readonly expectations: Expectations,
    private readonly writes: OwnWrites<EndpointSlice>,
    private readonly limit: number,
  ) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const existing = this.caches.slices.byIndex('byService', key);
    const service = this.caches.services.get(key);
    if (!service) return this.#removeAll(key, existing);
    if (isDeleting(service) || !isManaged(service)) return undefined;
    if (!this.expectations.satisfied(key) || !this.writes.visible(key)) return { requeueAfter: rememberedMs };

    const families = familiesOf(service);
    const plan = planSlices(this.#desired(service, families), existing, families, this.limit);
    const labels = this.#labels(service);
    const stale = existing.filter(
      slice =>
        !plan.remove.includes(slice) && !plan.update.some(each => each.slice === slice) && !sameLabels(slice, labels),
    );
    this.expectations.expect(key, {
      creations: plan.create.length,
      deletions: plan.remove.map(slice => slice.metadata.uid),
    });
    const write = async (slice: SliceView, endpoints?: EndpointSlice['endpoints']) => {
      const next = mutableCopy<EndpointSlice>(slice);
      next.metadata.labels = labels;
      if (endpoints) next.endpoints = endpoints;
      this.writes.note(key, await this.context.client.update(EndpointSlice, next));
    };
    const results = await Promise.allSettled([
      ...plan.update.map(({ slice, endpoints }) => write(slice, endpoints)),
      ...stale.map(slice => write(slice)),
      ...plan.create.map(slice => this.#create(key, service, labels, slice)),
      ...plan.remove.map(slice => this.#remove(key, slice)),
    ]);
    const failed = results.find(result => result.status === 'rejected');
    if (failed) throw failed.reason;
    return undefined;
  }

  #desired(service: ServiceView, families: readonly AddressFamily[]): DesiredEndpoint[] {
    const selector = labelSet(service.spec.selector ?? {});
    const desired: DesiredEndpoint[] = [];
    for (const pod of this.caches.pods.list(service.metadata.namespace)) {
      if (isTerminal(pod) || !selector.matches(pod.metadata.labels)) continue;
      for (const family of families) {
        const address = addressOf(pod, family);
        if (address)
          desired.push({ family, ports: portsOf(service, pod), endpoint: this.#endpoint(service, pod, address) });
      }
    }
    return desired;
  }

  #endpoint(service: ServiceView, pod: PodView, address: string): EndpointSlice['endpoints'][number] {
    const serving = isPodReady(pod);
    const terminating = isDeleting(pod);
    const { nodeName } = pod.spec;
    const zone = nodeName && this.caches.nodes.get(nodeName)?.metadata.labels?.[zoneLabel];
    const hostname = hostnameOf(service, pod);
    const { namespace, name: podName, uid } = pod.metadata;
    return {
      addresses: [address],
      conditions: {
        ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
        serving,
        terminating,
      },
      ...(hostname ? { hostname } : {}),
      targetRef: { kind: 'Pod', namespace, name: podName, uid },
      ...(nodeName ? { nodeName } : {}),
      ...(zone ? { zone } : {}),
    };
  }

  #labels(service: ServiceView): Record<string, string> {
    return {
      ...service.metadata.labels,
      ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      [serviceNameLabel]: service.metadata.name,
      [managedByLabel]: managedBy,
    };
  }

  async #create(
    key: string,
    service: ServiceView,
    labels: Record<string, string>,
    slice: Pick<EndpointSlice, 'addressType' | 'ports' | 'endpoints'>,
  ): Promise<void> {
    try {
      await this.context.client.create(EndpointSlice, {
        metadata: {
          generateName: `${service.metadata.name}-`,
          namespace: service.metadata.namespace,
          labels,
          ownerReferences: [controllerReference(service as unknown as KubeObject)],
        },
        ...slice,
      });
    } catch (error) {
      this.expectations.creationObserved(key);
      throw error;
    }
  }

  async #remove(key: string, slice: SliceView): Promise<void> {
    const { uid, resourceVersion, name, namespace } = slice.metadata;
    try {
      await this.context.client.delete(EndpointSlice, { name, namespace }, { preconditions: { uid, resourceVersion } });
    } catch (error) {
      this.expectations.deletionObserved(key, uid);
      if (!isNotFound(error)) throw error;
    }
  }

  /** The garbage collector does this too; a cluster without one is left tidy all the same. */
  async #removeAll(key: string, slices: readonly SliceView[]): Promise<void> {
    this.expectations.forget(key);
    this.writes.forget(key);
    if (slices.length === 0) return;
    try {
      await this.context.client.get(Service, parseKey(key));
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    for (const slice of slices) {
      const { uid, name, namespace } = slice.metadata;
      await this.context.client
        .delete(EndpointSlice, { name, namespace }, { preconditions: { uid } })
        .catch((error: unknown) => {
          if (!isNotFound(error) && !isConflict(error)) throw error;
        });
    }
  }
}

function sameLabels(slice: SliceView, labels: Readonly<Record<string, string>>): boolean {
  const current = slice.metadata.labels ?? {};
  const names = Object.keys(labels);
  return names.length === Object.keys(current).length && names.every(label => current[label] === labels[label]);
}
