/**
 * Another rule for how fast an autoscaler may go, of teaching systems that ask only when the target was scaled last: within the stabilisation
 * window after any scaling nothing changes, and a policy allows its value once its period has passed since then. Policies are looked at in
 * their order, and one whose period has not passed sets what is allowed back to nothing; without `selectPolicy` nothing is allowed at all.
 * Changes are bounded by what is allowed, then by the bounds. For `horizontalPodAutoscalers({ pace: sinceLastScale })`.
 *
 * The defaults differ from upstream's as well. Observed behaviour of the Go system "minik8s"; see scaling-rules for upstream's.
 */
import type { autoscalingv2 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import { type Pace, withinRange } from './scaling-rules.js';

type Rules = DeepReadonly<autoscalingv2.HPAScalingRules>;

const defaultUp: Rules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Percent', value: 100, periodSeconds: 60 },
    { type: 'Pods', value: 1, periodSeconds: 15 },
  ],
};
const defaultDown: Rules = {
  stabilizationWindowSeconds: 300,
  selectPolicy: 'Min',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

/** This rule as a {@link Pace}. */
export const sinceLastScale: Pace = (wanted, { current, min, max, behavior, now }, memory) => {
  const rules = wanted > current ? (behavior?.scaleUp ?? defaultUp) : (behavior?.scaleDown ?? defaultDown);
  const sinceMs = now - (memory.lastScaleAt ?? Number.NEGATIVE_INFINITY);
  const passed = (seconds = 0) => sinceMs >= seconds * 1000;
  const { selectPolicy, policies = [], stabilizationWindowSeconds } = rules;
  const stand = {
    replicas: current,
    reason: wanted > current ? 'ScaleUpLimit' : 'ScaleDownLimit',
    message: 'the target was scaled too short a time ago',
  };
  if (wanted === current) return { replicas: wanted, ...withinRange };
  if (!passed(stabilizationWindowSeconds) || selectPolicy === 'Disabled') return stand;
  let allowed = selectPolicy === 'Min' ? 2 ** 31 - 1 : 0;
  for (const { type, value, periodSeconds } of policies) {
    const change = type === 'Percent' ? Math.trunc((current * value) / 100) : value;
    if (!passed(periodSeconds)) allowed = 0;
    else if (selectPolicy === 'Max') allowed = Math.max(allowed, change);
    else if (selectPolicy === 'Min') allowed = Math.min(allowed, change);
  }
  const step = policies.length === 0 ? Number.POSITIVE_INFINITY : allowed;
  const paced = wanted > current ? Math.min(wanted, current + step) : Math.max(wanted, current - step);
  const replicas = Math.min(max, Math.max(min, paced));
  return replicas === wanted ? { replicas, ...withinRange } : { ...stand, replicas };
};
