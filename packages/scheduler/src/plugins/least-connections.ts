import type { Plugin } from '../framework/plugin.js';
import { pickPlugin, podsOn } from './pick.js';

/** The node with the fewest pods; the first of equal ones. */
export const leastConnections = (options: { weight?: number } = {}): Plugin =>
  pickPlugin('LeastConnections', options, (_pod, nodes, cycle) =>
    nodes.reduce((best, each) => (podsOn(each, cycle) < podsOn(best, cycle) ? each : best)),
  );
