/**
 * The cluster as decisions see it: nodes, the pods on them, and counts over both, kept up to date pod by pod.
 *
 * A placement that is decided but not yet confirmed by a watch event is *assumed*: it counts at once, so that the next decision cannot use the
 * same room twice. An assumed pod is confirmed by its informer event, or forgotten when binding failed. A pod on a node that is not known
 * (yet, or any more) counts as soon as the node is.
 *
 * A snapshot is a view of this state, not a copy: it is right until the next change. Decisions are synchronous, so nothing changes under them.
 */
import type { Node, Pod } from '@orbitkit/core';
import { ClusterObjects } from './cluster-objects.js';
import { Columns } from './columns.js';
import { isReady, type NodeInfo } from './node-info.js';
import { classOf, type PodClass } from './pod-class.js';
import { PodCounts } from './pod-counts.js';
import { type Amounts, amountsOf } from './resources.js';
import type { Snapshot, Supposition } from './snapshot.js';
import type { PodGroup } from './topology.js';

/** Pods that ended hold no resources. */
const isTerminal = (pod: Pod): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

interface Placement {
  pod: Pod;
  readonly podClass: PodClass;
  readonly group: PodGroup;
  readonly slot: number;
  assumed: boolean;
}

class NodeRecord implements NodeInfo {
  object: Node | undefined;
  allocatable: Amounts = new Map();
  readonly placements = new Map<string, Placement>();
  #pods: { generation: number; list: readonly Pod[] } | undefined;
  #sums: { generation: number; requested: Amounts; scoring: Amounts } | undefined;

  constructor(
    readonly name: string,
    readonly slot: number,
    private readonly columns: Columns,
  ) {}

  get node(): Node {
    return this.object!;
  }
  get pods(): readonly Pod[] {
    const generation = this.columns.generation[this.slot]!;
    if (this.#pods?.generation !== generation)
      this.#pods = { generation, list: [...this.placements.values()].map(each => each.pod) };
    return this.#pods.list;
  }
  get requested(): Amounts {
    return this.#amounts().requested;
  }
  get scoring(): Amounts {
    return this.#amounts().scoring;
  }
  get load() {
    return { cpu: this.#share(0), memory: this.#share(1) };
  }

  #share(resource: number): number {
    const total = this.columns.allocatable[resource]![this.slot]!;
    return total > 0 ? this.columns.requested[resource]![this.slot]! / total : 0;
  }
  #amounts() {
    const { columns, slot } = this;
    const generation = columns.generation[slot]!;
    if (this.#sums?.generation !== generation) {
      const requested = new Map<string, number>();
      columns.names.forEach((name, id) => {
        const amount = columns.requested[id]![slot]!;
        if (amount > 0) requested.set(name, amount);
      });
      requested.set('pods', columns.podCount[slot]!);
      const scoring = new Map([
        ['cpu', columns.scoringCpu[slot]!],
        ['memory', columns.scoringMemory[slot]!],
      ]);
      this.#sums = { generation, requested, scoring };
    }
    return this.#sums;
  }
}

/** A heartbeat changes nothing that rules read; what is known of the node stays. */
function sameForDecisions(a: Node, b: Node): boolean {
  const parts = (node: Node) => [
    node.metadata.uid,
    node.metadata.labels,
    node.metadata.annotations,
    node.spec,
    node.status.allocatable,
    node.status.capacity,
    node.status.images,
    isReady(node),
  ];
  return JSON.stringify(parts(a)) === JSON.stringify(parts(b));
}

const zoneOf = (node: Node): string => {
  const labels = node.metadata.labels ?? {};
  return `${labels['topology.kubernetes.io/region'] ?? ''}\0${labels['topology.kubernetes.io/zone'] ?? ''}`;
};

/** The state that a scheduler keeps; tests and simulations make their own. */
export class ClusterState implements Snapshot {
  readonly columns = new Columns();
  readonly objects = new ClusterObjects();
  readonly counts: PodCounts;
  /** Changes with every change. */
  version = 1;
  /** Changes when nodes join, leave or change. */
  nodesVersion = 1;
  /** Placed by another decision but waiting for victims to end: by node, who counts as being there. */
  readonly nominated: Map<number, Map<string, Pod>> = new Map();
  readonly #bySlot: NodeRecord[] = [];
  readonly #byName = new Map<string, NodeRecord>();
  readonly #placed = new Map<string, Placement>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #nominatedAt = new Map<string, number>();
  #order: { slots: Int32Array; infos: readonly NodeInfo[] } | undefined;
  #generation = 0;

  constructor() {
    this.counts = new PodCounts({
      capacity: () => this.columns.capacity,
      nodeAt: slot => this.#bySlot[slot]?.object,
      slots: () => this.order,
      namespaceLabels: name => this.namespaceLabels(name),
    });
  }

  // --- what decisions read ---

  /** Zone by zone in turn, within a zone by name, as kube-scheduler walks its nodes: a sample of consecutive nodes has all zones. */
  get order(): Int32Array {
    return this.#ordered().slots;
  }
  get nodes(): readonly NodeInfo[] {
    return this.#ordered().infos;
  }
  get(name: string): NodeInfo | undefined {
    const record = this.#byName.get(name);
    return record?.object ? record : undefined;
  }
  at(slot: number): NodeInfo {
    return this.#bySlot[slot]!;
  }
  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.get(name) ?? {};
  }
  isAssumed(uid: string): boolean {
    return this.#placed.get(uid)?.assumed ?? false;
  }
  /** Where a pod counts. */
  nodeOf(uid: string): string | undefined {
    const placement = this.#placed.get(uid);
    return placement && this.#bySlot[placement.slot]!.name;
  }
  /** The node whose room is kept for a pod that waits for victims to end there. */
  nominationOf(uid: string): string | undefined {
    const slot = this.#nominatedAt.get(uid);
    return slot === undefined ? undefined : this.#bySlot[slot]!.name;
  }
  snapshot(): Snapshot {
    return this;
  }

  // --- what changes it ---

  setNode(node: Node): void {
    const record = this.#record(node.metadata.name);
    const before = record.object;
    const { slot } = record;
    if (before && sameForDecisions(before, node)) {
      record.object = node;
      return;
    }
    if (!before || zoneOf(before) !== zoneOf(node)) this.#order = undefined;
    record.object = node;
    record.allocatable = amountsOf(node.status.allocatable ?? node.status.capacity);
    this.columns.clear(slot);
    this.columns.podLimit[slot] = record.allocatable.get('pods') ?? Number.POSITIVE_INFINITY;
    for (const [name, amount] of record.allocatable) {
      if (name !== 'pods') this.columns.allocatable[this.columns.resource(name)]![slot] = amount;
    }
    this.#nodeChanged(slot);
    this.counts.nodeChanged(slot, before);
  }

  removeNode(name: string): void {
    const record = this.#byName.get(name);
    const before = record?.object;
    if (!record || !before) return;
    record.object = undefined;
    this.#order = undefined;
    this.columns.clear(record.slot);
    this.#nodeChanged(record.slot);
    this.counts.nodeChanged(record.slot, before);
  }

  /** A pod as the API has it; it counts where `spec.nodeName` says. */
  setPod(pod: Pod): void {
    const { uid } = pod.metadata;
    if (isTerminal(pod)) this.removePod(uid);
    else if (pod.spec.nodeName) this.#put(pod, pod.spec.nodeName, false);
    else if (!this.isAssumed(uid)) this.#take(uid);
  }

  removePod(uid: string): void {
    this.#take(uid);
    this.nominate(uid, undefined);
  }

  assume(pod: Pod, node: string): void {
    this.#put(pod, node, true);
    this.nominate(pod.metadata.uid, undefined);
  }

  forget(uid: string): void {
    if (this.isAssumed(uid)) this.#take(uid);
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>> | undefined): void {
    if (labels) this.#namespaces.set(name, labels);
    else this.#namespaces.delete(name);
    this.counts.namespacesChanged();
    this.version += 1;
  }

  /** The pod waits for victims on that node to end; pods of lower priority must leave it the room. */
  nominate(uid: string, pod: Pod | undefined, node?: string): void {
    const at = this.#nominatedAt.get(uid);
    if (at !== undefined) {
      this.#nominatedAt.delete(uid);
      const there = this.nominated.get(at)!;
      there.delete(uid);
      if (there.size === 0) this.nominated.delete(at);
      this.version += 1;
    }
    // Also on a node that is not known yet: informers come in any order.
    const record = pod && node ? this.#record(node) : undefined;
    if (!pod || !record) return;
    let there = this.nominated.get(record.slot);
    if (!there) {
      there = new Map();
      this.nominated.set(record.slot, there);
    }
    there.set(uid, pod);
    this.#nominatedAt.set(uid, record.slot);
    this.version += 1;
  }

  /** Pods as they would be: the answer is computed with some gone and some there, and everything is put back. */
  suppose<T>(ask: (change: Supposition) => T): T {
    const before = new Map<string, Placement | undefined>();
    const generations = new Map<number, number>();
    const remember = (uid: string, slot: number): void => {
      if (!before.has(uid)) before.set(uid, this.#placed.get(uid));
      if (!generations.has(slot)) generations.set(slot, this.columns.generation[slot]!);
    };
    try {
      return ask({
        remove: ({ metadata: { uid } }) => {
          const placement = this.#placed.get(uid);
          if (!placement) return;
          remember(uid, placement.slot);
          this.#take(uid);
        },
        add: (pod, node) => {
          const { uid } = pod.metadata;
          if (this.#placed.has(uid)) return;
          remember(uid, this.#record(node).slot);
          this.#put(pod, node, true);
        },
      });
    } finally {
      for (const [uid, placement] of before) {
        this.#take(uid);
        if (placement) this.#put(placement.pod, this.#bySlot[placement.slot]!.name, placement.assumed);
      }
      // What is known of the nodes is true again. Numbers given meanwhile are not used a second time.
      for (const [slot, generation] of generations) this.columns.generation[slot] = generation;
    }
  }

  #record(name: string): NodeRecord {
    let record = this.#byName.get(name);
    if (!record) {
      const slot = this.#bySlot.length;
      if (slot >= this.columns.capacity) {
        this.columns.grow();
        this.counts.grow(this.columns.capacity);
      }
      record = new NodeRecord(name, slot, this.columns);
      this.#byName.set(name, record);
      this.#bySlot.push(record);
    }
    return record;
  }

  #put(pod: Pod, node: string, assumed: boolean): void {
    const { uid } = pod.metadata;
    const podClass = classOf(pod);
    const known = this.#placed.get(uid);
    if (known) {
      if (known.podClass === podClass && this.#bySlot[known.slot]!.name === node) {
        // Only its status moved, or the binding was confirmed: nothing that is counted changes.
        known.pod = pod;
        known.assumed = assumed;
        return;
      }
      this.#take(uid);
    }
    const record = this.#record(node);
    const placement: Placement = { pod, podClass, group: this.counts.groupOf(podClass), slot: record.slot, assumed };
    this.#placed.set(uid, placement);
    record.placements.set(uid, placement);
    this.#count(placement, 1);
  }

  #take(uid: string): void {
    const placement = this.#placed.get(uid);
    if (!placement) return;
    this.#placed.delete(uid);
    this.#bySlot[placement.slot]!.placements.delete(uid);
    this.#count(placement, -1);
  }

  #count({ podClass, group, slot }: Placement, sign: 1 | -1): void {
    const { columns } = this;
    for (const [name, amount] of podClass.requests) columns.requested[columns.resource(name)]![slot]! += sign * amount;
    columns.podCount[slot]! += sign;
    columns.scoringCpu[slot]! += sign * podClass.scoring.cpu;
    columns.scoringMemory[slot]! += sign * podClass.scoring.memory;
    columns.generation[slot] = ++this.#generation;
    this.counts.add(group, slot, sign);
    this.version += 1;
  }

  #nodeChanged(slot: number): void {
    this.columns.generation[slot] = ++this.#generation;
    this.columns.nodeGeneration[slot] = this.#generation;
    this.version += 1;
    this.nodesVersion += 1;
  }

  #ordered() {
    if (!this.#order) {
      const zones = new Map<string, NodeRecord[]>();
      for (const record of this.#bySlot) {
        if (!record.object) continue;
        const zone = zoneOf(record.object);
        const there = zones.get(zone);
        if (there) there.push(record);
        else zones.set(zone, [record]);
      }
      const lists = [...zones].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, list]) => list);
      for (const list of lists) list.sort((a, b) => (a.name < b.name ? -1 : 1));
      const infos: NodeRecord[] = [];
      const longest = Math.max(0, ...lists.map(list => list.length));
      for (let row = 0; row < longest; row++)
        for (const list of lists) {
          const record = list[row];
          if (record) infos.push(record);
        }
      this.#order = { slots: Int32Array.from(infos, record => record.slot), infos };
    }
    return this.#order;
  }
}
