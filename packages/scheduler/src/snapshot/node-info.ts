/** A node as the plugins see it: the object, the pods that are on it (bound or assumed), and the sums. */
import type { Node, Pod } from '@orbitkit/core';
import { type Amounts, addTo, amountsOf, requestsOf, scoringRequestsOf } from './resources.js';

export interface NodeInfo {
  readonly name: string;
  readonly node: Node;
  readonly pods: readonly Pod[];
  /** `cpu` in thousandths of a core, bytes, units. */
  readonly allocatable: Amounts;
  readonly requested: Amounts;
  /** `cpu` and `memory` as they count when nodes are compared: pods that ask for nothing count too. */
  readonly scoring: Amounts;
  /** Share of the allocatable that is requested, 0…1 (above 1 when overcommitted). */
  readonly load: { readonly cpu: number; readonly memory: number };
}

/** Ready by its own word, and not closed to new pods. */
export function isUsable(node: Node): boolean {
  return !node.spec.unschedulable && isReady(node);
}

export function isReady(node: Node): boolean {
  return node.status.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

/** Objects from a cache do not change, so their sums are kept with them. */
function cached(compute: (pod: Pod) => Map<string, number>): (pod: Pod) => Amounts {
  const known = new WeakMap<object, Amounts>();
  return pod => {
    let sums = known.get(pod);
    if (!sums) {
      sums = compute(pod);
      known.set(pod, sums);
    }
    return sums;
  };
}
export const cachedRequests = /* @__PURE__ */ cached(requestsOf);
export const cachedScoringRequests = /* @__PURE__ */ cached(scoringRequestsOf);

export function nodeInfo(node: Node, pods: readonly Pod[]): NodeInfo {
  const requested = new Map<string, number>();
  const scoring = new Map<string, number>();
  for (const pod of pods) {
    addTo(requested, cachedRequests(pod));
    addTo(scoring, cachedScoringRequests(pod));
  }
  requested.set('pods', pods.length);
  const allocatable = amountsOf(node.status.allocatable ?? node.status.capacity);
  const share = (resource: string) => {
    const total = allocatable.get(resource) ?? 0;
    return total > 0 ? (requested.get(resource) ?? 0) / total : 0;
  };
  return {
    name: node.metadata.name,
    node,
    pods,
    allocatable,
    requested,
    scoring,
    get load() {
      return { cpu: share('cpu'), memory: share('memory') };
    },
  };
}
