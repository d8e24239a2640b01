/**
 * What a pod asks for as a whole: its containers together, or its init containers one after the other where that is more; sidecars (init
 * containers that are restarted) count from their start on; overhead comes on top. Source: component-helpers `resource` (v0.33).
 */
import type { corev1 } from '../kinds/generated/types/index.js';
import { Quantity } from '../meta/quantity.js';

type Amounts = Map<string, Quantity>;

function add(to: Amounts, amounts: object | undefined): void {
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    const quantity = Quantity.parse(amount as string);
    to.set(name, to.get(name)?.add(quantity) ?? quantity);
  }
}

function atLeast(to: Amounts, amounts: Amounts): void {
  for (const [name, amount] of amounts) {
    const known = to.get(name);
    if (known === undefined || known.compare(amount) < 0) to.set(name, amount);
  }
}

function total({ spec }: corev1.Pod, kind: 'requests' | 'limits'): Amounts {
  const sum: Amounts = new Map();
  for (const { resources } of spec.containers ?? []) add(sum, resources?.[kind]);
  const sidecars: Amounts = new Map();
  const starting: Amounts = new Map();
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    if (restartPolicy === 'Always') {
      add(sum, resources?.[kind]);
      add(sidecars, resources?.[kind]);
      atLeast(starting, sidecars);
    } else {
      const moment: Amounts = new Map(sidecars);
      add(moment, resources?.[kind]);
      atLeast(starting, moment);
    }
  }
  atLeast(sum, starting);
  if (spec.overhead) {
    if (kind === 'requests') add(sum, spec.overhead);
    else add(sum, Object.fromEntries(Object.entries(spec.overhead).filter(([name]) => sum.has(name))));
  }
  return sum;
}

/** What is requested and what is the limit, by resource name. A resource that nobody names is absent. */
export const podAmounts = (pod: corev1.Pod): { requests: Amounts; limits: Amounts } => ({
  requests: total(pod, 'requests'),
  limits: total(pod, 'limits'),
});
