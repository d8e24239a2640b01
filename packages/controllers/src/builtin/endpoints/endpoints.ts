/**
 * Endpoints (v1), the older form of endpoint slices, which older clients and many scripts still read.
 *
 * One object per service with a selector and with its name: ready addresses apart from those that are not, grouped by
 * ports. Pods that terminate are left out unless publishNotReadyAddresses. At most 1,000 addresses; what is left out is
 * said in an annotation. Source of the rules: kubernetes `pkg/controller/endpoint`.
 */
import {
  Endpoints,
  isAlreadyExists,
  isDeleting,
  isNotFound,
  keyOf,
  labelSet,
  Pod,
  parseKey,
  Service,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { isPodReady, isTerminal, type PodView } from '../../pods/pod-state.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import {
  addressOf,
  familiesOf,
  headlessLabel,
  hostnameOf,
  isHeadless,
  isManaged,
  type PodPort,
  podListener,
  portsOf,
  type ServiceView,
} from './service-pods.js';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

/** `maxCapacity` upstream. */
export const mostAddresses = 1_000;
/** Locks of leader elections are Endpoints without a service. */
export const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';

/** Everything has a default. */
export interface EndpointsOptions {
  /** Services reconciled at the same time. Default 5. */
  concurrency?: number;
}

const name = 'endpoint-controller';

/** The controller of Endpoints. */
export function endpoints({ concurrency = 5 }: EndpointsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const { informers } = context;
      const services = informers.informer(Service);
      const pods = informers.informer(Pod);
      const existing = informers.informer(Endpoints);
      const queue = controllerQueue(context, name);
      const enqueue = (object: { metadata: { name: string; namespace?: string } }) => queue.add(keyOf(object));
      // Endpoints that somebody made without a service are not ours to judge.
      const repair = (object: DeepReadonly<Endpoints>) => {
        if (services.store.has(keyOf(object))) enqueue(object);
      };
      const registrations = [
        services.addHandler({ onAdd: enqueue, onUpdate: (_, after) => enqueue(after), onDelete: enqueue }),
        pods.addHandler(podListener(services.store, queue)),
        existing.addHandler({ onUpdate: (_, after) => repair(after), onDelete: repair }),
      ];
      const reconcile = (key: string) => sync(context, key, services.store, pods.store, existing.store);
      const waitFor = [services, pods, existing];
      await reconcileLoop(context, { name, queue, informers: waitFor, concurrency, reconcile }, registrations);
    },
  };
}

async function sync(
  { client }: ControllerContext,
  key: string,
  services: Store<Service>,
  pods: Store<Pod>,
  existing: Store<Endpoints>,
): Promise<ReconcileResult> {
  const service = services.get(key);
  const current = existing.get(key);
  if (!service) return current ? removeLeftOver(client, key, current) : undefined;
  if (isDeleting(service) || !isManaged(service)) return undefined;
  const selector = labelSet(service.spec.selector ?? {});
  const members = pods.list(service.metadata.namespace).filter(pod => selector.matches(pod.metadata.labels));
  const { subsets, over } = subsetsOf(service, members);
  const labels = { ...service.metadata.labels, ...(isHeadless(service) ? { [headlessLabel]: '' } : {}) };
  const annotations: Record<string, string> = over ? { [overCapacityAnnotation]: 'truncated' } : {};
  if (!current) {
    const { name, namespace } = service.metadata;
    try {
      await client.create(Endpoints, { metadata: { name, namespace, labels, annotations }, subsets });
    } catch (error) {
      // The cache does not show it yet; its event comes back here.
      if (!isAlreadyExists(error)) throw error;
      return { requeueAfter: 1_000 };
    }
    return undefined;
  }
  const next = mutableCopy<Endpoints>(current);
  next.metadata.labels = labels;
  const { [overCapacityAnnotation]: _over, ...others } = next.metadata.annotations ?? {};
  next.metadata.annotations = { ...others, ...annotations };
  next.subsets = subsets;
  if (same(current, next)) return undefined;
  await client.update(Endpoints, next);
  return undefined;
}

/** The endpoints of a service that is gone; those of one that never had a selector are not ours. */
async function removeLeftOver(
  client: ControllerContext['client'],
  key: string,
  current: DeepReadonly<Endpoints>,
): Promise<void> {
  try {
    await client.get(Service, parseKey(key));
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  if (current.metadata.annotations?.[leaderAnnotation] !== undefined) return;
  const { uid, name, namespace } = current.metadata;
  await client.delete(Endpoints, { name, namespace }, { preconditions: { uid } }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}

/** Addresses by what they are: those of pods with the same ports share a subset. In a stable order. */
export function subsetsOf(service: ServiceView, pods: readonly PodView[]): { subsets: Subset[]; over: boolean } {
  const groups = new Map<string, { ports: PodPort[]; ready: Address[]; notReady: Address[] }>();
  const family = familiesOf(service)[0]!;
  const publishAll = service.spec.publishNotReadyAddresses === true;
  let count = 0;
  let over = false;
  const inOrder = [...pods].sort(
    (a, b) => Number(isPodReady(b)) - Number(isPodReady(a)) || (a.metadata.name < b.metadata.name ? -1 : 1),
  );
  for (const pod of inOrder) {
    const ip = addressOf(pod, family);
    if (!ip || isTerminal(pod) || (isDeleting(pod) && !publishAll)) continue;
    const ports = portsOf(service, pod);
    // None of the service's named ports is there: the pod serves nothing of it.
    if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue;
    if (++count > mostAddresses) {
      over = true;
      break;
    }
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    const ready = publishAll || isPodReady(pod);
    (ready ? group.ready : group.notReady).push(addressFor(service, pod, ip));
  }
  const subsets = [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([, { ports, ready, notReady }]): Subset => ({
        ...(ready.length > 0 ? { addresses: ready.sort(byIp) } : {}),
        ...(notReady.length > 0 ? { notReadyAddresses: notReady.sort(byIp) } : {}),
        ...(ports.length > 0
          ? { ports: ports.map(({ name: portName, ...rest }) => (portName ? { name: portName, ...rest } : rest)) }
          : {}),
      }),
    );
  return { subsets, over };
}

const byIp = (a: Address, b: Address): number => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0);

function addressFor(service: ServiceView, pod: PodView, ip: string): Address {
  const hostname = hostnameOf(service, pod);
  const { namespace, name: podName, uid } = pod.metadata;
  return {
    ip,
    ...(hostname ? { hostname } : {}),
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name: podName, uid },
  };
}

function same(a: DeepReadonly<Endpoints>, b: Endpoints): boolean {
  const of = (each: DeepReadonly<Endpoints>) =>
    JSON.stringify([
      Object.entries(each.metadata.labels ?? {}).sort(),
      Object.entries(each.metadata.annotations ?? {}).sort(),
      (each.subsets ?? []).map(subset => [
        (subset.addresses ?? []).map(addressFields),
        (subset.notReadyAddresses ?? []).map(addressFields),
        (subset.ports ?? []).map(({ name: portName = '', port, protocol = 'TCP', appProtocol = '' }) => [
          portName,
          port,
          protocol,
          appProtocol,
        ]),
      ]),
    ]);
  return of(a) === of(b);
}

const addressFields = ({ ip, hostname = '', nodeName = '', targetRef }: DeepReadonly<Address>) => [
  ip,
  hostname,
  nodeName,
  targetRef?.uid ?? '',
];
