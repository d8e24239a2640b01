/**
 * Policies of a comparison: a name and the plugins of one run, made anew for each since they have state; and those that scenario files call by name.
 *
 * Every named policy has kube-scheduler's filters. `default`, `mostAllocated` and `minik8s` are whole profiles; of the others the named plugin alone
 * decides among the nodes that are left. A simulation lends no client: plugins that ask the API for more (metrics, pod groups) get none of it; groups by
 * annotation work.
 */
import type { Plugin } from '../framework/plugin.js';
import { acceleratorPacking } from '../plugins/accelerator-packing.js';
import { balancedAllocation } from '../plugins/balanced-allocation.js';
import { consistentHash } from '../plugins/consistent-hash.js';
import { gang } from '../plugins/gang.js';
import { leastConnections } from '../plugins/least-connections.js';
import { loadVariationRisk } from '../plugins/load-variation-risk.js';
import { powerOfTwo } from '../plugins/power-of-two.js';
import { randomNode } from '../plugins/random-node.js';
import { resourceFit } from '../plugins/resource-fit.js';
import { targetLoadPacking } from '../plugins/target-load-packing.js';
import { weightedRoundRobin } from '../plugins/weighted-round-robin.js';
import { defaultPlugins, miniK8sPlugins, withoutScore } from '../profiles.js';
import type { NodeLoads } from '../snapshot/node-loads.js';

/** What a run lends its plugins. */
export interface Lent {
  readonly seed: number;
  /** What nodes really use, sampled in virtual time as a metrics server would. */
  readonly loads: NodeLoads;
}

/** One competitor of a comparison. */
export interface Policy {
  readonly name: string;
  /** Called once for each run. */
  plugins(lent: Lent): readonly Plugin[];
  /** As of a profile. */
  readonly percentageOfNodesToScore?: number;
}

const alone = (plugin: Plugin): Plugin[] => [...defaultPlugins().map(withoutScore), plugin];
const inPlace = (plugin: Plugin): Plugin[] => defaultPlugins().map(each => (each.name === plugin.name ? plugin : each));

const named = {
  default: () => defaultPlugins(),
  leastAllocated: () => alone({ ...resourceFit(), name: 'LeastAllocated' }),
  mostAllocated: () =>
    inPlace(resourceFit({ scoringStrategy: { type: 'MostAllocated' } })).filter(
      each => each.name !== 'NodeResourcesBalancedAllocation',
    ),
  balancedAllocation: () => alone({ ...balancedAllocation(), name: 'BalancedAllocation' }),
  minik8s: () => miniK8sPlugins(),
  roundRobin: () => miniK8sPlugins(),
  weightedRoundRobin: () => alone(weightedRoundRobin()),
  leastConnections: () => alone(leastConnections()),
  powerOfTwo: ({ seed }: Lent) => alone(powerOfTwo({ seed: `${seed}` })),
  random: ({ seed }: Lent) => alone(randomNode({ seed: `${seed}` })),
  consistentHash: () => alone(consistentHash()),
  acceleratorPacking: () => [...defaultPlugins(), acceleratorPacking({ weight: 10 })],
  targetLoadPacking: ({ loads }: Lent) => alone(targetLoadPacking({ loads })),
  loadVariationRisk: ({ loads }: Lent) => alone(loadVariationRisk({ loads })),
} satisfies Record<string, (lent: Lent) => readonly Plugin[]>;

/** A policy that is there by name. */
export type PolicyName = keyof typeof named;
/** All of them. */
export const policyNames = Object.keys(named) as [PolicyName, ...PolicyName[]];

/** What differs from the named policy. */
export interface NamedPolicyOptions {
  /** Default: that of the policy. */
  readonly name?: string;
  /** Place groups all or none. */
  readonly gang?: boolean;
  /** Plugins to leave out, and weights, by plugin name. */
  readonly without?: readonly string[];
  readonly weights?: Readonly<Record<string, number>>;
  /** As of a profile. */
  readonly percentageOfNodesToScore?: number;
}

/** @throws Error when `without` or `weights` name a plugin that the policy does not have. */
export function namedPolicy(policy: PolicyName, options: NamedPolicyOptions = {}): Policy {
  const { name = policy, gang: gangs, without = [], weights = {}, percentageOfNodesToScore } = options;
  return {
    name,
    ...(percentageOfNodesToScore ? { percentageOfNodesToScore } : {}),
    plugins(lent) {
      const all = [...named[policy](lent), ...(gangs ? [gang()] : [])];
      const known = new Set(all.map(each => each.name));
      for (const wanted of [...without, ...Object.keys(weights)])
        if (!known.has(wanted))
          throw new Error(`policy "${name}" has no plugin "${wanted}"; it has ${[...known].join(', ')}`);
      return all
        .filter(each => !without.includes(each.name))
        .map(each => (weights[each.name] === undefined ? each : { ...each, weight: weights[each.name]! }));
    },
  };
}
