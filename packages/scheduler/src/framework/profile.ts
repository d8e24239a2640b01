/**
 * A profile: the plugins of one scheduler name, in their order. Plugins come, go and change weight while it runs.
 *
 * Filters run in the order of the list, those whose answers can be kept before those that look at the whole cluster, and stop at the first refusal,
 * node by node. Scores are added up by weight.
 */
import type { Pod } from '@orbitkit/core';
import type { Snapshot } from '../snapshot/snapshot.js';
import { pluginProblem } from './check-plugin.js';
import type { ClusterEvent, ClusterEventType, HintedInterest } from './event.js';
import type { Plugin, QueuedPod } from './plugin.js';

/** Only the plugins have no default. */
export interface ProfileOptions {
  /** Pods with this `spec.schedulerName` are ours. Default `default-scheduler`. */
  schedulerName?: string;
  plugins: readonly Plugin[];
  /**
   * How many nodes that can take the pod are looked for, in percent of all. Default as in kube-scheduler: 50 % at 100 nodes, falling to 10 %
   * at 5,000, at least 5 % and 100 nodes.
   */
  percentageOfNodesToScore?: number;
}

/** The rules of one scheduler name, alive. */
export interface Profile {
  readonly schedulerName: string;
  readonly plugins: readonly Plugin[];
  readonly percentageOfNodesToScore: number | undefined;
  /** Changes with the plugins and their weights. */
  readonly version: number;
  weightOf(plugin: Plugin): number;
  compare(a: QueuedPod, b: QueuedPod): number;
  /** Whether a pod refused by these plugins is worth another try after the event. */
  concerns(event: ClusterEvent, pod: Pod, refusedBy: ReadonlySet<string>, snapshot?: Snapshot): boolean;
  /** The same by the type alone: never, always, or `concerns` must be asked: for each pod, or for one of those that are equal. */
  interest(type: ClusterEventType, refusedBy: ReadonlySet<string>): 'none' | 'always' | 'ask' | 'askOne';
  /** At the end, or before the plugin of that name. @throws Error when the name is taken, or two would sort the queue. */
  add(plugin: Plugin, options?: { before?: string }): void;
  /** @throws Error when there is no such plugin. */
  remove(name: string): void;
  /** @throws Error when there is no such plugin. */
  reweight(name: string, weight: number): void;
  onChange(listener: () => void): () => void;
}

/** Higher priority first, then first come first served: kube-scheduler's PrioritySort. */
const prioritySort = (a: QueuedPod, b: QueuedPod): number => b.priority - a.priority || a.sequence - b.sequence;

/** A wake-up too many is a decision; one that is missed leaves a pod lying. */
function helps({ hint }: HintedInterest, pod: Pod, event: ClusterEvent, snapshot: Snapshot | undefined): boolean {
  try {
    return hint(pod, event, snapshot) === 'Queue';
  } catch {
    return true;
  }
}

function check(plugins: readonly Plugin[]): { byName: Map<string, Plugin>; sort: Plugin | undefined } {
  const byName = new Map<string, Plugin>();
  let sort: Plugin | undefined;
  for (const [i, plugin] of plugins.entries()) {
    const problem = pluginProblem(plugin);
    if (problem) throw new Error(`plugins[${i}]: ${problem}`);
    if (byName.has(plugin.name))
      throw new Error(`two plugins are named "${plugin.name}"; names in a profile are unique`);
    byName.set(plugin.name, plugin);
    if (plugin.less) {
      if (sort) throw new Error(`plugins "${sort.name}" and "${plugin.name}" both sort the queue; only one can`);
      sort = plugin;
    }
  }
  return { byName, sort };
}

/** @throws Error when two plugins have one name, two sort the queue, or one is none: the field is named. */
export function profile(options: ProfileOptions): Profile {
  const { percentageOfNodesToScore: percentage } = options;
  if (!Array.isArray(options.plugins)) throw new Error('plugins: give a list of plugins, such as defaultPlugins()');
  if (percentage !== undefined && !(percentage >= 0 && percentage <= 100))
    throw new Error(`percentageOfNodesToScore: ${percentage}; give a percentage from 0 (as in kube-scheduler) to 100`);
  let plugins: readonly Plugin[] = [...options.plugins];
  let { byName, sort } = check(plugins);
  let version = 1;
  const weights = new Map<string, number>();
  const listeners = new Set<() => void>();

  function replace(next: readonly Plugin[]): void {
    ({ byName, sort } = check(next));
    plugins = next;
    changed();
  }
  function changed(): void {
    version += 1;
    for (const listener of listeners) listener();
  }
  function demand(name: string): void {
    if (byName.has(name)) return;
    throw new Error(
      `profile "${options.schedulerName ?? 'default-scheduler'}" has no plugin "${name}"; it has ${[...byName.keys()].join(', ')}`,
    );
  }

  return {
    schedulerName: options.schedulerName ?? 'default-scheduler',
    percentageOfNodesToScore: options.percentageOfNodesToScore,
    get plugins() {
      return plugins;
    },
    get version() {
      return version;
    },
    weightOf: plugin => weights.get(plugin.name) ?? plugin.weight ?? 1,
    compare(a, b) {
      return sort ? sort.less!(a, b) || a.sequence - b.sequence : prioritySort(a, b);
    },
    concerns(event, pod, refusedBy, snapshot) {
      if (refusedBy.size === 0) return true;
      for (const name of refusedBy) {
        const events = byName.get(name)?.events;
        if (!events) return true;
        for (const each of events) {
          if (
            typeof each === 'string'
              ? each === event.type
              : each.type === event.type && helps(each, pod, event, snapshot)
          )
            return true;
        }
      }
      return false;
    },
    interest(type, refusedBy) {
      if (refusedBy.size === 0) return 'always';
      let found: 'none' | 'ask' | 'askOne' = 'none';
      for (const name of refusedBy) {
        const events = byName.get(name)?.events;
        if (!events) return 'always';
        for (const each of events) {
          if (each === type) return 'always';
          if (typeof each === 'string' || each.type !== type) continue;
          if (!each.perClass) found = 'ask';
          else if (found === 'none') found = 'askOne';
        }
      }
      return found;
    },
    add(plugin, { before } = {}) {
      if (before) demand(before);
      const at = before ? plugins.findIndex(each => each.name === before) : plugins.length;
      replace([...plugins.slice(0, at), plugin, ...plugins.slice(at)]);
    },
    remove(name) {
      demand(name);
      weights.delete(name);
      replace(plugins.filter(each => each.name !== name));
    },
    reweight(name, weight) {
      demand(name);
      if (!Number.isFinite(weight) || weight < 0)
        throw new Error(`weight of "${name}" is ${weight}; a weight is 0 or more`);
      weights.set(name, weight);
      changed();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
