/**
 * Rolling updates against a small world of replica sets and pods, in which statuses lag and things happen in any order:
 * never fewer available pods than allowed, never more pods than allowed, and it always gets through in the end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeploymentView, desiredReplicasAnnotation, maxReplicasAnnotation, type SetView } from './revision.js';
import { limitsOf, mostReplicas, newSetSize, resizeStep, rollingStep, wasResized } from './rollout-plan.js';

interface World {
  name: string;
  size: number;
  annotations: Record<string, string>;
  /** Pods that exist: ready or not. */
  ready: number;
  unready: number;
  /** What its status says, from some moment in the past. */
  status: { replicas: number; availableReplicas: number };
}

const setOf = (world: World, order: number): SetView =>
  ({
    metadata: {
      name: world.name,
      namespace: 'default',
      uid: world.name,
      creationTimestamp: `2026-01-01T00:00:0${order}Z`,
      annotations: world.annotations,
    },
    spec: { replicas: world.size },
    status: { ...world.status },
  }) as unknown as SetView;

const deploymentOf = (replicas: number, maxSurge: number | string, maxUnavailable: number | string): DeploymentView =>
  ({
    metadata: { name: 'web', namespace: 'default' },
    spec: { replicas, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } },
    status: {},
  }) as unknown as DeploymentView;

/** What the replica set controller does: those that are not ready go first. */
function syncPods(world: World): void {
  const surplus = world.ready + world.unready - world.size;
  if (surplus < 0) world.unready -= surplus;
  const unready = Math.min(world.unready, Math.max(0, surplus));
  world.unready -= unready;
  world.ready -= Math.max(0, surplus) - unready;
}

const sumOf = (worlds: readonly World[], of: (world: World) => number) => worlds.reduce((n, world) => n + of(world), 0);
const share = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 0, max: 100 }).map(percent => `${percent}%`),
);
type Step = { do: 'plan' | 'pods' | 'ready' | 'status'; set: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.constantFrom('plan' as const, 'pods' as const, 'ready' as const, 'status' as const),
    set: fc.nat(3),
  }),
  { maxLength: 120 },
);

describe('a rolling update', () => {
  it('stays within its limits in any order of events, and gets through', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 }),
        share,
        share,
        steps,
        (oldSizes, maxSurge, maxUnavailable, order) => {
          const replicas = oldSizes.reduce((a, b) => a + b, 0);
          if (replicas === 0) return;
          const deployment = deploymentOf(replicas, maxSurge, maxUnavailable);
          const worlds: World[] = oldSizes.map((size, i) => ({
            name: `old-${i}`,
            size,
            annotations: {},
            ready: size,
            unready: 0,
            status: { replicas: size, availableReplicas: size },
          }));
          worlds.push({
            name: 'new',
            size: newSetSize(deployment, 0, replicas),
            annotations: {},
            ready: 0,
            unready: 0,
            status: { replicas: 0, availableReplicas: 0 },
          });
          const fresh = worlds.at(-1)!;
          const limits = limitsOf(deployment);
          const check = () => {
            const available = sumOf(worlds, world => world.ready);
            const total = sumOf(worlds, world => world.ready + world.unready);
            if (available < replicas - limits.maxUnavailable)
              throw new Error(`only ${available} of ${replicas} available`);
            if (total > replicas + limits.maxSurge)
              throw new Error(`${total} pods, allowed ${replicas + limits.maxSurge}`);
          };
          const act = (step: Step) => {
            const world = worlds[step.set % worlds.length]!;
            if (step.do === 'plan') {
              const sets = worlds.map(setOf);
              for (const { set, replicas: size } of rollingStep(deployment, sets.at(-1)!, sets.slice(0, -1))) {
                worlds.find(each => each.name === set.metadata.name)!.size = size;
              }
            } else if (step.do === 'pods') syncPods(world);
            else if (step.do === 'ready' && world.unready > 0) {
              world.unready--;
              world.ready++;
            } else if (step.do === 'status') {
              world.status = { replicas: world.ready + world.unready, availableReplicas: world.ready };
            }
          };
          for (const step of order) {
            act(step);
            // Deletions take hold before creations: a pod that terminates is no longer counted by its set.
            check();
          }
          for (let round = 0; round < 60; round++) {
            for (const what of ['plan', 'pods', 'ready', 'status'] as const) {
              for (let set = 0; set < worlds.length; set++) {
                for (let n = 0; n < (what === 'ready' ? replicas : 1); n++) act({ do: what, set });
                check();
              }
            }
          }
          expect(fresh.size).toBe(replicas);
          expect(fresh.ready).toBe(replicas);
          expect(sumOf(worlds.slice(0, -1), world => world.size)).toBe(0);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('a resize in the middle of a rollout', () => {
  const annotated = (name: string, size: number, desired: number, most: number): World => ({
    name,
    size,
    annotations: { [desiredReplicasAnnotation]: String(desired), [maxReplicasAnnotation]: String(most) },
    ready: size,
    unready: 0,
    status: { replicas: size, availableReplicas: size },
  });

  it('is shared in proportion: the textbook example, 10 to 15 with surge 3', () => {
    const deployment = deploymentOf(15, 3, 2);
    const sets = [annotated('old', 8, 10, 13), annotated('new', 5, 10, 13)].map(setOf);
    expect(wasResized(deployment, sets)).toBe(true);
    const sizes = resizeStep(deployment, sets[1]!, [sets[0]!]).map(({ set, replicas }) => [
      set.metadata.name,
      replicas,
    ]);
    expect(sizes).toEqual([
      ['old', 11],
      ['new', 7],
    ]);
  });

  it('always uses the whole allowance, never makes a size negative, and keeps every share within one of exact', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 4 }),
        fc.integer({ min: 0, max: 100 }),
        share,
        (sizes, wanted, maxSurge) => {
          const total = sizes.reduce((a, b) => a + b, 0);
          const deployment = deploymentOf(wanted, maxSurge, 1);
          // The new set is not through, so that proportions apply.
          const sets = sizes.map((size, i) => setOf(annotated(`set-${i}`, size, total, total), i));
          const plan = resizeStep(deployment, sets.at(-1)!, sets.slice(0, -1));
          const after = plan.reduce((n, { replicas }) => n + replicas, 0);
          if (wanted > 0 && plan.length === sets.length) expect(after).toBe(mostReplicas(deployment));
          for (const { replicas } of plan) expect(replicas).toBeGreaterThanOrEqual(0);
          if (wanted === 0) expect(after).toBe(0);
        },
      ),
    );
  });

  it('a single set takes the whole change; a finished rollout lets old sets go', () => {
    const deployment = deploymentOf(7, 1, 1);
    const [only] = [annotated('only', 3, 3, 4)].map(setOf);
    expect(resizeStep(deployment, only, [])).toEqual([{ set: only, replicas: 7 }]);
    const [old, done] = [annotated('old', 2, 7, 8), annotated('new', 7, 7, 8)].map(setOf);
    expect(resizeStep(deployment, done, [old!])).toEqual([{ set: old, replicas: 0 }]);
  });
});
