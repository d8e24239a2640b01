/**
 * Conditions: what is true of an object, one entry a type. Functions are pure: the array that comes in is not changed,
 * and the same array comes back when nothing changed, so that `===` tells whether to write.
 *
 * `lastTransitionTime` moves only when `status` changes (API conventions, `meta.SetStatusCondition`).
 */
import { formatTime } from './time.js';

/** `metav1.Condition`, and the older conditions that have less. */
export interface ConditionLike {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  observedGeneration?: number;
}

/** The entry of this type, if there is one. */
export function findCondition<C extends { type: string }>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find(condition => condition.type === type);
}

/** Whether there is an entry of this type whose status is `True`. */
export function isConditionTrue(
  conditions: readonly { type: string; status: string }[] | undefined,
  type: string,
): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/** @param now Milliseconds since 1970; stamps a new condition and a change of status. */
export function setCondition<C extends ConditionLike>(conditions: readonly C[] | undefined, next: C, now: number): C[] {
  const before = findCondition(conditions, next.type);
  if (!before) {
    return [...(conditions ?? []), { ...next, lastTransitionTime: next.lastTransitionTime ?? formatTime(now) }];
  }
  const lastTransitionTime =
    before.status === next.status ? before.lastTransitionTime : (next.lastTransitionTime ?? formatTime(now));
  const after: C = { ...before, ...next, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) };
  const keys = Object.keys(after) as (keyof C)[];
  if (keys.every(key => before[key] === after[key])) return conditions as C[];
  return conditions!.map(condition => (condition === before ? after : condition));
}

/** Without the entry of this type; the same array when there is none. */
export function removeCondition<C extends { type: string }>(conditions: readonly C[] | undefined, type: string): C[] {
  if (!findCondition(conditions, type)) return (conditions ?? []) as C[];
  return conditions!.filter(condition => condition.type !== type);
}
