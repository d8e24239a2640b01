/** Which pods a quota is about: `spec.scopes` and `spec.scopeSelector`. Source: kubernetes `pkg/quota/v1/evaluator/core/pods.go` (v0.33). */
import type { corev1 } from '../kinds/generated/types/index.js';

type Requirement = corev1.ScopedResourceSelectorRequirement;

const requirementsOf = ({ scopes, scopeSelector }: corev1.ResourceQuotaSpec): readonly Requirement[] => [
  ...(scopes ?? []).map(scopeName => ({ scopeName, operator: 'Exists' }) as Requirement),
  ...(scopeSelector?.matchExpressions ?? []),
];

/** A quota without scopes is about everything; one with scopes is about pods alone. */
export const isScoped = (spec: corev1.ResourceQuotaSpec): boolean => requirementsOf(spec).length > 0;

export function matchesScopes(spec: corev1.ResourceQuotaSpec, pod: corev1.Pod): boolean {
  return requirementsOf(spec).every(requirement => matches(requirement, pod));
}

function matches({ scopeName, operator, values }: Requirement, pod: corev1.Pod): boolean {
  switch (scopeName) {
    case 'Terminating':
      return pod.spec.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.spec.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return isBestEffort(pod);
    case 'NotBestEffort':
      return !isBestEffort(pod);
    case 'PriorityClass': {
      const name = pod.spec.priorityClassName ?? '';
      if (operator === 'Exists') return name !== '';
      if (operator === 'DoesNotExist') return name === '';
      return (values ?? []).includes(name) === (operator === 'In');
    }
    case 'CrossNamespacePodAffinity':
      return crossesNamespaces(pod);
    default:
      return false;
  }
}

function isBestEffort({ spec }: corev1.Pod): boolean {
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].every(({ resources }) =>
    [resources?.requests, resources?.limits].every(
      each => each?.['cpu'] === undefined && each?.['memory'] === undefined,
    ),
  );
}

function crossesNamespaces({ spec }: corev1.Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap(each => [
    ...(each?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(each?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(weighted => weighted.podAffinityTerm),
  ]);
  return terms.some(term => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined);
}
