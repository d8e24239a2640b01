/**
 * What a cluster adds to every pod. Each is a plugin of its own, so that a composer can leave one out or take other values.
 * Sources: plugin/pkg/admission `defaulttolerationseconds`, `priority` (v0.33).
 */
import type { corev1 } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionRequest } from './contract.js';

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';

function newPod({ kind, operation, subresource, object }: AdmissionRequest): corev1.PodSpec | undefined {
  if (kind.plural !== 'pods' || kind.group !== '' || operation !== 'CREATE' || subresource !== undefined)
    return undefined;
  return object?.['spec'] as corev1.PodSpec | undefined;
}

const tolerates = (spec: corev1.PodSpec, key: string): boolean =>
  spec.tolerations?.some(each => (each.key === key || !each.key) && (each.effect === 'NoExecute' || !each.effect)) ??
  false;

/** A pod stays this long on a node that is lost before it is evicted. Default 300 s each. */
export function defaultTolerationSeconds(seconds: { notReady?: number; unreachable?: number } = {}): AdmissionPlugin {
  const toleration = (key: string, tolerationSeconds: number): corev1.Toleration => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds,
  });
  return {
    name: 'DefaultTolerationSeconds',
    admit(request) {
      const spec = newPod(request);
      if (spec === undefined) return;
      const added = [
        ...(tolerates(spec, notReady) ? [] : [toleration(notReady, seconds.notReady ?? 300)]),
        ...(tolerates(spec, unreachable) ? [] : [toleration(unreachable, seconds.unreachable ?? 300)]),
      ];
      if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...added];
    },
  };
}
