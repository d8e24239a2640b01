/**
 * `matchLabelKeys` and `mismatchLabelKeys` of affinity between pods: the pod's own values of these labels, as part of the selector (In, NotIn). Upstream's API
 * server writes them into the selector when a pod is created; written twice they say the same.
 */
import type { corev1 } from '@orbitkit/core';

type Labels = Readonly<Record<string, string>>;

/** The very argument when no term names keys. */
export function withLabelKeys(affinity: corev1.Affinity | undefined, labels: Labels): corev1.Affinity | undefined {
  const { podAffinity: near, podAntiAffinity: away } = affinity ?? {};
  if (!namesKeys(near) && !namesKeys(away)) return affinity;
  return {
    ...affinity,
    ...(near ? { podAffinity: merged(near, labels) } : {}),
    ...(away ? { podAntiAffinity: merged(away, labels) } : {}),
  };
}

function namesKeys(list: corev1.PodAffinity | corev1.PodAntiAffinity | undefined): boolean {
  const named = (term: corev1.PodAffinityTerm): boolean =>
    (term.matchLabelKeys?.length ?? 0) + (term.mismatchLabelKeys?.length ?? 0) > 0;
  return (
    (list?.requiredDuringSchedulingIgnoredDuringExecution?.some(named) ||
      list?.preferredDuringSchedulingIgnoredDuringExecution?.some(each => named(each.podAffinityTerm))) ??
    false
  );
}

function merged<T extends corev1.PodAffinity | corev1.PodAntiAffinity>(list: T, labels: Labels): T {
  const {
    requiredDuringSchedulingIgnoredDuringExecution: required,
    preferredDuringSchedulingIgnoredDuringExecution: preferred,
  } = list;
  return {
    ...list,
    ...(required
      ? { requiredDuringSchedulingIgnoredDuringExecution: required.map(each => termWith(each, labels)) }
      : {}),
    ...(preferred
      ? {
          preferredDuringSchedulingIgnoredDuringExecution: preferred.map(each => ({
            ...each,
            podAffinityTerm: termWith(each.podAffinityTerm, labels),
          })),
        }
      : {}),
  };
}

function termWith(term: corev1.PodAffinityTerm, labels: Labels): corev1.PodAffinityTerm {
  const { matchLabelKeys, mismatchLabelKeys, ...rest } = term;
  const requirements = (keys: readonly string[] | undefined, operator: 'In' | 'NotIn') =>
    (keys ?? []).flatMap(key => (labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]!] }]));
  const own = [...requirements(matchLabelKeys, 'In'), ...requirements(mismatchLabelKeys, 'NotIn')];
  // Without a selector a term matches no pod, whatever the keys.
  if (!term.labelSelector || own.length === 0) return rest;
  const matchExpressions = [...(term.labelSelector.matchExpressions ?? []), ...own];
  return { ...rest, labelSelector: { ...term.labelSelector, matchExpressions } };
}
