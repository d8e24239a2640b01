/** Conditions of a definition. The time of transition is that of the last change of the condition's status. */
import type { apiextensionsv1 } from '@orbitkit/core';

type Status = apiextensionsv1.CustomResourceDefinitionStatus;
type Condition = apiextensionsv1.CustomResourceDefinitionCondition;

/** A copy with the condition set; the very argument when it says so already. */
export function withCondition(status: Status, condition: Condition): Status {
  const conditions = status.conditions ?? [];
  const known = conditions.find(each => each.type === condition.type);
  if (
    known &&
    known.status === condition.status &&
    known.reason === condition.reason &&
    known.message === condition.message
  )
    return status;
  const { lastTransitionTime } = known?.status === condition.status ? known : condition;
  const next = lastTransitionTime === undefined ? condition : { ...condition, lastTransitionTime };
  return {
    ...status,
    conditions: known ? conditions.map(each => (each === known ? next : each)) : [...conditions, next],
  };
}

export function withoutCondition(status: Status, type: string): Status {
  if (!status.conditions?.some(each => each.type === type)) return status;
  return { ...status, conditions: status.conditions.filter(each => each.type !== type) };
}
