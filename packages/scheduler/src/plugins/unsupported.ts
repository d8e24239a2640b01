import type { Plugin } from '../framework/plugin.js';

/** Refuses what would silently be ignored otherwise: rules that this scheduler does not know yet. */
export const unsupported = (): Plugin => ({
  name: 'Unsupported',
  events: [],
  preFilter(pod) {
    const reasons: string[] = [];
    if (pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.length) {
      reasons.push('spec.affinity.podAffinity is not supported by this scheduler yet');
    }
    if (pod.spec.topologySpreadConstraints?.some(each => each.whenUnsatisfiable === 'DoNotSchedule')) {
      reasons.push('spec.topologySpreadConstraints with DoNotSchedule is not supported by this scheduler yet');
    }
    return reasons.length > 0 ? { reasons, unresolvable: true } : undefined;
  },
});
