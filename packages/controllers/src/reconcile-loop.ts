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
 * One key is never reconciled twice at a time. Whatever is thrown is caught; what looks like a mistake in the code (a TypeError, something that
 * is no Error) is counted as a panic besides. Names and labels of metrics: controller-runtime `pkg/internal/controller/metrics`.
 */
import { type Clock, isConflict } from '@orbitkit/core';
import { type HandlerRegistration, type RateLimiter, type SharedInformer, WorkQueue } from '@orbitkit/informer';
import type { ControllerContext } from './controller.js';
import { milliseconds } from './duration.js';
import { isTerminalError } from './terminal-error.js';

/** `requeueAfter` in milliseconds or as `5m`. */
export type ReconcileResult = void | { requeueAfter: string | number };

/** What is reconciled, and how many at a time. */
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
export function controllerQueue(
  context: ControllerContext,
  name: string,
  rateLimiter?: (clock: Clock) => RateLimiter<string>,
): WorkQueue<string> {
  const { clock, metrics } = context;
  return new WorkQueue<string>({ name, clock, metrics, ...(rateLimiter ? { rateLimiter: rateLimiter(clock) } : {}) });
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
    const counts = countsOf(context, options.name, concurrency);
    await Promise.all(Array.from({ length: concurrency }, () => work(context, options, counts)));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    for (const registration of registrations) registration.remove();
    queue.shutDown();
  }
}

type Result = 'success' | 'requeue_after' | 'error';

interface Counts {
  active(change: 1 | -1): void;
  ended(result: Result, startedAt: number): void;
  failed(error: unknown): void;
}

function countsOf({ metrics, clock }: ControllerContext, controller: string, concurrency: number): Counts {
  const labels = ['controller'];
  const by = { controller };
  const total = metrics.counter(
    'controller_runtime_reconcile_total',
    'Total number of reconciliations per controller',
    ['controller', 'result'],
  );
  const errors = metrics.counter(
    'controller_runtime_reconcile_errors_total',
    'Total number of reconciliation errors per controller',
    labels,
  );
  const terminal = metrics.counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Total number of terminal reconciliation errors per controller',
    labels,
  );
  const panics = metrics.counter(
    'controller_runtime_reconcile_panics_total',
    'Total number of reconciliation panics per controller',
    labels,
  );
  const seconds = metrics.histogram(
    'controller_runtime_reconcile_time_seconds',
    'Length of time per reconciliation per controller',
    labels,
  );
  const active = metrics.gauge(
    'controller_runtime_active_workers',
    'Number of currently used workers per controller',
    labels,
  );
  metrics
    .gauge(
      'controller_runtime_max_concurrent_reconciles',
      'Maximum number of concurrent reconciles per controller',
      labels,
    )
    .set(concurrency, by);
  active.set(0, by);
  for (const counter of [errors, terminal, panics]) counter.inc(by, 0);
  return {
    active: change => active.inc(by, change),
    ended(result, startedAt) {
      total.inc({ controller, result });
      seconds.observe((clock.now() - startedAt) / 1000, by);
    },
    failed(error) {
      errors.inc(by);
      if (isTerminalError(error)) terminal.inc(by);
      else if (isMistake(error)) panics.inc(by);
    },
  };
}

/** What Go would panic of. */
const isMistake = (error: unknown): boolean =>
  !(error instanceof Error) ||
  error instanceof TypeError ||
  error instanceof ReferenceError ||
  error instanceof RangeError;

async function work(
  { signal, clock, log }: ControllerContext,
  { queue, reconcile }: ReconcileLoopOptions,
  counts: Counts,
): Promise<void> {
  while (!signal.aborted) {
    const key = await queue.get();
    if (key === undefined || signal.aborted) return;
    const startedAt = clock.now();
    counts.active(1);
    try {
      const result = await reconcile(key);
      // Parsed first: a wrong text is an error of this reconciliation.
      const after = result ? milliseconds(result.requeueAfter) : undefined;
      queue.forget(key);
      if (after !== undefined) queue.addAfter(key, after);
      counts.ended(after === undefined ? 'success' : 'requeue_after', startedAt);
    } catch (error) {
      if (signal.aborted) return;
      counts.ended('error', startedAt);
      counts.failed(error);
      if (isTerminalError(error)) {
        queue.forget(key);
        log.error('reconciling failed for good', { key, error });
      } else {
        queue.addRateLimited(key);
        // Somebody else wrote first: an everyday matter.
        log[isConflict(error) ? 'debug' : 'warn']('reconciling failed, trying again', { key, error });
      }
    } finally {
      counts.active(-1);
      queue.done(key);
    }
  }
}
