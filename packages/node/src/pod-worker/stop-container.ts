/**
 * Stops one container: preStop hook, then SIGTERM, then SIGKILL, all within its grace.
 *
 * What the hook uses is taken from the grace, but two seconds remain for the signal (upstream's minimum). A hook that fails or
 * takes too long is reported and does not save the container.
 */
import type { corev1 } from '@orbitkit/core';
import { untilAborted } from '../agent/until-aborted.js';
import type { ImageReport } from '../images/image-puller.js';
import { type HookTarget, runHook } from './lifecycle-hook.js';

export interface StopContainerInput extends Omit<HookTarget, 'container'> {
  /** Absent for a container whose pod is unknown: there is no hook then. */
  container: corev1.Container | undefined;
  graceMs: number;
  report: ImageReport;
  /** The agent lets go: the runtime goes on stopping, nobody waits for it. */
  signal: AbortSignal;
}

const leastGraceMs = 2_000;

export async function stopContainer(input: StopContainerInput): Promise<void> {
  const { container, containerId, runtime, clock, graceMs } = input;
  const beganAt = clock.now();
  const hook = container?.lifecycle?.preStop;
  if (container && hook && graceMs > 0) await preStop({ ...input, container }, hook);
  const left = hook ? Math.max(graceMs - (clock.now() - beganAt), Math.min(leastGraceMs, graceMs)) : graceMs;
  input.signal.throwIfAborted();
  await untilAborted(runtime.stopContainer(containerId, left), input.signal);
}

async function preStop(input: StopContainerInput & HookTarget, hook: corev1.LifecycleHandler): Promise<void> {
  const limit = new AbortController();
  const timer = input.clock.setTimer(input.graceMs, () =>
    limit.abort(new Error(`it did not end within the grace period of ${input.graceMs / 1000}s`)),
  );
  try {
    await runHook(hook, input, AbortSignal.any([limit.signal, input.signal]));
  } catch (error) {
    if (input.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    input.report('Warning', 'FailedPreStopHook', `PreStopHook failed: ${message}`);
  } finally {
    timer.cancel();
  }
}
