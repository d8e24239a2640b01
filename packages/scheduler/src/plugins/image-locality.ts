/**
 * Prefers nodes that have the pod's images, large ones more, and images that many nodes have rather than one: a rare image must not draw
 * every pod to its node. Between 23 MB (0) and 1,000 MB a container (100). Source: kube-scheduler's ImageLocality.
 */
import type { Plugin } from '../framework/plugin.js';
import type { Snapshot } from '../snapshot/snapshot.js';

const megabyte = 1024 * 1024;
const least = 23 * megabyte;
const mostPerContainer = 1000 * megabyte;

interface Images {
  readonly version: number;
  /** By slot: name → bytes. */
  readonly bySlot: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly nodesWith: ReadonlyMap<string, number>;
}
const imagesOf = new WeakMap<Snapshot, Images>();

function images(snapshot: Snapshot): Images {
  let known = imagesOf.get(snapshot);
  if (known?.version === snapshot.nodesVersion) return known;
  const bySlot = new Map<number, ReadonlyMap<string, number>>();
  const nodesWith = new Map<string, number>();
  for (const { slot, node } of snapshot.nodes) {
    if (!node.status.images?.length) continue;
    const sizes = new Map<string, number>();
    for (const image of node.status.images) for (const name of image.names ?? []) sizes.set(name, image.sizeBytes ?? 0);
    for (const name of sizes.keys()) nodesWith.set(name, (nodesWith.get(name) ?? 0) + 1);
    bySlot.set(slot, sizes);
  }
  known = { version: snapshot.nodesVersion, bySlot, nodesWith };
  imagesOf.set(snapshot, known);
  return known;
}

/** The registry's default tag, so that names compare. */
function fullName(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}

/** The plugin ImageLocality. Default weight 1. */
export const imageLocality = (options: { weight?: number } = {}): Plugin => ({
  name: 'ImageLocality',
  weight: options.weight ?? 1,
  events: [],
  compile(pod, snapshot) {
    const known = images(snapshot);
    const stale = () =>
      known.version !== snapshot.nodesVersion && images(snapshot).nodesWith.size + known.nodesWith.size > 0;
    if (known.nodesWith.size === 0) return { stale };
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    const wanted = containers.map(container => fullName(container.image ?? ''));
    const most = mostPerContainer * containers.length;
    return {
      stale,
      score: {
        scope: 'object',
        of(slot) {
          const here = known.bySlot.get(slot);
          if (!here) return 0;
          let sum = 0;
          for (const name of wanted) {
            const size = here.get(name);
            if (size !== undefined) sum += Math.floor(size * (known.nodesWith.get(name)! / snapshot.order.length));
          }
          return Math.floor((100 * (Math.min(most, Math.max(least, sum)) - least)) / (most - least));
        },
      },
    };
  },
});
