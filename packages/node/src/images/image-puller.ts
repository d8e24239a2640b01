/**
 * Brings a container's image to the node, or says in upstream's words why it is not there.
 *
 * - Always pulls each time the container starts; IfNotPresent when the image is missing; Never not at all.
 * - One image is pulled once at a time, whoever asks; at most `parallel` pulls run together. The last one to lose interest
 *   stops the pull.
 * - A failed pull is backed off per pod and image; until then asking again answers ImagePullBackOff with the first failure's
 *   message.
 *
 * Reasons and events: kubernetes `pkg/kubelet/images`.
 */
import type { Clock, corev1 } from '@orbitkit/core';
import { untilAborted } from '../agent/until-aborted.js';
import type { BackOffs } from '../pod-worker/back-off.js';
import type { ImageStatus, Runtime } from '../runtime/contract.js';

export type ImageErrorReason = 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName';

const brand = Symbol.for('orbitkit.ImageError');

export class ImageError extends Error {
  constructor(
    readonly reason: ImageErrorReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ImageError';
    Object.defineProperty(this, brand, { value: true });
  }
}

export function isImageError(error: unknown): error is ImageError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}

export interface ImagePuller {
  /** @throws ImageError; the signal's reason when it aborts. */
  ensure(podUid: string, container: corev1.Container, report: ImageReport, signal: AbortSignal): Promise<ImageStatus>;
  /** Milliseconds until this pod may pull the image again. */
  waitOf(podUid: string, image: string): number;
  /** The pod is gone. */
  forget(podUid: string): void;
}

/** Events about the container whose image it is. */
export type ImageReport = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

export interface ImagePullerOptions {
  runtime: Runtime;
  clock: Clock;
  backOffs: BackOffs;
  /** Pulls at one time. */
  parallel: number;
}

/** `[host[:port]/]path[:tag][@digest]`, as the distribution project's reference grammar has it. */
const reference =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$/;

interface Pull {
  promise: Promise<ImageStatus>;
  stop: AbortController;
  waiting: number;
}

export function imagePuller(options: ImagePullerOptions): ImagePuller {
  const { runtime, clock, backOffs, parallel } = options;
  const pulls = new Map<string, Pull>();
  const failures = new Map<string, { at: number; message: string }>();
  const queue: (() => void)[] = [];
  let running = 0;

  const keyOf = (podUid: string, image: string) => `${podUid}_${image}`;

  async function slot(signal: AbortSignal): Promise<void> {
    if (running >= parallel) {
      await new Promise<void>((resolve, reject) => {
        const start = () => {
          signal.removeEventListener('abort', giveUp);
          resolve();
        };
        const giveUp = () => {
          queue.splice(queue.indexOf(start), 1);
          reject(signal.reason);
        };
        queue.push(start);
        signal.addEventListener('abort', giveUp, { once: true });
      });
      // The slot was handed over: it is counted already.
      return;
    }
    running += 1;
  }

  /** Joins the pull of the image that is under way, or starts one. */
  async function pull(
    image: string,
    command: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<ImageStatus> {
    // A command of its own can stand in for an image that the runtime does not know: another question, another answer.
    const key = command?.length ? `${image}\0command` : image;
    let current = pulls.get(key);
    if (!current) {
      const stop = new AbortController();
      const promise = slot(stop.signal).then(async () => {
        try {
          return await runtime.pullImage(image, { signal: stop.signal, ...(command?.length ? { command } : {}) });
        } finally {
          const next = queue.shift();
          if (next) next();
          else running -= 1;
        }
      });
      current = { promise, stop, waiting: 0 };
      const made = current;
      const done = () => pulls.get(key) === made && pulls.delete(key);
      promise.then(done, done);
      pulls.set(key, current);
    }
    const joined = current;
    joined.waiting += 1;
    try {
      return await untilAborted(joined.promise, signal);
    } finally {
      joined.waiting -= 1;
      if (joined.waiting === 0) {
        joined.stop.abort();
        if (pulls.get(key) === joined) pulls.delete(key);
      }
    }
  }

  function waitOf(podUid: string, image: string): number {
    const key = keyOf(podUid, image);
    const failure = failures.get(key);
    return failure ? backOffs.remaining(key, failure.at) : 0;
  }

  return {
    waitOf,
    forget(podUid) {
      for (const key of failures.keys()) if (key.startsWith(`${podUid}_`)) failures.delete(key);
    },
    async ensure(podUid, container, report, signal) {
      const image = container.image ?? '';
      if (!reference.test(image)) {
        throw new ImageError(
          'InvalidImageName',
          `image ${JSON.stringify(image)} of container ${container.name} is not a reference such as registry/name:tag`,
        );
      }
      const policy = container.imagePullPolicy ?? 'IfNotPresent';
      const key = keyOf(podUid, image);
      const { command } = container;
      const present =
        policy === 'Always' ? undefined : await runtime.imageStatus(image, command?.length ? { command } : {});
      if (present) {
        report('Normal', 'Pulled', `Container image "${image}" already present on machine`);
        failures.delete(key);
        return present;
      }
      if (policy === 'Never') {
        throw new ImageError(
          'ErrImageNeverPull',
          `Container image "${image}" is not present with pull policy of Never`,
        );
      }
      const failure = failures.get(key);
      if (failure && backOffs.remaining(key, failure.at) > 0) {
        throw new ImageError('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${failure.message}`);
      }
      report('Normal', 'Pulling', `Pulling image "${image}"`);
      const startedAt = clock.now();
      try {
        const status = await pull(image, command, signal);
        const seconds = ((clock.now() - startedAt) / 1000).toFixed(3);
        report(
          'Normal',
          'Pulled',
          `Successfully pulled image "${image}" in ${seconds}s. Image size: ${status.sizeBytes} bytes.`,
        );
        failures.delete(key);
        backOffs.forget(key);
        return status;
      } catch (error) {
        if (signal.aborted) throw error;
        const message = error instanceof Error ? error.message : String(error);
        const at = clock.now();
        backOffs.next(key, at);
        failures.set(key, { at, message });
        report('Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
        throw new ImageError('ErrImagePull', message, { cause: error });
      }
    },
  };
}
