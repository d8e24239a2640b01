/**
 * Which nodes a pod accepts, by what it says itself: node selector, required node affinity, tolerations. The same rules for whoever decides about
 * nodes: a scheduler, a daemon set, a node's own admission. Source: the API's documentation of these fields, component-helpers `nodeaffinity`.
 */
import type * as corev1 from '../kinds/generated/types/core-v1.js';

type Read<T> = T extends (infer E)[]
  ? readonly Read<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Read<T[K]> }
    : T;

export type Toleration = Read<corev1.Toleration>;
export type Taint = Read<corev1.Taint>;
export type NodeSelectorTerm = Read<corev1.NodeSelectorTerm>;
/** As much of a node as is looked at. */
export interface SelectableNode {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

/** The API's rule: an empty key with Exists tolerates everything, an empty effect every effect. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return !!toleration.key && (toleration.value ?? '') === (taint.value ?? '');
}

/** One expression against one value. Gt and Lt compare integers; what is not one does not match. */
function matchesValue(requirement: Read<corev1.NodeSelectorRequirement>, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(values[0] ?? '')) return false;
      const difference = BigInt(value) - BigInt(values[0]!);
      return requirement.operator === 'Gt' ? difference > 0n : difference < 0n;
    }
    default:
      return false;
  }
}

/** All expressions and fields of a term hold; a term without either matches nothing (the API's rule). */
export function matchesNodeTerm(term: NodeSelectorTerm, { metadata }: SelectableNode): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length + fields.length === 0) return false;
  return (
    expressions.every(each => matchesValue(each, metadata.labels?.[each.key])) &&
    fields.every(each => each.key === 'metadata.name' && matchesValue(each, metadata.name))
  );
}

/** `spec.nodeSelector` and the required terms of node affinity, of which one must match. */
export function selectsNode(
  spec: Read<Pick<corev1.PodSpec, 'nodeSelector' | 'affinity'>>,
  node: SelectableNode,
): boolean {
  const labels = node.metadata.labels ?? {};
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some(term => matchesNodeTerm(term, node));
}
