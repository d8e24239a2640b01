/**
 * The downward API's amounts: `limits.cpu`, `requests.memory` and their like, in units of a divisor, rounded up.
 *
 * A limit that is not set is what the node can give; a request that is not set is the limit, or 0 without one.
 * Source: kubernetes `pkg/api/v1/resource` (ExtractContainerResourceValue, MergeContainerResourceLimits).
 */
import { type corev1, type Pod, Quantity } from '@orbitkit/core';

export type Allocatable = Readonly<Record<string, string>>;

/** @returns undefined when the reference names no container or no resource that the downward API offers. */
export function resourceValue(
  pod: Pod,
  own: corev1.Container | undefined,
  ref: corev1.ResourceFieldSelector,
  allocatable: Allocatable,
): string | undefined {
  const container = ref.containerName
    ? [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(({ name }) => name === ref.containerName)
    : own;
  const match = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(ref.resource);
  if (!container || !match) return undefined;
  const [, side, resource] = match as unknown as [string, 'limits' | 'requests', string];
  const limit = container.resources?.limits?.[resource];
  const amount =
    side === 'limits'
      ? (limit ?? allocatable[resource] ?? 0)
      : (container.resources?.requests?.[resource] ?? limit ?? 0);
  const divisor = ref.divisor === undefined || Quantity.parse(ref.divisor).isZero() ? 1 : ref.divisor;
  return divideUp(Quantity.parse(amount), Quantity.parse(divisor), resource === 'cpu').toString();
}

/** Thousandths for processors, whole units for the rest, as upstream: a divisor of `1m` is for processors alone. */
function divideUp(amount: Quantity, divisor: Quantity, milli: boolean): bigint {
  const [value, by] = milli ? [amount.milliValue(), divisor.milliValue()] : [amount.value(), divisor.value()];
  return (value + by - 1n) / by;
}
