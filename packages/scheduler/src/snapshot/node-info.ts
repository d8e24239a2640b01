/** A node as plugins see it: the object, the pods that are on it (bound or assumed), and the sums. Sums follow the pods; the object is the API's. */
import type { Node, Pod } from '@orbitkit/core';
import type { Amounts } from './resources.js';

/** One node; read-only for plugins. */
export interface NodeInfo {
  readonly name: string;
  /** Its place in the columns of the cluster state. */
  readonly slot: number;
  readonly node: Node;
  readonly pods: readonly Pod[];
  /** `cpu` in thousandths of a core, bytes, units. */
  readonly allocatable: Amounts;
  readonly requested: Amounts;
  /** `cpu` and `memory` as they count when nodes are compared: pods that ask for nothing count too. */
  readonly scoring: Amounts;
  /** Share of the allocatable that is requested, 0…1 (above 1 when overcommitted). */
  readonly load: { readonly cpu: number; readonly memory: number };
}

/** Ready by its own word, and not closed to new pods. */
export function isUsable(node: Node): boolean {
  return !node.spec.unschedulable && isReady(node);
}

/** Whether the node says that it is. */
export function isReady(node: Node): boolean {
  return node.status.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True') ?? false;
}
