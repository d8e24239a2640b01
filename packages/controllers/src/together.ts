/**
 * Runs the parts of one controller together: when one fails the others are stopped, and the failure is reported only when
 * all have ended. So a controller that is started again never runs beside leftovers of itself.
 */
import { setMaxListeners } from 'node:events';
import type { ControllerContext } from './controller.js';

export async function together(
  context: ControllerContext,
  ...parts: ((context: ControllerContext) => Promise<void>)[]
): Promise<void> {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const onAbort = () => stop.abort(context.signal.reason);
  if (context.signal.aborted) onAbort();
  context.signal.addEventListener('abort', onAbort, { once: true });
  let failed: { error: unknown } | undefined;
  try {
    await Promise.all(
      parts.map(async part => {
        try {
          await part({ ...context, signal: stop.signal });
        } catch (error) {
          if (!stop.signal.aborted) failed = { error };
          stop.abort(error);
        }
      }),
    );
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
  if (failed) throw failed.error;
}
