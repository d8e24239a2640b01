/**
 * What one consumer of an informer has not seen yet. A change of an object that the consumer has not taken is merged
 * with the next change of the same object: a slow consumer sees fewer states of an object, always the newest one, in
 * order. So it is bounded by the number of objects, and nothing is lost that still matters.
 */
import type { KubeObject } from '@orbitkit/core';
import { identified } from './lazy/lazy-object.js';
import type { DeepReadonly } from './read-only.js';

export interface Change<T> {
  /** What the consumer knows. Undefined: it has never seen the object, or saw it deleted. */
  before: DeepReadonly<T> | undefined;
  /** What is. Undefined: deleted. */
  after: DeepReadonly<T> | undefined;
  /** Of a deletion: the final state. */
  final?: DeepReadonly<T> | undefined;
  finalStateUnknown?: boolean;
  /** Part of the first list. */
  initial?: boolean;
}

export class PendingChanges<T extends KubeObject> {
  readonly #changes = new Map<string, Change<T>>();
  #initial = 0;

  get size(): number {
    return this.#changes.size;
  }

  /** Whether something of the first list is still to be taken. */
  get hasInitial(): boolean {
    return this.#initial > 0;
  }

  put(key: string, change: Change<T>): void {
    const waiting = this.#changes.get(key);
    if (!waiting) {
      this.#changes.set(key, change);
      if (change.initial) this.#initial++;
      return;
    }
    if (!waiting.before && !change.after) {
      // Came and went unseen.
      this.#changes.delete(key);
      if (waiting.initial) this.#initial--;
      return;
    }
    waiting.after = change.after;
    if (change.final) waiting.final = change.final;
    waiting.finalStateUnknown = change.finalStateUnknown ?? waiting.finalStateUnknown ?? false;
  }

  /** The oldest. */
  take(): Change<T> | undefined {
    for (const [key, change] of this.#changes) {
      this.#changes.delete(key);
      if (change.initial) this.#initial--;
      return change;
    }
    return undefined;
  }

  clear(): void {
    this.#changes.clear();
    this.#initial = 0;
  }
}

/** The calls that a change means. An object that was deleted and made again under its name is a delete and an add. */
interface ChangeVisitor<T, R> {
  add(object: DeepReadonly<T>, initial: boolean): R;
  update(before: DeepReadonly<T>, after: DeepReadonly<T>): R;
  delete(object: DeepReadonly<T>, finalStateUnknown: boolean): R;
}

export function visit<T extends KubeObject, R>(change: Change<T>, visitor: ChangeVisitor<T, R>): R[] {
  const { before, after } = change;
  if (before && after && uidOf(before) === uidOf(after)) return [visitor.update(before, after)];
  const calls: R[] = [];
  if (before)
    calls.push(visitor.delete(change.final ?? before, change.finalStateUnknown ?? change.final === undefined));
  if (after) calls.push(visitor.add(after, change.initial ?? false));
  return calls;
}

function uidOf(object: DeepReadonly<KubeObject>): string {
  return identified(object).uid;
}
