/**
 * Services: what an update may leave out or leaves behind when the type changes. Their addresses and ports: service-allocation.ts.
 * Source: core registry `service/strategy.go` (v0.33).
 */
import type { corev1 } from '@orbitkit/core';
import { sameJson } from '../json-value.js';
import type { Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';
import {
  type ServiceOptions,
  serviceAllocation,
  substituteAddressAnnotation,
  withAddress,
  withNodePorts,
} from './service-allocation.js';
import { trimToSingle } from './service-families.js';

type Spec = corev1.ServiceSpec;

export function serviceStrategy(cache: WatchCache, now: () => number, options: ServiceOptions = {}): Strategy {
  return {
    generation: false,
    prepareUpdate(object, old) {
      const spec = object['spec'] as Spec;
      const before = old['spec'] as Spec;
      keepAllocated(spec, before);
      trimToSingle(spec, before);
      dropForType(spec, before);
      const substitute = old.metadata.annotations?.[substituteAddressAnnotation];
      if (substitute !== undefined && withAddress(spec)) {
        object.metadata.annotations = { ...object.metadata.annotations, [substituteAddressAnnotation]: substitute };
      }
    },
    ...serviceAllocation(cache, now, options),
  };
}

/** A writer who does not know what was given may leave it out (apiserver `patchAllocatedValues`). */
function keepAllocated(spec: Spec, before: Spec): void {
  if (spec.type !== 'ExternalName' && before.type !== 'ExternalName') {
    if (!spec.clusterIP) {
      spec.clusterIP = before.clusterIP;
      if (!spec.clusterIPs?.length) spec.clusterIPs = before.clusterIPs;
    }
    spec.clusterIPs ??= spec.clusterIP ? [spec.clusterIP] : undefined;
    spec.ipFamilies ??= before.ipFamilies;
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
  }
  if (!withNodePorts(spec) || !withNodePorts(before)) return;
  for (const port of spec.ports ?? []) {
    port.nodePort ||= before.ports?.find(each => each.port === port.port && each.protocol === port.protocol)?.nodePort;
  }
}

/** What the former type needed and the new one does not goes, unless it was set anew (apiserver `dropTypeDependentFields`). */
function dropForType(spec: Spec, before: Spec): void {
  const same = (field: keyof Spec): boolean => sameJson(spec[field], before[field]);
  if (withAddress(before) && spec.type === 'ExternalName' && same('clusterIP') && same('clusterIPs')) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'] as const)
      delete spec[field];
  }
  if (withNodePorts(before) && !withNodePorts(spec)) {
    const former = new Set(before.ports?.map(port => port.nodePort));
    for (const port of spec.ports ?? []) if (former.has(port.nodePort)) delete port.nodePort;
  }
  const external = ({ type, externalIPs }: Spec): boolean =>
    type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && (externalIPs?.length ?? 0) > 0);
  if (external(before) && !external(spec) && same('externalTrafficPolicy')) delete spec.externalTrafficPolicy;
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    for (const field of ['healthCheckNodePort', 'allocateLoadBalancerNodePorts', 'loadBalancerClass'] as const) {
      if (same(field)) delete spec[field];
    }
  }
}
