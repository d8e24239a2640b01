/**
 * Notices a stream that is open and dead: no bytes, no end (a half-open connection, a proxy that forgot). It aborts its signal
 * - when nothing was heard for as long as something should have been heard, and
 * - some time after the stream's own end was due.
 * One timer at a time, however much is heard.
 */
import type { Clock } from '@orbitkit/core';

export interface QuietGuard {
  readonly signal: AbortSignal;
  /** Something arrived. With `ms`: from now on something must arrive that often; undefined: no longer. */
  heard(limit?: { quietMs: number | undefined }): void;
  /** No timer or listener is left. */
  close(): void;
}

export interface QuietGuardOptions {
  clock: Clock;
  /** The caller's; its abort is passed on. */
  signal: AbortSignal;
  /** When the stream must be over. */
  endsWithinMs: number;
  quietMs: number | undefined;
  /** What is wrong, for the reason of the abort. */
  explain(why: 'overdue' | 'quiet', ms: number): Error;
}

export function quietGuard({ clock, signal, endsWithinMs, explain, ...options }: QuietGuardOptions): QuietGuard {
  const stop = new AbortController();
  const endsAt = clock.now() + endsWithinMs;
  let { quietMs } = options;
  let heardAt = clock.now();
  let timer: { at: number; cancel(): void } | undefined;

  function arm(): void {
    const at = Math.min(endsAt, quietMs === undefined ? Number.POSITIVE_INFINITY : heardAt + quietMs);
    // A timer that comes too early looks again; only one that would come too late is replaced.
    if (timer && timer.at <= at) return;
    timer?.cancel();
    timer = { at, ...clock.setTimer(Math.max(0, at - clock.now()), look) };
  }
  function look(): void {
    timer = undefined;
    const now = clock.now();
    if (now >= endsAt) stop.abort(explain('overdue', endsWithinMs));
    else if (quietMs !== undefined && now - heardAt >= quietMs) stop.abort(explain('quiet', quietMs));
    else arm();
  }
  function close(): void {
    timer?.cancel();
    timer = undefined;
    signal.removeEventListener('abort', onAbort);
  }
  function onAbort(): void {
    stop.abort(signal.reason);
  }
  // Aborted before this: the event has passed.
  if (signal.aborted) onAbort();
  else {
    signal.addEventListener('abort', onAbort, { once: true });
    arm();
  }
  return {
    signal: stop.signal,
    heard(limit) {
      heardAt = clock.now();
      if (limit) {
        quietMs = limit.quietMs;
        if (!stop.signal.aborted) arm();
      }
    },
    close,
  };
}
