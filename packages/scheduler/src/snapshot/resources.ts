/**
 * Amounts of resources as numbers: CPU in thousandths of a core, memory and storage in bytes, the rest in units.
 *
 * A pod's request is the larger of (sum of its containers plus restartable init containers) and each init container in
 * its turn, plus overhead: kube-scheduler's and the API documentation's rule for init containers.
 */
import { type Pod, Quantity } from '@orbitkit/core';

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

function addTo(total: Map<string, number>, amounts: Amounts, sign: 1 | -1 = 1): void {
  for (const [resource, amount] of amounts) total.set(resource, (total.get(resource) ?? 0) + sign * amount);
}

function raiseTo(total: Map<string, number>, amounts: Amounts): void {
  for (const [resource, amount] of amounts) total.set(resource, Math.max(total.get(resource) ?? 0, amount));
}

/** What the pod asks for. Without a request a container counts as nothing here (it is best effort). */
export function requestsOf(pod: Pod): Map<string, number> {
  const spec = pod.spec;
  const total = new Map<string, number>();
  for (const container of spec.containers) addTo(total, amountsOf(container.resources?.requests));
  const sidecars = new Map<string, number>();
  const initial = new Map<string, number>();
  for (const container of spec.initContainers ?? []) {
    const own = amountsOf(container.resources?.requests);
    if (container.restartPolicy === 'Always') {
      addTo(total, own);
      addTo(sidecars, own);
      raiseTo(initial, sidecars);
    } else {
      addTo(own, sidecars);
      raiseTo(initial, own);
    }
  }
  raiseTo(total, initial);
  addTo(total, amountsOf(spec.overhead));
  return total;
}

/** What a container without a request counts as when nodes are compared: 100 thousandths of a core, 200 MiB (kube-scheduler `GetNonzeroRequests`). */
const assumed: ReadonlyMap<string, number> = new Map([
  ['cpu', 100],
  ['memory', 200 * 1024 * 1024],
]);

/** Requests for scoring: containers that ask for nothing count all the same, so that they spread. */
export function scoringRequestsOf(pod: Pod): Map<string, number> {
  const total = new Map<string, number>();
  for (const container of pod.spec.containers) {
    const own = amountsOf(container.resources?.requests);
    for (const [resource, amount] of assumed)
      total.set(resource, (total.get(resource) ?? 0) + (own.get(resource) ?? amount));
  }
  return total;
}
