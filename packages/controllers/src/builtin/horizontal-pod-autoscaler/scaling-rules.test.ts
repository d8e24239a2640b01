/** Stabilisation and pace. Rows: the documentation of horizontal pod autoscaling (configurable scaling behaviour), and minik8s beside ours. */
import { describe, expect, it } from 'vitest';
import {
  type Behavior,
  byPolicies,
  defaultScaleDown,
  defaultScaleUp,
  newMemory,
  remembered,
  type ScalingBounds,
  type ScalingMemory,
  stabilized,
} from './scaling-rules.js';
import { sinceLastScale } from './since-last-scale.js';

const now = Date.UTC(2026, 0, 1, 12);
const boundsOf = (current: number, behavior?: Behavior, more: Partial<ScalingBounds> = {}): ScalingBounds => ({
  current,
  min: 1,
  max: 100,
  behavior,
  downscaleStabilizationMs: 300_000,
  now,
  ...more,
});
const none: ScalingMemory = { recommendations: [], ups: [], downs: [] };
const defaults: Behavior = { scaleUp: defaultScaleUp, scaleDown: defaultScaleDown };
const pods = (value: number, periodSeconds = 60) => ({ type: 'Pods' as const, value, periodSeconds });
const percent = (value: number, periodSeconds = 60) => ({ type: 'Percent' as const, value, periodSeconds });

/** Sizes step by step, each after the period of its policies, until nothing changes. */
function course(from: number, to: number, behavior: Behavior, everyMs = 60_000): number[] {
  const sizes = [from];
  let memory = none;
  for (let current = from, at = now; sizes.length < 40; at += everyMs) {
    const { replicas } = byPolicies(to, boundsOf(current, behavior, { now: at }), memory);
    if (replicas === current) return sizes;
    memory = remembered(memory, behavior, current, replicas, at);
    sizes.push(replicas);
    current = replicas;
  }
  return sizes;
}

describe('policies', () => {
  const twoPolicies = [pods(4), percent(10)];
  it.each<[string, number, number, Behavior, number, string]>([
    [
      'four pods or 10 %, whichever is more: 10 % of many',
      80,
      10,
      { scaleDown: { policies: twoPolicies } },
      72,
      'ScaleDownLimit',
    ],
    ['rounded up', 72, 10, { scaleDown: { policies: twoPolicies } }, 64, 'ScaleDownLimit'],
    ['four of few', 39, 10, { scaleDown: { policies: twoPolicies } }, 35, 'ScaleDownLimit'],
    [
      'the least of both',
      80,
      10,
      { scaleDown: { policies: [pods(5), percent(10)], selectPolicy: 'Min' } },
      75,
      'ScaleDownLimit',
    ],
    ['disabled', 80, 10, { scaleDown: { ...defaultScaleDown, selectPolicy: 'Disabled' } }, 80, 'ScaleDownLimit'],
    ['disabled up', 8, 10, { scaleUp: { ...defaultScaleUp, selectPolicy: 'Disabled' } }, 8, 'ScaleUpLimit'],
    ['defaults: four pods of few', 1, 50, defaults, 5, 'ScaleUpLimit'],
    ['defaults: twice of many', 10, 50, defaults, 20, 'ScaleUpLimit'],
    ['defaults: all the way down', 50, 1, defaults, 1, 'DesiredWithinRange'],
    ['10 % of one is one', 1, 50, { scaleUp: { policies: [percent(10)] } }, 2, 'ScaleUpLimit'],
    ['one pod at a time', 5, 50, { scaleUp: { policies: [pods(1)] } }, 6, 'ScaleUpLimit'],
    ['not above the most', 90, 150, defaults, 100, 'TooManyReplicas'],
    ['not below the least', 5, 0, defaults, 1, 'TooFewReplicas'],
    ['within everything', 5, 7, defaults, 7, 'DesiredWithinRange'],
    ['no change', 5, 5, defaults, 5, 'DesiredWithinRange'],
  ])('%s: %i → %i', (_what, current, wanted, behavior, replicas, reason) => {
    expect(byPolicies(wanted, boundsOf(current, behavior), none)).toMatchObject({ replicas, reason });
  });

  it('without behaviour: twice as many, at least four, and down at once', () => {
    expect(byPolicies(50, boundsOf(1), none)).toMatchObject({ replicas: 4, reason: 'ScaleUpLimit' });
    expect(byPolicies(50, boundsOf(10), none)).toMatchObject({ replicas: 20, reason: 'ScaleUpLimit' });
    expect(byPolicies(50, boundsOf(10, undefined, { max: 15 }), none)).toMatchObject({
      replicas: 15,
      reason: 'TooManyReplicas',
    });
    expect(byPolicies(1, boundsOf(50), none)).toMatchObject({ replicas: 1, reason: 'DesiredWithinRange' });
    expect(byPolicies(0, boundsOf(50), none)).toMatchObject({ replicas: 1, reason: 'TooFewReplicas' });
  });

  it('a whole way', () => {
    expect(course(80, 10, { scaleDown: { policies: twoPolicies } })).toEqual([
      80, 72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10,
    ]);
    expect(course(1, 50, defaults)).toEqual([1, 5, 10, 20, 40, 50]);
  });

  it('count what changed in their period, in either direction', () => {
    const behavior: Behavior = { scaleUp: { policies: [pods(4, 60)] }, scaleDown: { policies: [pods(2, 60)] } };
    let memory = remembered(none, behavior, 1, 3, now - 30_000);
    expect(byPolicies(50, boundsOf(3, behavior), memory).replicas).toBe(5);
    memory = remembered(memory, behavior, 3, 5, now - 10_000);
    expect(byPolicies(50, boundsOf(5, behavior), memory).replicas).toBe(5);
    // What was added counts for those who go down: they may undo it.
    expect(byPolicies(1, boundsOf(5, behavior), memory).replicas).toBe(1);
    expect(byPolicies(50, boundsOf(5, behavior, { now: now + 30_000 }), memory).replicas).toBe(7);
    expect(byPolicies(50, boundsOf(5, behavior, { now: now + 50_000 }), memory).replicas).toBe(9);
  });

  it('forget what no policy asks about', () => {
    const behavior: Behavior = { scaleUp: { policies: [pods(4, 60)] }, scaleDown: { policies: [pods(2, 30)] } };
    const first = remembered(none, behavior, 1, 3, now - 61_000);
    expect(remembered(first, behavior, 3, 4, now)).toMatchObject({ ups: [{ count: 1 }], downs: [] });
    expect(remembered(first, behavior, 3, 2, now)).toMatchObject({ ups: [], downs: [{ count: 1 }] });
  });
});

describe('stabilisation', () => {
  const window = (up: number, down: number): Behavior => ({
    scaleUp: { ...defaultScaleUp, stabilizationWindowSeconds: up },
    scaleDown: { ...defaultScaleDown, stabilizationWindowSeconds: down },
  });
  const memoryOf = (...recommendations: [secondsAgo: number, replicas: number][]): ScalingMemory => ({
    ...none,
    recommendations: recommendations.map(([ago, replicas]) => ({ at: now - ago * 1000, replicas })),
  });
  it.each<[string, number, number, Behavior | undefined, ScalingMemory, number, string]>([
    ['the highest of five minutes', 10, 3, undefined, memoryOf([299, 7], [100, 5]), 7, 'ScaleDownStabilized'],
    ['older ones are over', 10, 3, undefined, memoryOf([301, 7], [100, 5]), 5, 'ScaleDownStabilized'],
    ['up at once', 3, 9, undefined, memoryOf([100, 2]), 9, 'ReadyForNewScale'],
    ['not above the size because of one that was higher', 3, 3, defaults, memoryOf([100, 9]), 3, 'ReadyForNewScale'],
    ['the same by behaviour', 10, 3, defaults, memoryOf([299, 7], [100, 5]), 7, 'ScaleDownStabilized'],
    ['no window', 10, 3, window(0, 0), memoryOf([10, 7]), 3, 'ReadyForNewScale'],
    ['a window of its own', 10, 3, window(0, 60), memoryOf([100, 9], [59, 5]), 5, 'ScaleDownStabilized'],
    ['up to the lowest of the window', 3, 9, window(60, 300), memoryOf([59, 5], [61, 4]), 5, 'ScaleUpStabilized'],
    ['up is held back', 3, 9, window(60, 300), memoryOf([59, 2]), 3, 'ScaleUpStabilized'],
  ])('%s: %i → %i', (_what, current, wanted, behavior, memory, replicas, reason) => {
    expect(stabilized(wanted, boundsOf(current, behavior), memory)).toMatchObject({ replicas, reason });
  });

  it('one that starts anew does not scale down before a whole window has passed', () => {
    let memory = newMemory(10, now);
    const at = (seconds: number, wanted: number) => {
      const said = stabilized(wanted, boundsOf(10, undefined, { now: now + seconds * 1000 }), memory);
      memory = said.memory;
      return said.replicas;
    };
    expect([at(15, 3), at(285, 3), at(301, 3)]).toEqual([10, 10, 3]);
  });

  it('keeps no more than its windows need', () => {
    let memory = newMemory(10, now);
    for (let i = 1; i <= 1000; i++)
      memory = stabilized(3, boundsOf(3, undefined, { now: now + i * 15_000 }), memory).memory;
    expect(memory.recommendations.length).toBeLessThanOrEqual(22);
  });
});

/**
 * minik8s (B) asks only when it scaled last. `theirs` is what was observed of it and what `sinceLastScale` does; `ours` is the default, for the
 * same policies and a last scaling that added or took one pod.
 */
describe("minik8s's table", () => {
  const theirUp: Behavior = { scaleUp: { selectPolicy: 'Max', policies: [percent(100, 60), pods(1, 15)] } };
  const reversed: Behavior = { scaleUp: { selectPolicy: 'Max', policies: [pods(1, 15), percent(100, 60)] } };
  const theirDown: Behavior = {
    scaleDown: { selectPolicy: 'Min', stabilizationWindowSeconds: 0, policies: [percent(100, 15)] },
  };
  const half: Behavior = { scaleDown: { selectPolicy: 'Min', policies: [percent(50, 60)] } };
  const bare = (rules: Behavior['scaleUp']): Behavior => ({ scaleUp: rules! });
  it.each<[string, Behavior, number, number, number, number, number | undefined, number, number]>([
    // rule, behaviour, replicas, wanted, min, max, seconds since the last scaling, theirs, ours
    ['default up', theirUp, 3, 9, 1, 20, 5, 3, 4],
    ['default up', theirUp, 3, 9, 1, 20, 14, 3, 4],
    ['default up', theirUp, 3, 9, 1, 20, 20, 4, 4],
    ['default up', theirUp, 3, 9, 1, 20, 61, 6, 6],
    ['default up', theirUp, 1, 9, 1, 20, undefined, 2, 2],
    ['the reverse order', reversed, 3, 9, 1, 20, 20, 3, 4],
    ['the reverse order', reversed, 3, 9, 1, 20, 61, 6, 6],
    ['default down', theirDown, 6, 1, 2, 9, 10, 6, 2],
    ['default down', theirDown, 6, 1, 2, 9, 20, 2, 2],
    ['default down', theirDown, 6, 1, 2, 9, 301, 2, 2],
    ['no selectPolicy', bare({ policies: [pods(4, 60)] }), 3, 9, 1, 20, 100, 3, 7],
    ['half', half, 6, 1, 3, 9, 61, 3, 3],
    ['half', half, 9, 1, 1, 9, 61, 5, 4],
    ['half', half, 3, 1, 1, 9, 61, 2, 1],
    ['half', half, 1, 0, 0, 9, 61, 1, 0],
    ['half', half, 9, 1, 1, 9, 30, 9, 5],
  ])(
    '%s %j: %i → %i in [%i, %i] after %s s: theirs %i, ours %i',
    (_rule, behavior, current, wanted, min, max, ago, theirs, ours) => {
      const bounds = boundsOf(current, behavior, { min, max });
      const from = wanted > current ? current - 1 : current + 1;
      const memory = ago === undefined ? none : remembered(none, behavior, from, current, now - ago * 1000);
      expect([sinceLastScale(wanted, bounds, memory).replicas, byPolicies(wanted, bounds, memory).replicas]).toEqual([
        theirs,
        ours,
      ]);
    },
  );

  it('no policies, Max: theirs goes all the way, ours nowhere; the API refuses such rules', () => {
    const bounds = boundsOf(3, bare({ selectPolicy: 'Max', policies: [] }), { max: 20 });
    expect(sinceLastScale(9, bounds, none).replicas).toBe(9);
    expect(byPolicies(9, bounds, none).replicas).toBe(3);
  });

  it('its own defaults, without behaviour', () => {
    const after = (seconds: number, current: number, wanted: number) =>
      sinceLastScale(wanted, boundsOf(current), { ...none, lastScaleAt: now - seconds * 1000 }).replicas;
    expect([after(20, 3, 9), after(61, 3, 9), after(299, 6, 2), after(301, 6, 2)]).toEqual([4, 6, 6, 2]);
  });
});
