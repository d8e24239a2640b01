/**
 * A signal that aborts with another one, or when a time is over. What `AbortSignal.any` with `AbortSignal.timeout` does, at a tenth of its cost, and
 * on the injected clock; in return its user has to say when it is done with it.
 */
import { type Clock, StatusError } from '@orbitkit/core';

export interface BoundedSignal {
  readonly signal: AbortSignal;
  /** Lets go of the timer and of the other signal. Twice is harmless. */
  done(): void;
}

/** @param what stands in the reason: `what` did not end in time. */
export function boundedSignal(clock: Clock, outer: AbortSignal, ms: number, what: string): BoundedSignal {
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  else outer.addEventListener('abort', onAbort, { once: true });
  const timer = clock.setTimer(ms, () =>
    controller.abort(new StatusError('Timeout', `${what} did not end within ${ms / 1000} s`)),
  );
  return {
    signal: controller.signal,
    done() {
      timer.cancel();
      outer.removeEventListener('abort', onAbort);
    },
  };
}
