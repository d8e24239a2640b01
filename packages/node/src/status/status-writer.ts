/**
 * Writes one pod's status, and only when it differs.
 *
 * - At most one write is under way; what comes meanwhile replaces what waits.
 * - Every write is a compare-and-swap: after a conflict the pod is read again and the status computed anew on it, so that nobody's
 *   change is lost. Another failure is tried again, 200 ms to 10 s apart, until it succeeds, the pod is gone, or the writer stops.
 * - A pod of the same name with another uid is never written.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  backoff,
  type Client,
  type Clock,
  type corev1,
  isConflict,
  isNotFound,
  type Logger,
  Pod,
} from '@orbitkit/core';
import { compareVersions } from '@orbitkit/informer';

export interface StatusWriter {
  /** Says how the status follows from the pod as it is; called again after a conflict. */
  set(statusOf: (pod: Pod) => corev1.PodStatus): void;
  /** The pod as it was last read or written, whichever is newer. */
  observe(pod: Pod): void;
  readonly pod: Pod;
  /** Resolves when what was set is written or cannot be any more. */
  flush(): Promise<void>;
  stop(): void;
}

export interface StatusWriterOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  pod: Pod;
}

/** Conflicts in a row before the writer waits like after any other failure. */
const conflictsAtOnce = 5;

export function statusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, clock, log } = options;
  const stopped = new AbortController();
  const waits = backoff({ initialMs: 200, maxMs: 10_000, jitter: 0.2, clock });
  let pod = options.pod;
  let wanted: ((pod: Pod) => corev1.PodStatus) | undefined;
  let gone = false;
  let writing: Promise<void> | undefined;
  let last: { status: corev1.PodStatus; version: string } | undefined;

  function observe(next: Pod): void {
    if (next.metadata.uid !== pod.metadata.uid) return;
    if (compareVersions(next.metadata.resourceVersion, pod.metadata.resourceVersion) >= 0) pod = next;
  }

  async function writeOnce(statusOf: (pod: Pod) => corev1.PodStatus): Promise<void> {
    for (let conflicts = 0; ; conflicts++) {
      const status = statusOf(pod);
      if (isDeepStrictEqual(status, pod.status)) return;
      // A server that stores something else than it was given must not make the writer spin.
      if (last?.version === pod.metadata.resourceVersion && isDeepStrictEqual(status, last.status)) return;
      try {
        pod = await client.updateStatus(Pod, { ...pod, status }, { signal: stopped.signal, timeoutMs: 15_000 });
        last = { status, version: pod.metadata.resourceVersion };
        return;
      } catch (error) {
        if (!isConflict(error) || conflicts >= conflictsAtOnce) throw error;
        const { name, namespace } = pod.metadata;
        const fresh = await client.get(Pod, { name, namespace }, { signal: stopped.signal, timeoutMs: 15_000 });
        if (fresh.metadata.uid !== pod.metadata.uid) {
          gone = true;
          return;
        }
        pod = fresh;
      }
    }
  }

  async function drain(): Promise<void> {
    while (wanted && !gone && !stopped.signal.aborted) {
      const statusOf = wanted;
      wanted = undefined;
      try {
        await writeOnce(statusOf);
        waits.reset();
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (isNotFound(error)) {
          gone = true;
          return;
        }
        wanted ??= statusOf;
        log.warn('the status of a pod could not be written; trying again', {
          pod: `${pod.metadata.namespace}/${pod.metadata.name}`,
          error: error instanceof Error ? error.message : String(error),
        });
        await clock.sleep(waits.next(), stopped.signal).catch(() => {});
      }
    }
  }

  function start(): void {
    writing ??= drain().finally(() => {
      writing = undefined;
      // Set in the moment between the last look and here.
      if (wanted && !gone && !stopped.signal.aborted) start();
    });
  }

  return {
    set(statusOf) {
      if (gone || stopped.signal.aborted) return;
      wanted = statusOf;
      start();
    },
    observe,
    get pod() {
      return pod;
    },
    async flush() {
      while (writing) await writing;
    },
    stop: () => stopped.abort(),
  };
}
