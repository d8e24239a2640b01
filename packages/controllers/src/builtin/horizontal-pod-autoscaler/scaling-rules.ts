/**
 * How fast an autoscaler may follow what its metrics ask for: stabilisation over time, and limits to one step.
 *
 * - Without `behavior`: down to the highest recommendation of the window (300 s), up at once; a step up ends at twice the replicas, or at 4.
 * - With `behavior`: up to the lowest recommendation of the window for up (0 s), down to the highest of that for down (300 s); a step is limited
 *   by policies, each counting what changed within its period, of which the one that allows most (`Max`) or least (`Min`) holds.
 *
 * Pure: what is remembered comes in and goes out as a value. Source of the rules and constants: kube-controller-manager `horizontal.go` (1.33).
 */
import type { autoscalingv2 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

type Rules = DeepReadonly<autoscalingv2.HPAScalingRules>;
export type Behavior = DeepReadonly<autoscalingv2.HorizontalPodAutoscalerBehavior>;

/** What an autoscaler remembers between two looks. It is not stored: one that starts anew remembers the present size as its recommendation. */
export interface ScalingMemory {
  readonly recommendations: readonly { readonly at: number; readonly replicas: number }[];
  readonly ups: readonly ScaleChange[];
  readonly downs: readonly ScaleChange[];
  /** When the target was scaled last. */
  readonly lastScaleAt?: number;
}
interface ScaleChange {
  readonly at: number;
  /** Replicas that were added, or taken away. */
  readonly count: number;
}

export const newMemory = (replicas: number, now: number): ScalingMemory => ({
  recommendations: [{ at: now, replicas }],
  ups: [],
  downs: [],
});

/** Defaults of autoscaling/v2; the API server fills them in as well. */
export const defaultScaleUp: Rules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};
export const defaultScaleDown: Rules = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

/** Between what and how fast a target may move. `now` is in milliseconds since 1970. */
export interface ScalingBounds {
  readonly current: number;
  readonly min: number;
  readonly max: number;
  readonly behavior: Behavior | undefined;
  /** Of a scale down that says nothing itself. */
  readonly downscaleStabilizationMs: number;
  readonly now: number;
}

interface Said {
  readonly replicas: number;
  readonly reason: string;
  readonly message: string;
}

const higher = 'recent recommendations were higher than current one, applying the highest recent recommendation';
const lower = 'recent recommendations were lower than current one, applying the lowest recent recommendation';

/** Smooths a recommendation with those before it. @returns with the memory that has it. */
export function stabilized(
  wanted: number,
  bounds: ScalingBounds,
  memory: ScalingMemory,
): Said & { memory: ScalingMemory } {
  const { current, behavior, now, downscaleStabilizationMs } = bounds;
  const upMs = (behavior?.scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downSeconds = behavior?.scaleDown?.stabilizationWindowSeconds;
  const downMs = downSeconds === undefined ? downscaleStabilizationMs : downSeconds * 1000;
  let [up, down] = [wanted, wanted];
  for (const { at, replicas } of memory.recommendations) {
    if (at > now - upMs) up = Math.min(up, replicas);
    // The window is closed without behaviour, and open with it.
    if (at > now - downMs || (!behavior && at === now - downMs)) down = Math.max(down, replicas);
  }
  const replicas = behavior ? Math.min(Math.max(current, up), down) : down;
  const kept = memory.recommendations.filter(({ at }) => at >= now - Math.max(upMs, downMs));
  const next = { ...memory, recommendations: [...kept, { at: now, replicas: wanted }] };
  if (replicas === wanted) {
    return { replicas, reason: 'ReadyForNewScale', message: 'recommended size matches current size', memory: next };
  }
  const rising = behavior !== undefined && wanted >= current;
  return {
    replicas,
    reason: rising ? 'ScaleUpStabilized' : 'ScaleDownStabilized',
    message: rising ? lower : higher,
    memory: next,
  };
}

export const withinRange: Omit<Said, 'replicas'> = {
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
};
const tooMany: Omit<Said, 'replicas'> = {
  reason: 'TooManyReplicas',
  message: 'the desired replica count is more than the maximum replica count',
};
const tooFew: Omit<Said, 'replicas'> = {
  reason: 'TooFewReplicas',
  message: 'the desired replica count is less than the minimum replica count',
};
const tooFast: Omit<Said, 'replicas'> = {
  reason: 'ScaleUpLimit',
  message: 'the desired replica count is increasing faster than the maximum scale rate',
};
const tooFastDown: Omit<Said, 'replicas'> = {
  reason: 'ScaleDownLimit',
  message: 'the desired replica count is decreasing faster than the maximum scale rate',
};

/** How far one step may go towards what is wanted. */
export type Pace = (wanted: number, bounds: ScalingBounds, memory: ScalingMemory) => Said;

/** Upstream's: what policies allow within their periods. */
export const byPolicies: Pace = (wanted, { current, min, max, behavior, now }, memory) => {
  if (!behavior) {
    const fastest = Math.max(2 * current, 4);
    const most = Math.min(max, fastest);
    if (wanted < min) return { replicas: min, ...tooFew };
    if (wanted > most) return { replicas: most, ...(max > fastest ? tooFast : tooMany) };
    return { replicas: wanted, ...withinRange };
  }
  if (wanted > current) {
    const fastest = Math.max(current, stepLimit('up', current, behavior.scaleUp ?? defaultScaleUp, memory, now));
    const most = Math.min(max, fastest);
    if (wanted > most) return { replicas: most, ...(max > fastest ? tooFast : tooMany) };
  } else if (wanted < current) {
    const fastest = Math.min(current, stepLimit('down', current, behavior.scaleDown ?? defaultScaleDown, memory, now));
    const least = Math.max(min, fastest);
    if (wanted < least) return { replicas: least, ...(min < fastest ? tooFastDown : tooFew) };
  }
  return { replicas: wanted, ...withinRange };
};

/** How far policies let a step go. */
function stepLimit(
  direction: 'up' | 'down',
  current: number,
  { selectPolicy = 'Max', policies = [] }: Rules,
  { ups, downs }: ScalingMemory,
  now: number,
): number {
  if (selectPolicy === 'Disabled') return current;
  const changed = (changes: readonly ScaleChange[], periodSeconds: number) =>
    changes.reduce((sum, { at, count }) => (at > now - periodSeconds * 1000 ? sum + count : sum), 0);
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const before = current - changed(ups, periodSeconds) + changed(downs, periodSeconds);
    // Rounded away from no change at all: one pod plus 10 % is two pods.
    if (direction === 'up') return type === 'Pods' ? before + value : Math.ceil(before * (1 + value / 100));
    return type === 'Pods' ? before - value : Math.trunc(before * (1 - value / 100));
  });
  const furthest = (selectPolicy === 'Max') === (direction === 'up');
  return furthest ? Math.max(...limits) : Math.min(...limits);
}

/** Notes a change that was made; what no policy asks about any more is dropped. */
export function remembered(
  memory: ScalingMemory,
  behavior: Behavior | undefined,
  from: number,
  to: number,
  now: number,
): ScalingMemory {
  if (from === to) return memory;
  if (!behavior) return { ...memory, lastScaleAt: now };
  const rules = [behavior.scaleUp ?? defaultScaleUp, behavior.scaleDown ?? defaultScaleDown];
  const longest = Math.max(
    0,
    ...rules.flatMap(({ policies = [] }) => policies.map(({ periodSeconds }) => periodSeconds)),
  );
  const add = (changes: readonly ScaleChange[], count: number) => {
    const kept = changes.filter(({ at }) => at > now - longest * 1000);
    return count > 0 ? [...kept, { at: now, count }] : kept;
  };
  return { ...memory, ups: add(memory.ups, to - from), downs: add(memory.downs, from - to), lastScaleAt: now };
}
