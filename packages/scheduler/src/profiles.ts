/** Ready-made profiles: Kubernetes' default rules, and the round robin of the MiniK8s systems. */
import type { Plugin } from './framework/plugin.js';
import { nodeAffinity } from './plugins/node-affinity.js';
import { nodeName } from './plugins/node-name.js';
import { nodePorts } from './plugins/node-ports.js';
import { nodeUsable } from './plugins/node-usable.js';
import { podAntiAffinity } from './plugins/pod-anti-affinity.js';
import { resourceFit } from './plugins/resource-fit.js';
import { type RoundRobinOptions, roundRobin } from './plugins/round-robin.js';
import { schedulingGates } from './plugins/scheduling-gates.js';
import { taintToleration } from './plugins/taint-toleration.js';
import { unsupported } from './plugins/unsupported.js';

/** In kube-scheduler's order: cheap and decisive filters first. */
export const defaultPlugins = (): Plugin[] => [
  schedulingGates(),
  unsupported(),
  nodeUsable(),
  nodeName(),
  taintToleration(),
  nodeAffinity(),
  nodePorts(),
  resourceFit(),
  podAntiAffinity(),
];

export interface MiniK8sOptions extends RoundRobinOptions {
  /** `soft`: required anti-affinity that excludes every node is ignored, as those systems did. Default `required`. */
  antiAffinity?: 'required' | 'soft';
}

/** The same filters; round robin alone decides among the nodes that are left. */
export const miniK8sPlugins = (options: MiniK8sOptions = {}): Plugin[] => [
  schedulingGates(),
  unsupported(),
  nodeUsable(),
  nodeName(),
  withoutScore(taintToleration()),
  withoutScore(nodeAffinity()),
  nodePorts(),
  withoutScore(resourceFit()),
  withoutScore(podAntiAffinity({ soft: options.antiAffinity === 'soft' })),
  roundRobin(options),
];

/** The plugin's filters without its opinion on what is best. */
export function withoutScore(plugin: Plugin): Plugin {
  const { preScore: _preScore, score: _score, normalizeScore: _normalizeScore, ...rest } = plugin;
  return rest;
}
