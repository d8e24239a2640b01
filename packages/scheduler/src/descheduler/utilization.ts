/**
 * Spreads load, or packs it, by what pods request of what nodes have (percent of allocatable; not by measured use).
 *
 * - `lowNodeUtilization`: from nodes above a target in any resource to nodes below a threshold in all; a node that is filled up to its target takes no more.
 * - `highNodeUtilization`: nodes below the threshold in all resources are emptied onto the others, emptiest first, so that they can be removed.
 *
 * Source: the documentation of the descheduler's strategies of these names.
 */
import type { NodeInfo } from '../snapshot/node-info.js';
import { isUsable } from '../snapshot/node-info.js';
import { requestsOf } from '../snapshot/resources.js';
import type { DeschedulePass, DescheduleStrategy } from './plan.js';

/** Percent by resource: `{ cpu: 20, memory: 20, pods: 20 }`. */
export type Thresholds = Readonly<Record<string, number>>;

const percent = (node: NodeInfo, resource: string): number => {
  const total = node.allocatable.get(resource) ?? 0;
  return total > 0 ? (100 * (node.requested.get(resource) ?? 0)) / total : 0;
};
const isBelow = (node: NodeInfo, limits: Thresholds): boolean =>
  Object.entries(limits).every(([resource, limit]) => percent(node, resource) < limit);
const isAbove = (node: NodeInfo, limits: Thresholds): boolean =>
  Object.entries(limits).some(([resource, limit]) => percent(node, resource) > limit);
const fullness = (node: NodeInfo, limits: Thresholds): number =>
  Object.keys(limits).reduce((sum, resource) => sum + percent(node, resource), 0);
const shown = (node: NodeInfo, limits: Thresholds): string =>
  Object.keys(limits)
    .map(resource => `${resource} ${Math.round(percent(node, resource))} %`)
    .join(', ');

function check(name: string, limits: Thresholds): void {
  for (const [resource, limit] of Object.entries(limits))
    if (!(limit >= 0 && limit <= 100)) throw new Error(`${name}.${resource}: ${limit} is not a percentage`);
}

/** @throws Error when a threshold is no percentage, or lies above its target. */
export function lowNodeUtilization(
  options: { thresholds?: Thresholds; targetThresholds?: Thresholds } = {},
): DescheduleStrategy {
  const low = options.thresholds ?? { cpu: 20, memory: 20, pods: 20 };
  const high = options.targetThresholds ?? { cpu: 50, memory: 50, pods: 50 };
  check('thresholds', low);
  check('targetThresholds', high);
  for (const [resource, limit] of Object.entries(low))
    if (limit > (high[resource] ?? 100)) throw new Error(`thresholds.${resource}: ${limit} is above its target`);
  return {
    name: 'LowNodeUtilization',
    plan(pass) {
      const empty = pass.snapshot.nodes.filter(node => isUsable(node.node) && isBelow(node, low));
      if (empty.length === 0) return;
      const full = pass.snapshot.nodes
        .filter(node => isAbove(node, high))
        .sort((a, b) => fullness(b, high) - fullness(a, high));
      for (const node of full)
        for (const pod of pass.evictable(node)) {
          if (!isAbove(node, high)) break;
          const requests = new Map([...requestsOf(pod), ['pods', 1] as const]);
          const fits = empty.filter(each =>
            Object.entries(high).every(([resource, limit]) => {
              const total = each.allocatable.get(resource) ?? 0;
              const used = (each.requested.get(resource) ?? 0) + (requests.get(resource) ?? 0);
              return 100 * used <= limit * total;
            }),
          );
          pass.evict(pod, `${node.name} is above its target (${shown(node, high)})`, namesOf(fits));
        }
    },
  };
}

/** @throws Error when a threshold is no percentage. */
export function highNodeUtilization(options: { thresholds?: Thresholds } = {}): DescheduleStrategy {
  const low = options.thresholds ?? { cpu: 20, memory: 20 };
  check('thresholds', low);
  return {
    name: 'HighNodeUtilization',
    plan(pass: DeschedulePass) {
      const sparse = pass.snapshot.nodes
        .filter(node => isBelow(node, low))
        .sort((a, b) => fullness(a, low) - fullness(b, low));
      const others = pass.snapshot.nodes.filter(node => isUsable(node.node) && !sparse.includes(node));
      for (const node of sparse)
        for (const pod of pass.evictable(node))
          pass.evict(pod, `${node.name} is hardly used (${shown(node, low)})`, namesOf(others));
    },
  };
}

const namesOf = (nodes: readonly NodeInfo[]): Set<string> => new Set(nodes.map(({ name }) => name));
