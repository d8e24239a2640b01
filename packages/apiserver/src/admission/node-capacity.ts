/**
 * NodeCapacity: no binding gives a node more than it has, however many schedulers there are.
 *
 * Schedulers decide on what they have seen; two of them can give the same room to different pods. This refuses the second one with a Conflict,
 * so that its scheduler decides again, instead of leaving it to the node to end the pod (the kubelet's `OutOfcpu`).
 *
 * - What the pods of a node request is kept as sums that follow the watch cache; a binding that is let through counts from that moment until
 *   the cache has it, so that of two at the same instant one sees the other. Checking and counting is one step.
 * - Pods that were put on a node by `spec.nodeName` count, and are not refused. An extended resource that the node does not know is nobody's here.
 * - It holds for the bindings that pass through this server. Servers over one store see each other's as soon as their caches do, and not before.
 * Kubernetes has no such plugin: there the node has the last word.
 */
import { conflict, type corev1, podAmounts, Quantity } from '@orbitkit/core';
import type { ObjectBytes } from '../registry/contract.js';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest, ResourceObserver } from './contract.js';

const pods = { group: '', plural: 'pods' };
const nodes = { group: '', plural: 'nodes' };

/** CPU in thousandths, the rest in units; what is asked for, and one of `pods`. */
type Amounts = ReadonlyMap<string, number>;

interface Place {
  readonly node: string;
  readonly amounts: Amounts;
  readonly generation: number | undefined;
}

/** Judges bindings. Not part of `defaultAdmission()`: a cluster with one scheduler does not need it. */
export function nodeCapacity(): AdmissionPlugin {
  /** One for each run of a server. */
  const ledgers = new WeakMap<AdmissionCluster, NodeLedger>();

  function ledgerOf(cluster: AdmissionCluster): NodeLedger {
    let ledger = ledgers.get(cluster);
    if (ledger === undefined) {
      ledger = new NodeLedger();
      ledgers.set(cluster, ledger);
      cluster.observe(pods, ledger);
    }
    return ledger;
  }

  return {
    name: 'NodeCapacity',
    validate(request, cluster) {
      const { kind, name, namespace, operation, signal, subresource } = request;
      if (subresource !== 'binding' || operation !== 'CREATE' || kind.plural !== 'pods' || kind.group !== '') return;
      const ledger = ledgerOf(cluster);
      const pod = cluster.peek(pods, { name, namespace });
      if (pod !== undefined) return admit(request, cluster, ledger, pod);
      return cluster.read(pods, { name, namespace }, signal).then(read => {
        // Without a pod the write says so.
        if (read !== undefined) admit(request, cluster, ledger, read);
      });
    },
  };
}

/** @throws StatusError Conflict */
function admit(request: AdmissionRequest, cluster: AdmissionCluster, ledger: NodeLedger, stored: ObjectBytes): void {
  const pod = stored.object() as unknown as corev1.Pod;
  const node = (request.object as unknown as corev1.Binding).target?.name;
  const target = node ? cluster.peek(nodes, { name: node }) : undefined;
  // What is wrong with the binding itself, the write says.
  if (!node || target === undefined || pod.spec.nodeName) return;
  const path = `${request.namespace}/${request.name}`;
  const place: Place = { node, amounts: amountsOf(pod), generation: undefined };
  const problem = ledger.excess(path, place, allocatableOf(target));
  if (problem !== undefined)
    throw conflict({ group: '', plural: 'pods/binding' }, request.name, `node "${node}" ${problem}; decide again`);
  if (request.dryRun) return;
  const forget = ledger.expect(path, place);
  request.onUndone(async () => forget());
}

class NodeLedger implements ResourceObserver {
  readonly #used = new Map<string, Map<string, number>>();
  readonly #bound = new Map<string, Place>();
  /** Bindings that were let through and that the cache has not shown. */
  readonly #expected = new Map<string, Set<Place>>();

  changed(path: string, object: ObjectBytes | undefined): void {
    const pod = object?.object() as corev1.Pod | undefined;
    const node = pod?.spec.nodeName;
    const phase = pod?.status?.phase;
    const known = this.#bound.get(path);
    const active = pod !== undefined && node && phase !== 'Succeeded' && phase !== 'Failed';
    if (active && known?.node === node && known.generation !== undefined && known.generation === generationOf(pod))
      return;
    if (known !== undefined) {
      this.#bound.delete(path);
      this.#count(known, -1);
    }
    if (active) {
      const place = { node, amounts: amountsOf(pod), generation: generationOf(pod) };
      this.#bound.set(path, place);
      this.#count(place, 1);
    }
    if (pod === undefined || node) {
      for (const place of this.#expected.get(path) ?? []) this.#count(place, -1);
      this.#expected.delete(path);
    }
  }

  reset(): void {
    this.#bound.clear();
    this.#used.clear();
    for (const places of this.#expected.values()) for (const place of places) this.#count(place, 1);
  }

  /** What there would be too much of, in words. */
  excess(path: string, { node, amounts }: Place, allocatable: Amounts): string | undefined {
    const used = this.#used.get(node);
    // An earlier try of the same binding whose fate nobody knows takes no second room.
    const earlier = [...(this.#expected.get(path) ?? [])].find(place => place.node === node);
    for (const [resource, amount] of amounts) {
      const total = allocatable.get(resource) ?? (resource === 'pods' || resource.includes('/') ? undefined : 0);
      const there = (used?.get(resource) ?? 0) - (earlier?.amounts.get(resource) ?? 0);
      if (total !== undefined && there + amount > total)
        return `has not enough ${resource}: requested ${amount}, used ${there}, allocatable ${total}`;
    }
    return undefined;
  }

  expect(path: string, place: Place): () => void {
    const places = this.#expected.get(path) ?? new Set();
    this.#expected.set(path, places);
    for (const earlier of places) {
      if (earlier.node !== place.node) continue;
      places.delete(earlier);
      this.#count(earlier, -1);
    }
    places.add(place);
    this.#count(place, 1);
    return () => {
      if (!places.delete(place) || this.#expected.get(path) !== places) return;
      this.#count(place, -1);
      if (places.size === 0) this.#expected.delete(path);
    };
  }

  #count({ node, amounts }: Place, sign: 1 | -1): void {
    let used = this.#used.get(node);
    if (used === undefined) {
      used = new Map();
      this.#used.set(node, used);
    }
    for (const [resource, amount] of amounts) {
      const now = (used.get(resource) ?? 0) + sign * amount;
      if (now === 0) used.delete(resource);
      else used.set(resource, now);
    }
    if (used.size === 0) this.#used.delete(node);
  }
}

const generationOf = (pod: corev1.Pod): number | undefined => pod.metadata.generation;

function amountsOf(pod: corev1.Pod): Amounts {
  const amounts = new Map([['pods', 1]]);
  for (const [resource, quantity] of podAmounts(pod).requests) {
    const amount = Number(resource === 'cpu' ? quantity.milliValue() : quantity.value());
    if (amount > 0) amounts.set(resource, amount);
  }
  return amounts;
}

const known = new WeakMap<ObjectBytes, Amounts>();

function allocatableOf(node: ObjectBytes): Amounts {
  let amounts = known.get(node);
  if (amounts === undefined) {
    const { status } = node.object() as unknown as corev1.Node;
    const list = status?.allocatable ?? status?.capacity ?? {};
    amounts = new Map(
      Object.entries(list).map(([resource, text]) => {
        const quantity = Quantity.parse(text);
        return [resource, Number(resource === 'cpu' ? quantity.milliValue() : quantity.value())];
      }),
    );
    known.set(node, amounts);
  }
  return amounts;
}
