/**
 * Calls one handler with its changes, one at a time: the next after the last call returned and, when it returned a promise, after that settled.
 * A call that throws or rejects is reported and the next one follows. A long row of calls lets the event loop go every 8 ms.
 */
import type { KubeObject } from '@orbitkit/core';
import { type Change, PendingChanges, visit } from './delivery.js';
import type { DeepReadonly } from './read-only.js';

/** What wants to be told of changes. A promise that a call returns is waited for before the next call. */
export interface InformerHandler<T> {
  /** `initial`: it was there before this handler, or is part of the first list. */
  onAdd?(object: DeepReadonly<T>, initial: boolean): unknown;
  onUpdate?(before: DeepReadonly<T>, after: DeepReadonly<T>): unknown;
  /** The final state; the last known one when `finalStateUnknown` (the deletion happened while nobody watched). */
  onDelete?(object: DeepReadonly<T>, finalStateUnknown: boolean): unknown;
}

export interface HandlerPump<T extends KubeObject> {
  /** Changes put here directly are not called before `start` or the next `put`. */
  readonly pending: PendingChanges<T>;
  put(key: string, change: Change<T>): void;
  start(): void;
  /** No further calls. */
  stop(): void;
  /** Whether nothing of the first list is left to be called, or being called. */
  readonly idleOfInitial: boolean;
}

const longestTurnMs = 8;
/** Calls between looks at the clock. */
const callsPerLook = 64;

export function handlerPump<T extends KubeObject>(
  handler: InformerHandler<T>,
  failed: (error: unknown) => void,
): HandlerPump<T> {
  const pending = new PendingChanges<T>();
  const calls: (() => unknown)[] = [];
  let busy = false;
  let stopped = false;
  /** Since when this turn of the event loop has been calling. */
  let turnBegan = 0;
  let calledInTurn = 0;

  const visitor = {
    add: (object: DeepReadonly<T>, initial: boolean) => () => handler.onAdd?.(object, initial),
    update: (before: DeepReadonly<T>, after: DeepReadonly<T>) => () => handler.onUpdate?.(before, after),
    delete: (object: DeepReadonly<T>, unknown: boolean) => () => handler.onDelete?.(object, unknown),
  };
  function resume(): void {
    busy = false;
    pump();
  }
  /** Whether others have to run first. */
  function turnIsOver(): boolean {
    if (++calledInTurn % callsPerLook !== 0) return false;
    return performance.now() - turnBegan > longestTurnMs;
  }
  function pump(): void {
    if (busy) return;
    busy = true;
    calledInTurn = 0;
    turnBegan = performance.now();
    while (!stopped) {
      if (calls.length === 0) {
        const change = pending.take();
        if (!change) break;
        calls.push(...visit<T, () => unknown>(change, visitor));
      }
      try {
        const result = calls.shift()!();
        if (isThenable(result)) {
          result.then(resume, error => {
            failed(error);
            resume();
          });
          return;
        }
      } catch (error) {
        failed(error);
      }
      if (turnIsOver()) {
        setImmediate(resume);
        return;
      }
    }
    busy = false;
  }
  return {
    pending,
    put(key, change) {
      pending.put(key, change);
      pump();
    },
    start: pump,
    stop() {
      stopped = true;
      pending.clear();
      calls.length = 0;
    },
    get idleOfInitial() {
      return !pending.hasInitial && calls.length === 0;
    },
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
}
