/**
 * How fast pods may be driven from nodes that fail, zone by zone. When many nodes of a zone fail together the fault is
 * more likely ours (the network between) than theirs, and moving everything would do more harm than good.
 *
 * - normal: `evictionRate` nodes a second. At most 55 % fail, or no more than two nodes.
 * - partial: `secondaryEvictionRate`, and none in zones of up to `largeZoneThreshold` nodes.
 * - full (no node is ready): `evictionRate`, but when all zones are full nobody is driven away.
 *
 * Constants: kube-controller-manager `node_lifecycle_controller.go`.
 */
import type { Node } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import { readiness } from './node-taints.js';

export interface ZoneOptions {
  /** Nodes a second. Default 0.1. */
  evictionRate?: number;
  /** Default 0.01. */
  secondaryEvictionRate?: number;
  /** Default 50. */
  largeZoneThreshold?: number;
  /** Share of nodes. Default 0.55. */
  unhealthyZoneThreshold?: number;
}

type ZoneState = 'normal' | 'partial' | 'full';

interface Zone {
  state: ZoneState;
  size: number;
  /** When the next node may be tainted. */
  nextAt: number;
}

const zoneOf = (node: DeepReadonly<Node>): string =>
  [node.metadata.labels?.['topology.kubernetes.io/region'], node.metadata.labels?.['topology.kubernetes.io/zone']]
    .map(label => label ?? '')
    .join('/');

export class Zones {
  readonly #zones = new Map<string, Zone>();
  readonly #options: Required<ZoneOptions>;

  constructor(options: ZoneOptions = {}) {
    this.#options = {
      evictionRate: options.evictionRate ?? 0.1,
      secondaryEvictionRate: options.secondaryEvictionRate ?? 0.01,
      largeZoneThreshold: options.largeZoneThreshold ?? 50,
      unhealthyZoneThreshold: options.unhealthyZoneThreshold ?? 0.55,
    };
  }

  /** `isReady`: by what is known, which may be more than the node's conditions say already. */
  update(
    nodes: readonly DeepReadonly<Node>[],
    isReady: (node: DeepReadonly<Node>) => boolean = node => readiness(node) === 'True',
  ): void {
    const counts = new Map<string, { ready: number; failed: number }>();
    for (const node of nodes) {
      const count = counts.get(zoneOf(node)) ?? { ready: 0, failed: 0 };
      if (isReady(node)) count.ready++;
      else count.failed++;
      counts.set(zoneOf(node), count);
    }
    for (const name of this.#zones.keys()) if (!counts.has(name)) this.#zones.delete(name);
    for (const [name, { ready, failed }] of counts) {
      const size = ready + failed;
      const unhealthy = failed > 2 && failed / size >= this.#options.unhealthyZoneThreshold;
      const state = ready === 0 && failed > 0 ? 'full' : unhealthy ? 'partial' : 'normal';
      this.#zones.set(name, { nextAt: this.#zones.get(name)?.nextAt ?? 0, state, size });
    }
  }

  stateOf(node: DeepReadonly<Node>): ZoneState {
    return this.#zones.get(zoneOf(node))?.state ?? 'normal';
  }

  /** Whether no node is ready anywhere. */
  get allDown(): boolean {
    return this.#zones.size > 0 && [...this.#zones.values()].every(zone => zone.state === 'full');
  }

  /** Whether pods may be driven from one more node of this zone now; if so, that counts. */
  mayEvict(node: DeepReadonly<Node>, now: number): boolean {
    const zone = this.#zones.get(zoneOf(node));
    if (!zone) return false;
    const { evictionRate, secondaryEvictionRate, largeZoneThreshold } = this.#options;
    const slow = zone.size > largeZoneThreshold ? secondaryEvictionRate : 0;
    const rate = zone.state === 'partial' ? slow : evictionRate;
    if (rate <= 0 || now < zone.nextAt) return false;
    zone.nextAt = now + 1000 / rate;
    return true;
  }
}
