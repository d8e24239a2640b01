/**
 * A profile: the plugins of one scheduler, in their order, and how their points are run.
 *
 * Filters run in the order of the list and stop at the first refusal, node by node. Scores are added up by weight.
 */
import type { ClusterEvent, Plugin, QueuedPod } from './plugin.js';

export interface Profile {
  /** Pods with this `spec.schedulerName` are ours. */
  readonly schedulerName: string;
  readonly plugins: readonly Plugin[];
  compare(a: QueuedPod, b: QueuedPod): number;
  /** Whether a pod refused by these plugins is worth another try after the event. */
  concerns(event: ClusterEvent, refusedBy: ReadonlySet<string>): boolean;
}

/** Higher priority first, then first come first served: kube-scheduler's PrioritySort. */
const prioritySort = (a: QueuedPod, b: QueuedPod): number => b.priority - a.priority || a.sequence - b.sequence;

/** @throws Error when two plugins have one name, or two sort the queue. */
export function profile(options: { schedulerName?: string; plugins: readonly Plugin[] }): Profile {
  const byName = new Map<string, Plugin>();
  let sort: Plugin | undefined;
  for (const plugin of options.plugins) {
    if (byName.has(plugin.name))
      throw new Error(`two plugins are named "${plugin.name}"; names in a profile are unique`);
    byName.set(plugin.name, plugin);
    if (plugin.less) {
      if (sort) throw new Error(`plugins "${sort.name}" and "${plugin.name}" both sort the queue; only one can`);
      sort = plugin;
    }
  }
  return {
    schedulerName: options.schedulerName ?? 'default-scheduler',
    plugins: [...options.plugins],
    compare: sort ? (a, b) => sort.less!(a, b) || a.sequence - b.sequence : prioritySort,
    concerns(event, refusedBy) {
      if (refusedBy.size === 0) return true;
      for (const name of refusedBy) {
        const events = byName.get(name)?.events;
        if (!events || events.includes(event)) return true;
      }
      return false;
    },
  };
}
