/**
 * Does again what must be done before a time: certificates are renewed while the server runs. It looks at least once a day, since what stands
 * behind them (the authority, another server's renewal of it) changes as well; a failure is tried again in a minute.
 */
import type { Clock, Logger } from '@orbitkit/core';

const dayMs = 24 * 60 * 60_000;
const retryMs = 60_000;

export interface RenewalOptions {
  /** Milliseconds until it is due. */
  dueInMs(): number;
  renew(): Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Resolves when the signal aborts. */
export async function keepRenewed({ dueInMs, renew, clock, log, signal }: RenewalOptions): Promise<void> {
  let failed = false;
  while (!signal.aborted) {
    const wait = failed ? retryMs : Math.min(dayMs, Math.max(0, dueInMs()));
    await clock.sleep(wait, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await renew();
      failed = false;
    } catch (error) {
      if (signal.aborted) return;
      failed = true;
      log.error('certificates could not be renewed; trying again in a minute', { error });
    }
  }
}
