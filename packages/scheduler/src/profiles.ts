/** Ready-made profiles: kube-scheduler's default plugins under their names and weights, and the round robin of the MiniK8s systems. */
import type { Plugin } from './framework/plugin.js';
import { balancedAllocation } from './plugins/balanced-allocation.js';
import { defaultPreemption } from './plugins/default-preemption.js';
import { imageLocality } from './plugins/image-locality.js';
import { interPodAffinity } from './plugins/inter-pod-affinity.js';
import { nodeAffinity } from './plugins/node-affinity.js';
import { nodeName } from './plugins/node-name.js';
import { nodePorts } from './plugins/node-ports.js';
import { nodeReady } from './plugins/node-ready.js';
import { nodeUnschedulable } from './plugins/node-unschedulable.js';
import { nodeVolumeLimits } from './plugins/node-volume-limits.js';
import { prioritySort } from './plugins/priority-sort.js';
import { resourceFit } from './plugins/resource-fit.js';
import { type RoundRobinOptions, roundRobin } from './plugins/round-robin.js';
import { schedulingGates } from './plugins/scheduling-gates.js';
import { taintToleration } from './plugins/taint-toleration.js';
import { topologySpread } from './plugins/topology-spread.js';
import { volumeBinding } from './plugins/volume-binding.js';
import { volumeRestrictions } from './plugins/volume-restrictions.js';
import { volumeZone } from './plugins/volume-zone.js';

/** In kube-scheduler's order; NodeReady is ours. */
export const defaultPlugins = (): Plugin[] => [
  prioritySort(),
  schedulingGates(),
  nodeReady(),
  nodeUnschedulable(),
  nodeName(),
  taintToleration(),
  nodeAffinity(),
  nodePorts(),
  resourceFit(),
  volumeRestrictions(),
  nodeVolumeLimits(),
  volumeBinding(),
  volumeZone(),
  topologySpread(),
  interPodAffinity(),
  defaultPreemption(),
  balancedAllocation(),
  imageLocality(),
];

/** As of the round robin, and how anti-affinity is read. */
export interface MiniK8sOptions extends RoundRobinOptions {
  /** `soft`: required anti-affinity that excludes every node is ignored, as those systems did. Default `required`. */
  antiAffinity?: 'required' | 'soft';
}

/** The same filters; round robin alone decides among the nodes that are left. */
export const miniK8sPlugins = (options: MiniK8sOptions = {}): Plugin[] => [
  prioritySort(),
  schedulingGates(),
  nodeReady(),
  nodeUnschedulable(),
  nodeName(),
  withoutScore(taintToleration()),
  withoutScore(nodeAffinity()),
  nodePorts(),
  withoutScore(resourceFit()),
  volumeRestrictions(),
  nodeVolumeLimits(),
  volumeBinding(),
  volumeZone(),
  withoutScore(topologySpread()),
  withoutScore(interPodAffinity({ soft: options.antiAffinity === 'soft' })),
  roundRobin(options),
];

/** The plugin's filters without its opinion on what is best. */
export function withoutScore(plugin: Plugin): Plugin {
  const { preScore: _preScore, score: _score, normalizeScore: _normalizeScore, ...rest } = plugin;
  if (!plugin.compile) return rest;
  return {
    ...rest,
    compile(pod, snapshot) {
      const rules = plugin.compile!(pod, snapshot);
      if (!rules) return undefined;
      const { score: _ruleScore, ...others } = rules;
      return others;
    },
  };
}
