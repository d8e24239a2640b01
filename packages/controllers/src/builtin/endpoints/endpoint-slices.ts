/**
 * EndpointSlices: for every service with a selector, where its pods are and which of them are ready.
 *
 * - Pods that have an address and are not over are listed, also while they terminate, with conditions: `ready` (never while
 *   terminating, always with publishNotReadyAddresses), `serving`, `terminating`.
 * - A named target port may be another number in each pod; pods with different ports come into different slices.
 * - With `trafficDistribution: PreferClose` a ready endpoint hints at its own zone. The older annotation
 *   `service.kubernetes.io/topology-mode` is not looked at.
 *
 * Services without a selector are their users' own. Source of the rules: kubernetes `staging/src/k8s.io/endpointslice`.
 */
import {
  controllerReference,
  EndpointSlice,
  isDeleting,
  type KubeObject,
  keyOf,
  labelSet,
  Node,
  Pod,
  Service,
} from '@orbitkit/core';
import type { Store } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { rememberedMs } from '../../own-writes.js';
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
import { type DesiredEndpoint, endpointsPerSlice, planSlices } from './slice-plan.js';
import { SliceWriter, sliceOwners } from './slice-writer.js';

const managedBy = 'endpointslice-controller.k8s.io';
const zoneLabel = 'topology.kubernetes.io/zone';

/** Everything has upstream's default. */
export interface EndpointSlicesOptions {
  /** Services reconciled at the same time. Default 5 (`--concurrent-service-endpoint-syncs`). */
  concurrency?: number;
  /** Default 100. */
  endpointsPerSlice?: number;
}

const name = 'endpoint-slice-controller';

const byService = sliceOwners(managedBy);

/** The controller of EndpointSlices, which service proxies read. */
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
      const writer = new SliceWriter(context.client, managedBy, slices, context.clock);
      const caches = { services: services.store, pods: pods.store, nodes: nodes.store, slices: slices.store };
      const worker = new SliceWorker(caches, writer, options.endpointsPerSlice ?? endpointsPerSlice);
      const registrations = [
        services.addHandler({
          onAdd: service => queue.add(keyOf(service)),
          onUpdate: (_, service) => queue.add(keyOf(service)),
          onDelete: service => queue.add(keyOf(service)),
        }),
        pods.addHandler(podListener(services.store, queue)),
        slices.addHandler(writer.listener(key => queue.add(key))),
      ];
      const waitFor = [services, pods, nodes, slices];
      const reconcile = (key: string) => worker.reconcile(key);
      await reconcileLoop(context, { name, queue, informers: waitFor, concurrency, reconcile }, registrations);
    },
  };
}

/** Whoever proxies is told to prefer endpoints of its own zone. */
const staysInZone = ({ spec }: ServiceView): boolean => spec.trafficDistribution === 'PreferClose';

interface Caches {
  services: Store<Service>;
  pods: Store<Pod>;
  nodes: Store<Node>;
  slices: Store<EndpointSlice>;
}

class SliceWorker {
  constructor(
    private readonly caches: Caches,
    private readonly writer: SliceWriter,
    private readonly limit: number,
  ) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const existing = this.caches.slices.byIndex('byService', key);
    const service = this.caches.services.get(key);
    if (!service) return this.writer.removeAll(key, existing, Service);
    if (isDeleting(service) || !isManaged(service)) return undefined;
    if (!this.writer.settled(key)) return { requeueAfter: rememberedMs };
    const families = familiesOf(service);
    const plan = planSlices(this.#desired(service, families), existing, families, this.limit);
    const { name: serviceName, namespace } = service.metadata;
    await this.writer.carryOut(key, plan, existing, {
      ...{ name: serviceName, namespace },
      labels: { ...service.metadata.labels, ...(isHeadless(service) ? { [headlessLabel]: '' } : {}) },
      owner: controllerReference(service as unknown as KubeObject),
    });
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
    const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
    const { namespace, name: podName, uid } = pod.metadata;
    return {
      addresses: [address],
      conditions: { ready, serving, terminating },
      ...(hostname ? { hostname } : {}),
      targetRef: { kind: 'Pod', namespace, name: podName, uid },
      ...(nodeName ? { nodeName } : {}),
      ...(zone ? { zone } : {}),
      ...(zone && ready && staysInZone(service) ? { hints: { forZones: [{ name: zone }] } } : {}),
    };
  }
}
