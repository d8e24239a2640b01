/**
 * What nodes really use, as metrics tell: the newest sample, mean and standard deviation over a window, and what just-placed pods will use that no
 * sample has seen yet. A sample older than `maxAgeMs` is stale, and the node's load unknown.
 */
import type { Clock, DynamicObject, Pod, ResourceRef } from '@orbitkit/core';
import { Quantity, systemClock } from '@orbitkit/core';
import type { SchedulerHandle } from '../framework/handle.js';

/** What a node used at one moment. */
export interface LoadSample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Thousandths of a core. */
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
}

/** The newest sample, and the window. */
export interface NodeLoad extends LoadSample {
  readonly mean: { readonly cpu: number; readonly memory: number };
  readonly deviation: { readonly cpu: number; readonly memory: number };
}

/** Milliseconds. */
export interface NodeLoadsOptions {
  clock?: Clock;
  /** Default 3 minutes. */
  maxAgeMs?: number;
  /** Default 15 minutes, as load-watcher's. */
  windowMs?: number;
  /** How often metrics.k8s.io is asked. Default 30 s. */
  pollMs?: number;
}

/** Loads by node name. Feed it by hand, or from metrics.k8s.io through a handle. */
export class NodeLoads {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #windowMs: number;
  readonly #pollMs: number;
  readonly #samples = new Map<string, LoadSample[]>();
  /** Placed, and not yet in a sample: by node, then pod. */
  readonly #coming = new Map<string, Map<string, { at: number; cpu: number }>>();
  readonly #feeding = new WeakSet<SchedulerHandle['client']>();

  constructor(options: NodeLoadsOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#maxAgeMs = options.maxAgeMs ?? 180_000;
    this.#windowMs = options.windowMs ?? 900_000;
    this.#pollMs = options.pollMs ?? 30_000;
  }

  add(node: string, sample: LoadSample): void {
    const samples = (this.#samples.get(node) ?? []).filter(each => each.at > sample.at - this.#windowMs);
    if (samples.at(-1)?.at === sample.at) return;
    this.#samples.set(node, [...samples, sample]);
    const coming = this.#coming.get(node);
    for (const [uid, { at }] of coming ?? []) if (at < sample.at) coming!.delete(uid);
  }

  /** Undefined without a sample, or when the last one is stale. */
  of(node: string): NodeLoad | undefined {
    const samples = this.#samples.get(node);
    const last = samples?.at(-1);
    if (!samples || !last || this.#clock.now() - last.at > this.#maxAgeMs) return undefined;
    const mean = (of: (sample: LoadSample) => number) =>
      samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
    const [cpu, memory] = [mean(each => each.cpu), mean(each => each.memory)];
    const deviation = {
      cpu: Math.sqrt(mean(each => (each.cpu - cpu) ** 2)),
      memory: Math.sqrt(mean(each => (each.memory - memory) ** 2)),
    };
    return { ...last, mean: { cpu, memory }, deviation };
  }

  /** Predicted CPU of pods on the node that its last sample cannot have seen. */
  coming(node: string): number {
    let sum = 0;
    for (const { cpu } of this.#coming.get(node)?.values() ?? []) sum += cpu;
    return sum;
  }

  placed(pod: Pod, node: string, cpu: number): void {
    let coming = this.#coming.get(node);
    if (!coming) {
      coming = new Map();
      this.#coming.set(node, coming);
    }
    coming.set(pod.metadata.uid, { at: this.#clock.now(), cpu });
  }

  displaced(pod: Pod, node: string): void {
    this.#coming.get(node)?.delete(pod.metadata.uid);
  }

  /** Asks metrics.k8s.io from now on, until the scheduler ends. Several plugins may share one. */
  feed({ client, clock, signal, notice }: SchedulerHandle): void {
    if (this.#feeding.has(client)) return;
    this.#feeding.add(client);
    const poll = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          const { items } = await client.list(nodeMetrics, { signal });
          for (const item of items as readonly (DynamicObject & Metrics)[]) {
            const { cpu = '0', memory = '0' } = item.usage ?? {};
            const at = item.timestamp ? Date.parse(item.timestamp) : clock.now();
            this.add(item.metadata.name, {
              at,
              cpu: Number(Quantity.parse(cpu).milliValue()),
              memory: Number(Quantity.parse(memory).value()),
            });
          }
          notice({ type: 'NodeMetrics' });
        } catch {
          // No metrics API, or not now: what is known gets stale, and says so by being unknown.
        }
        await clock.sleep(this.#pollMs, signal).catch(() => {});
      }
    };
    void poll();
  }
}

interface Metrics {
  timestamp?: string;
  usage?: { cpu?: string; memory?: string };
}

const nodeMetrics: ResourceRef<DynamicObject> = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  kind: 'NodeMetrics',
  plural: 'nodes',
  namespaced: false,
};
