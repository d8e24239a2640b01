import type { Plugin } from '../framework/plugin.js';

/** Higher priority first, then first come first served. */
export const prioritySort = (): Plugin => ({
  name: 'PrioritySort',
  events: [],
  less: (a, b) => b.priority - a.priority || a.sequence - b.sequence,
});
