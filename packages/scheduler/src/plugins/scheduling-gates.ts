import type { Plugin } from '../framework/plugin.js';

/** A pod with scheduling gates waits until they are removed. */
export const schedulingGates = (): Plugin => ({
  name: 'SchedulingGates',
  events: [],
  preEnqueue(pod) {
    const gates = pod.spec.schedulingGates ?? [];
    if (gates.length === 0) return undefined;
    return { reasons: [`waiting for scheduling gates: ${gates.map(gate => gate.name).join(', ')}`] };
  },
});
