/** The built-in kinds whose writes are special. Every other kind has the default strategy. */
import { customStrategyOf } from '../../crd/custom-strategy.js';
import { definitionStrategy } from '../../crd/definition-strategy.js';
import { labelSetScale, workloadScale } from '../scale.js';
import type { ResourceId } from '../storage-keys.js';
import { resourceIdOf } from '../storage-keys.js';
import type { Strategies, Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';
import { jobStrategy } from './job.js';
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
const generations: Strategy = { generation: true };
const createOnUpdate: Strategy = { createOnUpdate: true };
const versionRequired: Strategy = { versionRequired: true };
const defaultStrategy: Strategy = {};

/**
 * kube-apiserver counts generations where it says so: most kinds with a spec, some without one, not these others. And it demands a version of
 * some updates (AllowUnconditionalUpdate of each strategy).
 */
const plain: Readonly<Record<ResourceId, Strategy>> = {
  'core/persistentvolumes': noGenerations,
  'core/persistentvolumeclaims': noGenerations,
  'core/resourcequotas': noGenerations,
  'core/limitranges': { generation: false, createOnUpdate: true },
  'core/endpoints': createOnUpdate,
  'autoscaling/horizontalpodautoscalers': noGenerations,
  'certificates.k8s.io/certificatesigningrequests': noGenerations,
  'networking.k8s.io/ipaddresses': noGenerations,
  'networking.k8s.io/servicecidrs': noGenerations,
  'storage.k8s.io/volumeattachments': { generation: false, versionRequired: true },
  'storage.k8s.io/csinodes': { generation: false, versionRequired: true },
  'storage.k8s.io/csidrivers': versionRequired,
  'storage.k8s.io/csistoragecapacities': versionRequired,
  'policy/poddisruptionbudgets': versionRequired,
  'node.k8s.io/runtimeclasses': versionRequired,
  'discovery.k8s.io/endpointslices': generations,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': { generation: true, versionRequired: true },
  'admissionregistration.k8s.io/validatingwebhookconfigurations': { generation: true, versionRequired: true },
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': versionRequired,
  'scheduling.k8s.io/priorityclasses': createOnUpdate,
  'rbac.authorization.k8s.io/roles': createOnUpdate,
  'rbac.authorization.k8s.io/rolebindings': createOnUpdate,
  'rbac.authorization.k8s.io/clusterroles': createOnUpdate,
  'rbac.authorization.k8s.io/clusterrolebindings': createOnUpdate,
};

export function strategiesOf(cache: WatchCache, now: () => number, options: StrategyOptions = {}): Strategies {
  const known = new Map<ResourceId, Strategy>(
    Object.entries({
      ...plain,
      'core/pods': podStrategy,
      'core/namespaces': namespaceStrategy,
      'core/services': serviceStrategy(cache, now, options.services),
      'core/nodes': { generation: false, statusOnCreate: true },
      'core/events': { generation: false, createOnUpdate: true, ttlMs: options.eventTtlMs ?? defaultEventTtlMs },
      'coordination.k8s.io/leases': { generation: false, createOnUpdate: true, versionRequired: true },
      'batch/jobs': jobStrategy,
      'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
      'core/replicationcontrollers': { scale: labelSetScale, orphansByDefault: {} },
      'apps/statefulsets': { scale: workloadScale },
      'apps/deployments': { scale: workloadScale },
      'apps/replicasets': { scale: workloadScale },
      ...options.strategies,
    } satisfies Record<ResourceId, Strategy>),
  );
  return kind => known.get(resourceIdOf(kind)) ?? customStrategyOf(kind) ?? defaultStrategy;
}
