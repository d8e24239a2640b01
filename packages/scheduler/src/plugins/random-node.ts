import type { Plugin } from '../framework/plugin.js';
import { hash32, pickPlugin } from './pick.js';

/** Any node that can take the pod, by the seed and the pod's uid: the same again when asked again. */
export const randomNode = (options: { seed?: string; weight?: number } = {}): Plugin =>
  pickPlugin(
    'Random',
    options,
    (pod, nodes) => nodes[hash32(`${options.seed ?? ''}/${pod.metadata.uid}`) % nodes.length]!,
  );
