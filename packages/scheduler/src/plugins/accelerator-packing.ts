/**
 * Packs accelerators, so that whole ones stay free: among nodes that can take the pod, the one with the least left.
 *
 * Whole devices are an extended resource (`nvidia.com/gpu: 2`). A share of one device is a second resource in hundredths (`orbitkit.dev/gpu-share: 25`),
 * which a node offers as 100 for each device; a share must lie on one device, so a node with 20 free on each of five devices cannot take 50. Which
 * device a pod uses is the device plugin's choice: here shares are laid out largest first on the fullest device that holds them.
 */
import type { Plugin, Refusal } from '../framework/plugin.js';
import { onPod } from '../framework/queueing-hints.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { classOf } from '../snapshot/pod-class.js';

/** Names of the resources. */
export interface AcceleratorPackingOptions {
  /** Default `nvidia.com/gpu`. */
  resource?: string;
  /** Default `orbitkit.dev/gpu-share`. */
  shareResource?: string;
  /** Of the score. Default 1. */
  weight?: number;
}

const perDevice = 100;

/** The plugin AcceleratorPacking: filters shares that fit no device, and scores. */
export const acceleratorPacking = (options: AcceleratorPackingOptions = {}): Plugin => {
  const { resource = 'nvidia.com/gpu', shareResource = 'orbitkit.dev/gpu-share' } = options;
  const scattered: Refusal = { reasons: [`Insufficient ${shareResource} on one device`] };
  /** What would be left on each device; undefined when it cannot be laid out. */
  function layout(node: NodeInfo, whole: number, share: number): number[] | undefined {
    const devices = Math.max(
      node.allocatable.get(resource) ?? 0,
      Math.floor((node.allocatable.get(shareResource) ?? 0) / perDevice),
    );
    const shares = share > 0 ? [share] : [];
    let taken = whole;
    for (const pod of node.pods) {
      const { requests } = classOf(pod);
      taken += requests.get(resource) ?? 0;
      const used = requests.get(shareResource);
      if (used) shares.push(used);
    }
    if (taken > devices) return undefined;
    const left = new Array<number>(devices - taken).fill(perDevice);
    for (const each of shares.sort((a, b) => b - a)) {
      let best = -1;
      for (let i = 0; i < left.length; i++) if (left[i]! >= each && (best < 0 || left[i]! < left[best]!)) best = i;
      if (best < 0) return undefined;
      left[best]! -= each;
    }
    return left;
  }
  return {
    name: 'AcceleratorPacking',
    weight: options.weight ?? 1,
    events: [
      'NodeAdd',
      'NodeAllocatable',
      ...onPod(['PodDelete', 'PodScaleDown'], (_pod, { before }) => {
        const freed = before && classOf(before).requests;
        return !freed || freed.has(resource) || freed.has(shareResource);
      }),
    ],
    compile(pod, snapshot) {
      const { requests } = classOf(pod);
      const whole = requests.get(resource) ?? 0;
      const share = requests.get(shareResource) ?? 0;
      if (whole + share === 0) return undefined;
      return {
        filter: {
          scope: 'node',
          passes: slot => layout(snapshot.at(slot), whole, share) !== undefined,
          refusal: () => scattered,
        },
        score: {
          scope: 'node',
          of(slot) {
            const left = layout(snapshot.at(slot), whole, share) ?? [];
            const free = left.reduce((sum, each) => sum + each, 0);
            // Whole devices that stay free count double: a broken one is worth less than its hundredths.
            return -(free + left.filter(each => each === perDevice).length * perDevice);
          },
          normalize(scores, slots) {
            let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
            for (let i = 0; i < slots.length; i++) {
              least = Math.min(least, scores[i]!);
              most = Math.max(most, scores[i]!);
            }
            for (let i = 0; i < slots.length; i++)
              scores[i] = most > least ? Math.floor((100 * (scores[i]! - least)) / (most - least)) : 0;
          },
        },
      };
    },
  };
};
