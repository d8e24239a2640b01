/**
 * Starts one container: image, configuration, creation, start, postStart hook. Reports each step as an event.
 *
 * @throws StartError with upstream's reason (ErrImagePull, CreateContainerConfigError, …) and how long to wait before the next try;
 *         the signal's reason when it aborts. A container that was created but could not be started, is removed again, unless the
 *         runtime has recorded its end.
 */
import type { corev1 } from '@orbitkit/core';
import { isConfigError } from '../env/config-error.js';
import { type ImagePuller, type ImageReport, isImageError } from '../images/image-puller.js';
import { isRuntimeError } from '../runtime/contract.js';
import { type ContainerConfigInput, containerConfigOf } from './container-config.js';
import { type HookTarget, runHook } from './lifecycle-hook.js';

const brand = Symbol.for('orbitkit.StartError');

export class StartError extends Error {
  constructor(
    readonly reason: string,
    message: string,
    /** `own`: the caller's back-off for crashing containers; `config`: look again soon; a number: milliseconds. */
    readonly wait: 'own' | 'config' | number,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StartError';
    Object.defineProperty(this, brand, { value: true });
  }
}

export function isStartError(error: unknown): error is StartError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}

export interface StartContainerInput
  extends Omit<ContainerConfigInput, 'signal'>,
    Pick<HookTarget, 'runtime' | 'clock' | 'address'> {
  sandboxId: string;
  images: ImagePuller;
  report: ImageReport;
  signal: AbortSignal;
  /** The container runs; its hook may still take a while. */
  onStarted(containerId: string): void;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function startContainer(input: StartContainerInput): Promise<void> {
  const { pod, container, sandboxId, images, runtime, report, signal } = input;
  const uid = pod.metadata.uid;

  await images.ensure(uid, container, report, signal).catch(error => {
    signal.throwIfAborted();
    if (isImageError(error))
      throw new StartError(error.reason, error.message, waitFor(input, error.reason), { cause: error });
    throw new StartError('ErrImagePull', messageOf(error), 'config', { cause: error });
  });

  const { config, skipped } = await containerConfigOf(input).catch(error => {
    signal.throwIfAborted();
    const reason = isConfigError(error) ? 'CreateContainerConfigError' : 'CreateContainerError';
    throw new StartError(reason, messageOf(error), 'config', { cause: error });
  });
  if (skipped.length > 0) {
    report(
      'Warning',
      'InvalidEnvironmentVariableNames',
      `keys that are no names of variables were left out: ${skipped.join(', ')}`,
    );
  }

  const id = await runtime.createContainer(sandboxId, config, signal).catch(error => {
    signal.throwIfAborted();
    throw new StartError('CreateContainerError', messageOf(error), 'own', { cause: error });
  });
  report('Normal', 'Created', `Created container: ${container.name}`);

  try {
    signal.throwIfAborted();
    await runtime.startContainer(id);
  } catch (error) {
    await removeUnlessRecorded(input, id);
    signal.throwIfAborted();
    throw new StartError('RunContainerError', messageOf(error), 'own', { cause: error });
  }
  report('Normal', 'Started', `Started container ${container.name}`);
  input.onStarted(id);
  await postStart(input, id);
}

function waitFor({ images, pod, container }: StartContainerInput, reason: string): StartError['wait'] {
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
    return images.waitOf(pod.metadata.uid, container.image ?? '');
  // Nothing but a new image or a changed pod can help: look again now and then.
  return 10_000;
}

async function removeUnlessRecorded({ runtime }: StartContainerInput, id: string): Promise<void> {
  try {
    const status = await runtime.containerStatus(id);
    if (status.state !== 'exited') await runtime.removeContainer(id);
  } catch (error) {
    // Nothing to remove, or the runtime is away: a container that was never started is replaced later.
    if (!isRuntimeError(error)) throw error;
  }
}

async function postStart(input: StartContainerInput, containerId: string): Promise<void> {
  const { container, runtime, report, signal } = input;
  const hook: corev1.LifecycleHandler | undefined = container.lifecycle?.postStart;
  if (!hook) return;
  try {
    await runHook(hook, { ...input, containerId }, signal);
  } catch (error) {
    signal.throwIfAborted();
    report('Warning', 'FailedPostStartHook', `PostStartHook failed: ${messageOf(error)}`);
    report('Normal', 'Killing', `Stopping container ${container.name}: its postStart hook failed`);
    const graceMs = (input.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    await runtime.stopContainer(containerId, graceMs).catch(() => {});
    throw new StartError('PostStartHookError', messageOf(error), 'own', { cause: error });
  }
}
