import type { Plugin } from '../framework/plugin.js';
import { hash32, pickPlugin, podsOn } from './pick.js';

/** Two nodes at random, of which the one with fewer pods: nearly as even as looking at all, and no herd. The first of two equal ones. */
export const powerOfTwo = (options: { seed?: string; weight?: number } = {}): Plugin =>
  pickPlugin('PowerOfTwoChoices', options, (pod, nodes, cycle) => {
    const draw = (which: string) => hash32(`${options.seed ?? ''}/${pod.metadata.uid}/${which}`);
    const first = draw('first') % nodes.length;
    // Another one than the first, where there is another.
    const second = nodes.length > 1 ? (first + 1 + (draw('second') % (nodes.length - 1))) % nodes.length : first;
    const [a, b] = [nodes[first]!, nodes[second]!];
    return podsOn(b, cycle) < podsOn(a, cycle) ? b : a;
  });
