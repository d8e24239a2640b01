/**
 * The loop that every controller has: keys come out of a work queue, each is reconciled, and the outcome decides when
 * it comes again.
 *
 * | outcome | then |
 * |---|---|
 * | nothing | the key is forgotten: its next failure is its first |
 * | `{ requeueAfter }` | forgotten, and added again after that time (sooner when something changes) |
 * | an error | added again, rate limited (5 ms doubled up to 1000 s, see `controllerRateLimiter`) |
 * | a `TerminalError` | logged and forgotten |
 *
 * One key is never reconciled twice at a time. Names of metrics: controller-runtime.
 */
import { isConflict } from '@orbitkit/core';
import { type HandlerRegistration, type SharedInformer, WorkQueue } from '@orbitkit/informer';
import type { ControllerContext } from './controller.js';
import { milliseconds } from './duration.js';
import { isTerminalError } from './terminal-error.js';

/** `requeueAfter` in milliseconds or as `5m`. */
export type ReconcileResult = void | { requeueAfter: string | number };

export interface ReconcileLoopOptions {
  name: string;
  queue: WorkQueue<string>;
  /** Their first lists are waited for before any key is reconciled. */
  informers: readonly SharedInformer<any>[];
  /** Keys reconciled at the same time. Default 1. */
  concurrency?: number;
  reconcile(key: string): Promise<ReconcileResult>;
}

/** A work queue with the context's clock and metrics. */
export function controllerQueue(context: ControllerContext, name: string): WorkQueue<string> {
  return new WorkQueue<string>({ name, clock: context.clock, metrics: context.metrics });
}

/** Runs workers until the signal aborts; resolves when the last has finished. The registrations are removed in any case. */
export async function reconcileLoop(
  context: ControllerContext,
  options: ReconcileLoopOptions,
  registrations: readonly HandlerRegistration[],
): Promise<void> {
  const { signal } = context;
  const { queue, concurrency = 1 } = options;
  const stop = () => queue.shutDown();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all(options.informers.map(informer => informer.waitForSync({ signal })));
    context.ready();
    const outcome = outcomes(context, options.name);
    await Promise.all(Array.from({ length: concurrency }, () => work(context, options, outcome)));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    for (const registration of registrations) registration.remove();
    queue.shutDown();
  }
}

type Outcome = 'success' | 'requeue_after' | 'error' | 'terminal_error';

function outcomes({ metrics, clock }: ControllerContext, controller: string) {
  const total = metrics.counter(
    'controller_runtime_reconcile_total',
    'Total number of reconciliations per controller',
    ['controller', 'result'],
  );
  const seconds = metrics.histogram(
    'controller_runtime_reconcile_time_seconds',
    'Length of time per reconciliation per controller',
    ['controller'],
  );
  return (result: Outcome, startedAt: number) => {
    total.inc({ controller, result });
    seconds.observe((clock.now() - startedAt) / 1000, { controller });
  };
}

async function work(
  { signal, clock, log }: ControllerContext,
  { queue, reconcile }: ReconcileLoopOptions,
  count: (result: Outcome, startedAt: number) => void,
): Promise<void> {
  while (!signal.aborted) {
    const key = await queue.get();
    if (key === undefined || signal.aborted) return;
    const startedAt = clock.now();
    try {
      const result = await reconcile(key);
      // Parsed first: a wrong text is an error of this reconciliation.
      const after = result ? milliseconds(result.requeueAfter) : undefined;
      queue.forget(key);
      if (after !== undefined) queue.addAfter(key, after);
      count(after === undefined ? 'success' : 'requeue_after', startedAt);
    } catch (error) {
      if (signal.aborted) return;
      if (isTerminalError(error)) {
        queue.forget(key);
        count('terminal_error', startedAt);
        log.error('reconciling failed for good', { key, error });
      } else {
        queue.addRateLimited(key);
        count('error', startedAt);
        // Somebody else wrote first: an everyday matter.
        log[isConflict(error) ? 'debug' : 'warn']('reconciling failed, trying again', { key, error });
      }
    } finally {
      queue.done(key);
    }
  }
}
