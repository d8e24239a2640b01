/**
 * Endpoints that people write for a service without a selector, as EndpointSlices too: proxies look at those alone.
 *
 * - Mirrored are Endpoints with a service of their name that has no selector; not those with the label
 *   `endpointslice.kubernetes.io/skip-mirror: "true"`, nor the locks of leader elections. Whoever writes slices by hand needs none of this.
 * - Ready addresses and those that are not, by ports and address family; labels and annotations come along. 1,000 addresses of a subset at most,
 *   and none that is no address: events say what was left out.
 * - The slices belong to their Endpoints, and go with them, or when these are no longer to be mirrored.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/endpointslicemirroring` (1.33).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { controllerReference, EndpointSlice, Endpoints, type KubeObject, keyOf, Service } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { rememberedMs } from '../../own-writes.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { leaderAnnotation, mostAddresses } from './endpoints.js';
import { type DesiredEndpoint, planSlices } from './slice-plan.js';
import { SliceWriter, sliceOwners } from './slice-writer.js';

/** Everything has upstream's default. */
export interface EndpointSliceMirroringOptions {
  /** Endpoints mirrored at the same time. Default 5 (`--mirroring-concurrent-service-endpoint-syncs`). */
  concurrency?: number;
}

type EndpointsView = DeepReadonly<Endpoints>;
type Subset = NonNullable<EndpointsView['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];
type MirrorPort = DesiredEndpoint['ports'][number];

const name = 'endpoint-slice-mirroring-controller';
const managedBy = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const byService = sliceOwners(managedBy);

/** Annotations of Endpoints that are theirs alone. */
const ownAnnotations = new Set([
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
]);

/** The controller that mirrors Endpoints written by people. */
export function endpointSliceMirroring({ concurrency = 5 }: EndpointSliceMirroringOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const { informers, events } = context;
      const services = informers.informer(Service);
      const sources = informers.informer(Endpoints);
      const slices = informers.informer(EndpointSlice, { indexers: { byMirror: byService } });
      const queue = controllerQueue(context, name);
      const writer = new SliceWriter(context.client, managedBy, slices, context.clock);
      const enqueue = (object: DeepReadonly<Endpoints> | DeepReadonly<Service>) => queue.add(keyOf(object));
      const both = { onAdd: enqueue, onUpdate: (_: unknown, after: DeepReadonly<Service>) => enqueue(after) };
      const registrations = [
        services.addHandler({ ...both, onDelete: enqueue }),
        sources.addHandler({ onAdd: enqueue, onUpdate: (_, after) => enqueue(after), onDelete: enqueue }),
        slices.addHandler(writer.listener(key => queue.add(key))),
      ];

      const reconcile = async (key: string): Promise<ReconcileResult> => {
        const existing = slices.store.byIndex('byMirror', key);
        const source = sources.store.get(key);
        if (!source) return writer.removeAll(key, existing, Endpoints);
        const service = services.store.get(key);
        if (!isMirrored(source) || !service || Object.keys(service.spec.selector ?? {}).length > 0)
          return writer.discard(existing);
        if (!writer.settled(key)) return { requeueAfter: rememberedMs };
        const { desired, invalid, over } = mirrorOf(source);
        if (invalid > 0) {
          const text = `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`;
          events.event(source, 'Warning', 'InvalidIPAddress', text);
        }
        if (over > 0) {
          const text = `A max of ${mostAddresses} addresses can be mirrored to EndpointSlices per Endpoints subset. ${over} addresses were skipped`;
          events.event(source, 'Warning', 'TooManyAddressesToMirror', text);
        }
        const { name: sourceName, namespace, labels = {}, annotations = {} } = source.metadata;
        await writer.carryOut(key, planSlices(desired, existing, [], mostAddresses), existing, {
          ...{ name: sourceName, namespace, labels },
          annotations: Object.fromEntries(Object.entries(annotations).filter(([each]) => !ownAnnotations.has(each))),
          owner: controllerReference(source as unknown as KubeObject),
        });
        return undefined;
      };
      const waitFor = [services, sources, slices];
      await reconcileLoop(context, { name, queue, informers: waitFor, concurrency, reconcile }, registrations);
    },
  };
}

const isMirrored = ({ metadata }: EndpointsView): boolean =>
  metadata.labels?.[skipLabel] !== 'true' && metadata.annotations?.[leaderAnnotation] === undefined;

/** By address, with all ports of all subsets that have it: what is written apart may belong together. */
function mirrorOf({ subsets = [] }: EndpointsView): { desired: DesiredEndpoint[]; invalid: number; over: number } {
  const found = new Map<string, { address: Address; ready: boolean; ports: Map<string, MirrorPort> }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    for (const address of [...addresses, ...notReadyAddresses]) {
      const ready = addresses.includes(address);
      const key = `${ready} ${address.ip} ${address.targetRef?.uid ?? ''}`;
      const known = found.get(key) ?? { address, ready, ports: new Map() };
      found.set(key, known);
      for (const port of ports.map(portOf)) known.ports.set(JSON.stringify(port), port);
    }
  }
  const desired: DesiredEndpoint[] = [];
  const sizes = new Map<string, number>();
  let invalid = 0;
  let over = 0;
  for (const { address, ready, ports } of found.values()) {
    const family = isIPv4(address.ip) ? 'IPv4' : isIPv6(address.ip) ? 'IPv6' : undefined;
    const subset = [...ports.keys()].sort().join();
    const size = sizes.get(subset) ?? 0;
    if (!family) invalid += 1;
    else if (size >= mostAddresses) over += 1;
    else {
      sizes.set(subset, size + 1);
      desired.push({ family, ports: [...ports.values()], endpoint: endpointOf(address, ready) });
    }
  }
  return { desired, invalid, over };
}

const portOf = ({
  name: portName = '',
  port,
  protocol = 'TCP',
  appProtocol,
}: NonNullable<Subset['ports']>[number]) => ({
  ...{ name: portName, port, protocol },
  ...(appProtocol ? { appProtocol } : {}),
});

function endpointOf({ ip, hostname, nodeName, targetRef }: Address, ready: boolean): DesiredEndpoint['endpoint'] {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef: { ...targetRef } } : {}),
  };
}
