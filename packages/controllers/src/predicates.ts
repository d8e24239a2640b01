/**
 * Which changes are worth a reconciliation. Only updates are judged: what comes and what goes always counts. Names and meanings:
 * controller-runtime `pkg/predicate`.
 */
import { type Json, jsonEqual, type KubeObject } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

/** What an informer told: `initial` is what was there at the start. */
export type ChangeEvent<T> =
  | { type: 'add'; object: DeepReadonly<T>; initial: boolean }
  | { type: 'update'; object: DeepReadonly<T>; previous: DeepReadonly<T> }
  | { type: 'delete'; object: DeepReadonly<T> };

/** Whether a change is worth a reconciliation. */
export type Predicate<T> = (change: ChangeEvent<T>) => boolean;

type Meta = DeepReadonly<KubeObject>['metadata'];

const updated =
  (changed: (before: Meta, after: Meta) => boolean): Predicate<KubeObject> =>
  change =>
    change.type !== 'update' || changed(change.previous.metadata, change.object.metadata);

const differs = (a: unknown, b: unknown): boolean => !jsonEqual((a ?? {}) as Json, (b ?? {}) as Json);

/**
 * Lets through what changed an object's spec: its generation; and its deletion, which raises it on most servers only. Everything, for kinds
 * without one.
 */
export const generationChanged: Predicate<KubeObject> = updated(
  (before, after) =>
    after.generation === undefined ||
    after.generation !== before.generation ||
    after.deletionTimestamp !== before.deletionTimestamp,
);

/** Updates that change labels. */
export const labelsChanged: Predicate<KubeObject> = updated((before, after) => differs(before.labels, after.labels));

/** Updates that change annotations. */
export const annotationsChanged: Predicate<KubeObject> = updated((before, after) =>
  differs(before.annotations, after.annotations),
);

/** Lets through what any of them does. Several `.predicate(…)` of one controller must all agree. */
export const anyOf =
  <T>(...predicates: readonly Predicate<T>[]): Predicate<T> =>
  change =>
    predicates.some(predicate => predicate(change));
