/**
 * Prefers nodes on which the shares of requested resources are alike: 100 × (1 − standard deviation of the shares), rounded down.
 * A pod without requests has nothing to balance and is left out. Source: kube-scheduler's NodeResourcesBalancedAllocation.
 */
import type { Plugin } from '../framework/plugin.js';
import { classOf } from '../snapshot/pod-class.js';

/** The plugin NodeResourcesBalancedAllocation. @param options Default: cpu and memory, weight 1. */
export const balancedAllocation = (options: { weight?: number; resources?: readonly string[] } = {}): Plugin => ({
  name: 'NodeResourcesBalancedAllocation',
  weight: options.weight ?? 1,
  events: [],
  compile(pod, { columns }) {
    const { requests } = classOf(pod);
    const names = (options.resources ?? ['cpu', 'memory']).filter(
      name => name === 'cpu' || name === 'memory' || requests.has(name),
    );
    if (!names.some(name => requests.has(name))) return undefined;
    const each = names.map(name => {
      const id = columns.resource(name);
      return {
        wanted: requests.get(name) ?? 0,
        requested: columns.requested[id]!,
        allocatable: columns.allocatable[id]!,
      };
    });
    const shares = new Float64Array(each.length);
    return {
      score: {
        scope: 'node',
        of(slot) {
          let count = 0;
          let sum = 0;
          for (const { wanted, requested, allocatable } of each) {
            const total = allocatable[slot]!;
            if (total === 0) continue;
            const share = Math.min(1, (requested[slot]! + wanted) / total);
            shares[count++] = share;
            sum += share;
          }
          if (count < 2) return 100;
          if (count === 2) return Math.floor((1 - Math.abs(shares[0]! - shares[1]!) / 2) * 100);
          let square = 0;
          for (let i = 0; i < count; i++) square += (shares[i]! - sum / count) ** 2;
          return Math.floor((1 - Math.sqrt(square / count)) * 100);
        },
      },
    };
  },
});
