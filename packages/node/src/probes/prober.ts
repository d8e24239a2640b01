/**
 * One probe of one running container, over and over: thresholds, delays, the result that holds.
 *
 * - Nothing is asked before `initialDelaySeconds` after the container's start; then every `periodSeconds`.
 * - A result holds until the opposite came `successThreshold` or `failureThreshold` times in a row; unknown counts for neither.
 * - Before the first verdict: readiness is a failure, liveness a success, startup undecided.
 * - A startup probe ends with its first verdict; a liveness probe ends when it has given up. Both are over with the container.
 */
import type { Clock, corev1 } from '@orbitkit/core';
import type { ProbeOutcome } from './probe.js';

export type ProbeType = 'liveness' | 'readiness' | 'startup';
export type ProbeResult = 'success' | 'failure' | 'undecided';

export interface ProberOptions {
  type: ProbeType;
  probe: corev1.Probe;
  clock: Clock;
  /** When the container started, milliseconds since 1970. */
  startedAt: number;
  /** False holds the prober back: liveness and readiness wait for the startup probe. */
  mayAsk(): boolean;
  ask(signal: AbortSignal): Promise<ProbeOutcome>;
  onFailure(output: string): void;
  onChange(): void;
}

export interface Prober {
  readonly result: ProbeResult;
  /** Asks now if it is waiting for its next time: the startup probe is through. */
  hurry(): void;
  stop(): void;
}

const initial: Readonly<Record<ProbeType, ProbeResult>> = {
  liveness: 'success',
  readiness: 'failure',
  startup: 'undecided',
};

export function prober(options: ProberOptions): Prober {
  const { type, probe, clock, startedAt } = options;
  const periodMs = (probe.periodSeconds || 10) * 1000;
  const needed = { success: probe.successThreshold || 1, failure: probe.failureThreshold || 3 };
  const stopped = new AbortController();
  let result = initial[type];
  let last: 'success' | 'failure' | undefined;
  let inARow = 0;
  let timer: { cancel(): void } | undefined;
  let asking = false;

  function schedule(ms: number): void {
    timer?.cancel();
    timer = clock.setTimer(ms, () => void round());
  }

  async function round(): Promise<void> {
    timer = undefined;
    if (stopped.signal.aborted || asking) return;
    const beganAt = clock.now();
    if (options.mayAsk()) {
      asking = true;
      const outcome = await options.ask(stopped.signal).catch(
        (error): ProbeOutcome => ({
          result: 'unknown',
          output: error instanceof Error ? error.message : String(error),
        }),
      );
      asking = false;
      if (stopped.signal.aborted) return;
      if (outcome.result === 'failure') options.onFailure(outcome.output);
      if (outcome.result !== 'unknown') count(outcome.result);
    }
    const over = type === 'startup' ? result !== 'undecided' : type === 'liveness' && result === 'failure';
    if (!over) schedule(Math.max(0, beganAt + periodMs - clock.now()));
  }

  function count(outcome: 'success' | 'failure'): void {
    inARow = outcome === last ? inARow + 1 : 1;
    last = outcome;
    if (inARow < needed[outcome] || result === outcome) return;
    result = outcome;
    options.onChange();
  }

  // An adopted container has waited long already.
  schedule(Math.max(0, startedAt + (probe.initialDelaySeconds ?? 0) * 1000 - clock.now()));

  return {
    get result() {
      return result;
    },
    hurry() {
      if (timer && clock.now() >= startedAt + (probe.initialDelaySeconds ?? 0) * 1000) schedule(0);
    },
    stop() {
      timer?.cancel();
      timer = undefined;
      stopped.abort();
    },
  };
}
