/**
 * What one moment of a simulated cluster looks like: spread of utilisation over nodes, and fragmentation.
 *
 * Fragmentation as Weng et al. have it (USENIX ATC 2023, for GPUs): the part of what is free that a pod drawn from the workload cannot use,
 * since on its node the pod does not fit.
 */
import type { Node } from '@orbitkit/core';
import type { ClusterState } from '../snapshot/cluster-state.js';
import { isUsable } from '../snapshot/node-info.js';
import { requestsOf } from '../snapshot/resources.js';
import type { NodeChange } from './nodes.js';
import { percentile, type Sample, type Spread } from './report.js';
import { type Arrival, podOf } from './workload.js';

interface Shape {
  readonly requests: readonly (readonly [resource: string, amount: number])[];
  readonly share: number;
}

/** The most frequent shapes stand for all. */
const shapesAtMost = 16;

export function shapesOf(arrivals: readonly Arrival[]): Shape[] {
  const counts = new Map<Arrival['template'], number>();
  for (const { template } of arrivals) counts.set(template, (counts.get(template) ?? 0) + 1);
  const byRequests = new Map<string, { requests: Shape['requests']; count: number }>();
  for (const [template, count] of counts) {
    const sample = podOf({ at: 0, name: 'shape', group: '', seconds: 0, template }, 0, 0, 0);
    const requests = [...requestsOf(sample)].filter(([, amount]) => amount > 0);
    const key = JSON.stringify(requests);
    const known = byRequests.get(key);
    if (known) known.count += count;
    else byRequests.set(key, { requests, count });
  }
  const top = [...byRequests.values()].sort((a, b) => b.count - a.count).slice(0, shapesAtMost);
  const total = top.reduce((sum, each) => sum + each.count, 0);
  return top.map(({ requests, count }) => ({ requests, share: count / total }));
}

/** CPU, memory, and what else pods ask for, where some node offers it at some time. */
export function resourcesOf(
  { nodes, changes }: { readonly nodes: readonly Node[]; readonly changes: readonly NodeChange[] },
  shapes: readonly Shape[],
): string[] {
  const offered = new Set<string>();
  for (const node of [...nodes, ...changes.flatMap(change => (change.what === 'set' ? [change.node] : []))])
    for (const name of Object.keys(node.status.allocatable ?? node.status.capacity ?? {})) offered.add(name);
  const asked = new Set(['cpu', 'memory', ...shapes.flatMap(each => each.requests.map(([name]) => name))]);
  return [...asked].filter(name => offered.has(name));
}

export class Measures {
  #shares = new Float64Array(0);

  constructor(
    private readonly state: ClusterState,
    private readonly resources: readonly string[],
    private readonly shapes: readonly Shape[],
  ) {}

  sample(at: number, waiting: number, running: number): Sample {
    const { state, resources } = this;
    const slots: number[] = [];
    for (const node of state.nodes) if (isUsable(node.node)) slots.push(node.slot);
    const fragmentation: Record<string, number> = {};
    const utilisation: Record<string, Spread> = {};
    const fits = this.shapes.map(shape => slots.map(slot => this.#fits(shape, slot)));
    for (const resource of resources) {
      utilisation[resource] = this.#spread(resource, slots);
      fragmentation[resource] = this.#fragmentation(resource, slots, fits);
    }
    return { at, utilisation, fragmentation, waiting, running };
  }

  /** CPU requested of each node that can take pods, highest first. */
  loads(): number[] {
    return this.state.nodes
      .filter(node => isUsable(node.node))
      .map(node => node.load.cpu)
      .sort((a, b) => b - a);
  }

  #spread(resource: string, slots: readonly number[]): Spread {
    const { columns } = this.state;
    const id = columns.resource(resource);
    const total = columns.allocatable[id]!;
    const used = columns.requested[id]!;
    if (this.#shares.length < slots.length) this.#shares = new Float64Array(slots.length);
    let count = 0;
    let sum = 0;
    for (const slot of slots) {
      // Nodes that have none of it are neither full nor empty.
      if (total[slot] === 0) continue;
      const share = used[slot]! / total[slot]!;
      this.#shares[count++] = share;
      sum += share;
    }
    if (count === 0) return { mean: 0, p95: 0, deviation: 0 };
    const shares = this.#shares.subarray(0, count).sort();
    const mean = sum / count;
    let squares = 0;
    for (const share of shares) squares += (share - mean) ** 2;
    return { mean, p95: percentile(shares, 0.95), deviation: Math.sqrt(squares / count) };
  }

  #fits({ requests }: Shape, slot: number): boolean {
    const { columns } = this.state;
    if (columns.podCount[slot]! + 1 > columns.podLimit[slot]!) return false;
    for (const [resource, amount] of requests) {
      const id = columns.resource(resource);
      if (columns.allocatable[id]![slot]! - columns.requested[id]![slot]! < amount) return false;
    }
    return true;
  }

  #fragmentation(resource: string, slots: readonly number[], fits: readonly (readonly boolean[])[]): number {
    const { columns } = this.state;
    const id = columns.resource(resource);
    const total = columns.allocatable[id]!;
    const used = columns.requested[id]!;
    let free = 0;
    let stranded = 0;
    let shares = 0;
    for (const slot of slots) free += Math.max(0, total[slot]! - used[slot]!);
    this.shapes.forEach((shape, s) => {
      // Only those who want the resource say whether it can be used.
      if (!shape.requests.some(([name]) => name === resource)) return;
      shares += shape.share;
      slots.forEach((slot, i) => {
        if (!fits[s]![i]) stranded += shape.share * Math.max(0, total[slot]! - used[slot]!);
      });
    });
    return free === 0 || shares === 0 ? 0 : stranded / shares / free;
  }
}

/** Averages over samples. */
export function averageOf(samples: readonly Sample[]): Pick<Sample, 'utilisation' | 'fragmentation'> {
  const utilisation: Record<string, Spread> = {};
  const fragmentation: Record<string, number> = {};
  const mean = (of: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  for (const resource of Object.keys(samples[0]?.utilisation ?? {})) {
    utilisation[resource] = {
      mean: mean(sample => sample.utilisation[resource]!.mean),
      p95: mean(sample => sample.utilisation[resource]!.p95),
      deviation: mean(sample => sample.utilisation[resource]!.deviation),
    };
    fragmentation[resource] = mean(sample => sample.fragmentation[resource]!);
  }
  return { utilisation, fragmentation };
}
