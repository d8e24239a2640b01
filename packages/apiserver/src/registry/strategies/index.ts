/** The built-in kinds whose writes are special. Every other kind has the default strategy. */
import { workloadScale } from '../scale.js';
import type { ResourceId } from '../storage-keys.js';
import { resourceIdOf } from '../storage-keys.js';
import type { Strategies, Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';
import { namespaceStrategy } from './namespace.js';
import { podStrategy } from './pod.js';
import { serviceStrategy } from './service.js';
import type { ServiceOptions } from './service-allocation.js';

/** kube-apiserver `--event-ttl`. */
const defaultEventTtlMs = 3_600_000;

export interface StrategyOptions {
  services?: ServiceOptions;
  /** How long an Event lives after its last write. Default one hour. */
  eventTtlMs?: number;
  /** For kinds of one's own, or in the place of a built-in one: by `group/plural` (`core/pods`). */
  strategies?: Readonly<Record<ResourceId, Strategy>>;
}

const noGenerations: Strategy = { generation: false };
const defaultStrategy: Strategy = {};

export function strategiesOf(cache: WatchCache, now: () => number, options: StrategyOptions = {}): Strategies {
  const known = new Map<ResourceId, Strategy>(
    Object.entries({
      'core/pods': podStrategy,
      'core/namespaces': namespaceStrategy,
      'core/services': serviceStrategy(cache, now, options.services),
      'core/nodes': { generation: false, statusOnCreate: true },
      'core/events': { generation: false, ttlMs: options.eventTtlMs ?? defaultEventTtlMs },
      'coordination.k8s.io/leases': { generation: false, createOnUpdate: true },
      'autoscaling/horizontalpodautoscalers': noGenerations,
      'apps/deployments': { scale: workloadScale },
      'apps/replicasets': { scale: workloadScale },
      ...options.strategies,
    } satisfies Record<ResourceId, Strategy>),
  );
  return kind => known.get(resourceIdOf(kind)) ?? defaultStrategy;
}
