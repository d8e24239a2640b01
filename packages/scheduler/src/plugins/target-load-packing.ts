/**
 * Packs nodes up to a target of CPU load and spreads beyond it, by what nodes really use. With U = predicted load of the node in percent, the pod
 * and not yet visible pods counted, and target T: U ≤ T: (100 − T)·U/T + T; U ≤ 100: T·(100 − U)/(100 − T); beyond, or load unknown: 0.
 * A pod is predicted at its CPU limit, or 1.5 times its request, or 1 core. `hotSpot` refuses nodes that would pass it: a filter, so that a burst of
 * pods cannot herd there between two samples. Source: scheduler-plugins' TargetLoadPacking (KEP 61).
 */
import { type corev1, type Pod, Quantity } from '@orbitkit/core';
import type { Plugin, Refusal } from '../framework/plugin.js';
import { NodeLoads } from '../snapshot/node-loads.js';

/** `loads` may be shared with other plugins; default: its own, fed from metrics.k8s.io. */
export interface TargetLoadPackingOptions {
  /** Percent. Default 40. */
  target?: number;
  /** Thousandths of a core that a container without requests is taken for. Default 1,000. */
  defaultRequest?: number;
  /** Of the request, for containers without a limit. Default 1.5. */
  multiplier?: number;
  /** Percent of predicted load beyond which a node takes no pod. Default: none. */
  hotSpot?: number;
  loads?: NodeLoads;
  /** Of the score. Default 1. */
  weight?: number;
}

/** @throws Error for a target outside 1…99, or a hot spot of 0 or less. */
export const targetLoadPacking = (options: TargetLoadPackingOptions = {}): Plugin => {
  const { target = 40, defaultRequest = 1_000, multiplier = 1.5, hotSpot, loads = new NodeLoads() } = options;
  if (!(target > 0 && target < 100)) throw new Error(`target is ${target}; give a percentage between 0 and 100`);
  if (hotSpot !== undefined && !(hotSpot > 0)) throw new Error(`hotSpot is ${hotSpot}; give a percentage above 0`);
  const hot: Refusal = { reasons: ['node(s) would be a hot spot'] };
  const predictions = new WeakMap<Pod, number>();
  const predicted = (pod: Pod): number => {
    let sum = predictions.get(pod);
    if (sum === undefined) {
      sum = pod.spec.containers.reduce((total, each) => total + predict(each, defaultRequest, multiplier), 0);
      predictions.set(pod, sum);
    }
    return sum;
  };
  /** Percent; undefined when the load is unknown. */
  const loadWith = (pod: Pod, node: string, total: number): number | undefined => {
    const load = loads.of(node);
    return load && total > 0 ? ((load.cpu + loads.coming(node) + predicted(pod)) / total) * 100 : undefined;
  };
  return {
    name: 'TargetLoadPacking',
    weight: options.weight ?? 1,
    events: ['NodeAdd', 'NodeMetrics', 'PodDelete'],
    attach: handle => loads.feed(handle),
    ...(hotSpot !== undefined
      ? {
          filter: (pod: Pod, node) =>
            (loadWith(pod, node.name, node.allocatable.get('cpu') ?? 0) ?? 0) > hotSpot ? hot : undefined,
        }
      : {}),
    score(pod, node) {
      const load = loadWith(pod, node.name, node.allocatable.get('cpu') ?? 0);
      return load === undefined ? 0 : packingScore(load, target);
    },
    reserve: (pod, node) => loads.placed(pod, node, predicted(pod)),
    unreserve: (pod, node) => loads.displaced(pod, node),
  };
};

/** Both in percent. */
export function packingScore(load: number, target: number): number {
  if (load > 100) return 0;
  if (load > target) return Math.round((target * (100 - load)) / (100 - target));
  return Math.round(((100 - target) * load) / target + target);
}

function predict({ resources }: corev1.Container, defaultRequest: number, multiplier: number): number {
  const millis = (text: string | number) => Number(Quantity.parse(text).milliValue());
  const limit = resources?.limits?.['cpu'];
  if (limit !== undefined) return millis(limit);
  const request = resources?.requests?.['cpu'];
  return request !== undefined ? Math.round(millis(request) * multiplier) : defaultRequest;
}
