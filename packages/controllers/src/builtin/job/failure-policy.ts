/**
 * What a failed pod means under a Job's `podFailurePolicy`: the first rule that matches decides; without a match the failure counts.
 * Source of the rules: batch/v1 API documentation, kube-controller-manager `pod_failure_policy.go`.
 */
import type { batchv1 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { PodView } from '../../pods/pod-state.js';

export type FailureAction = batchv1.PodFailurePolicyRule['action'];

export interface FailureVerdict {
  action: FailureAction;
  /** For people, when a rule matched. */
  message?: string;
}

type Policy = DeepReadonly<batchv1.PodFailurePolicy>;
type Rule = Policy['rules'][number];

export function failureVerdict(policy: Policy | undefined, pod: PodView): FailureVerdict {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const cause = matchedBy(rule, pod);
    if (cause === undefined) continue;
    return { action: rule.action, message: `${cause} matching ${rule.action} rule at index ${index}` };
  }
  return { action: 'Count' };
}

function matchedBy(rule: Rule, pod: PodView): string | undefined {
  const { onExitCodes, onPodConditions = [] } = rule;
  const who = `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    const statuses = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
    for (const { name, state } of statuses) {
      const exitCode = state?.terminated?.exitCode ?? 0;
      // A container that ended well says nothing about a failure.
      if (exitCode === 0 || (containerName !== undefined && containerName !== name)) continue;
      if (values.includes(exitCode) === (operator === 'In'))
        return `Container ${name} for ${who} failed with exit code ${exitCode}`;
    }
    return undefined;
  }
  for (const { type, status } of onPodConditions) {
    const found = pod.status.conditions?.find(condition => condition.type === type);
    if (found?.status === status) return `Pod ${pod.metadata.namespace}/${pod.metadata.name} has condition ${type}`;
  }
  return undefined;
}
