/**
 * Amounts of resources as numbers: CPU in thousandths of a core, memory and storage in bytes, the rest in units.
 *
 * A pod's request is the larger of (sum of its containers plus restartable init containers) and each init container in
 * its turn, or what the pod asks for as a whole, plus overhead: the API documentation's rules for init containers, sidecars and pod-level resources.
 */
import { type corev1, type Pod, Quantity } from '@orbitkit/core';

export type Amounts = ReadonlyMap<string, number>;

const milli = 'cpu';

function amountOf(resource: string, text: string | number): number {
  const quantity = Quantity.parse(text);
  return resource === milli ? Number(quantity.milliValue()) : Number(quantity.value());
}

export function amountsOf(list: Record<string, string | number> | undefined): Map<string, number> {
  const amounts = new Map<string, number>();
  for (const [resource, text] of Object.entries(list ?? {})) amounts.set(resource, amountOf(resource, text));
  return amounts;
}

function addTo(total: Map<string, number>, amounts: Amounts): void {
  for (const [resource, amount] of amounts) total.set(resource, (total.get(resource) ?? 0) + amount);
}

function raiseTo(total: Map<string, number>, amounts: Amounts): void {
  for (const [resource, amount] of amounts) total.set(resource, Math.max(total.get(resource) ?? 0, amount));
}

/** What the pod asks for. Without a request a container counts as nothing here (it is best effort). */
export const requestsOf = (pod: Pod): Map<string, number> => sumOf(pod, nothing);

/** What a container without a request counts as when nodes are compared: 100 thousandths of a core, 200 MiB (kube-scheduler `GetNonzeroRequests`). */
const assumed: Amounts = new Map([
  ['cpu', 100],
  ['memory', 200 * 1024 * 1024],
]);
const nothing: Amounts = new Map();

/** Requests for scoring: containers that ask for nothing count all the same, so that they spread. */
export const scoringRequestsOf = (pod: Pod): Map<string, number> => sumOf(pod, assumed);

function sumOf({ spec }: Pod, missing: Amounts): Map<string, number> {
  const own = ({ resources }: corev1.Container): Map<string, number> => {
    const amounts = amountsOf(resources?.requests);
    for (const [resource, amount] of missing) if (!amounts.has(resource)) amounts.set(resource, amount);
    return amounts;
  };
  const total = new Map<string, number>();
  for (const container of spec.containers) addTo(total, own(container));
  const sidecars = new Map<string, number>();
  const initial = new Map<string, number>();
  for (const container of spec.initContainers ?? []) {
    const amounts = own(container);
    if (container.restartPolicy === 'Always') {
      addTo(total, amounts);
      addTo(sidecars, amounts);
      raiseTo(initial, sidecars);
    } else {
      addTo(amounts, sidecars);
      raiseTo(initial, amounts);
    }
  }
  raiseTo(total, initial);
  // What is asked for the pod as a whole counts in the place of its containers' sum.
  for (const [resource, amount] of amountsOf(spec.resources?.requests))
    if (resource === 'cpu' || resource === 'memory' || resource.startsWith('hugepages-')) total.set(resource, amount);
  addTo(total, amountsOf(spec.overhead));
  return total;
}
