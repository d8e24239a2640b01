/**
 * Does something again and again until the context's signal aborts: at once, then after each period. A round that fails
 * is logged, and the next comes all the same. Rounds never overlap.
 */
import type { ControllerContext } from './controller.js';

export async function periodically(
  { clock, log, signal }: Pick<ControllerContext, 'clock' | 'log' | 'signal'>,
  periodMs: number,
  round: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const startedAt = clock.now();
    try {
      await round();
    } catch (error) {
      if (signal.aborted) return;
      log.warn('a round failed; the next one comes', { error, periodMs });
    }
    const rest = Math.max(0, startedAt + periodMs - clock.now());
    await clock.sleep(rest, signal).catch(() => {});
  }
}
