/**
 * One container's status as the API shows it, from what the runtime has and what the pod worker is about to do.
 *
 * A container that ended and waits for its restart is `waiting` (CrashLoopBackOff) with its end in `lastState`; one that ended and
 * stays so is `terminated`. Reasons and messages are upstream's words.
 */
import { type corev1, formatTime } from '@orbitkit/core';
import { latestOf, type PodState, previousOf, restartCountOf } from '../pod-worker/pod-state.js';
import type { ContainerStatus } from '../runtime/contract.js';

export interface Waiting {
  reason: string;
  message?: string;
}

export interface ContainerFacts {
  spec: corev1.Container;
  state: PodState;
  runtimeName: string;
  /** What the API says now: a restart count must not go back, an end must not be forgotten. */
  known: corev1.ContainerStatus | undefined;
  /** What keeps it from running: it is being created, its image is missing, it is backed off. Undefined: nothing. */
  waiting: Waiting | undefined;
  /** It ended and will run again. */
  restarts: boolean;
  /** Nothing is started any more: what the runtime has forgotten is told from what the API knows. */
  ending: boolean;
  isReady(containerId: string): boolean;
  hasStarted(containerId: string): boolean;
  messageOf(container: ContainerStatus): string | undefined;
}

export function containerStatusOf(facts: ContainerFacts): corev1.ContainerStatus {
  const { spec, state, runtimeName, known, waiting } = facts;
  const latest = latestOf(state, spec.name);
  if (!latest && known && facts.ending) return endOfForgotten(known);
  const previous = previousOf(state, spec.name);
  const idOf = (container: ContainerStatus) => `${runtimeName}://${container.id}`;
  const terminated = (container: ContainerStatus): corev1.ContainerState => ({
    terminated: terminatedOf(container, idOf(container), facts.messageOf(container)),
  });
  const base = {
    name: spec.name,
    restartCount: latest ? restartCountOf(latest) : (known?.restartCount ?? 0),
    image: latest?.image || spec.image || '',
    imageID: latest?.imageId ?? '',
    ...(latest ? { containerID: idOf(latest) } : {}),
  };
  const lastState = previous ? { lastState: terminated(previous) } : latest ? {} : lastKnown(known);

  if (latest?.state === 'running') {
    const started = facts.hasStarted(latest.id);
    const startedAt = latest.startedAt ?? latest.createdAt;
    return {
      ...base,
      state: { running: { startedAt: formatTime(startedAt) } },
      ...lastState,
      ready: started && facts.isReady(latest.id),
      started,
    };
  }
  if (latest?.state === 'exited' && !(facts.restarts && waiting)) {
    const done = latest.exitCode === 0;
    return { ...base, state: terminated(latest), ...lastState, ready: done && !facts.restarts, started: false };
  }
  return {
    ...base,
    state: { waiting: waiting ?? { reason: 'ContainerCreating' } },
    ...(latest?.state === 'exited' ? { lastState: terminated(latest) } : lastState),
    ready: false,
    started: false,
  };
}

function terminatedOf(
  container: ContainerStatus,
  containerID: string,
  written: string | undefined,
): corev1.ContainerStateTerminated {
  const exitCode = container.exitCode ?? 137;
  const message = container.message ?? written;
  return {
    exitCode,
    ...(container.signal ? { signal: container.signal } : {}),
    reason: container.reason || (exitCode === 0 ? 'Completed' : 'Error'),
    ...(message ? { message } : {}),
    ...(container.startedAt === undefined ? {} : { startedAt: formatTime(container.startedAt) }),
    ...(container.finishedAt === undefined ? {} : { finishedAt: formatTime(container.finishedAt) }),
    containerID,
  };
}

function endOfForgotten(known: corev1.ContainerStatus): corev1.ContainerStatus {
  const lost = known.state?.running ? lastKnown(known).lastState : undefined;
  return { ...known, ...(lost ? { state: lost } : {}), ready: known.ready && !known.state?.running, started: false };
}

/** The runtime has no trace of a container that the API calls running or ended: the machine was restarted, or it was taken away. */
function lastKnown(known: corev1.ContainerStatus | undefined): Pick<corev1.ContainerStatus, 'lastState'> {
  if (known?.state?.terminated) return { lastState: { terminated: known.state.terminated } };
  if (!known?.state?.running) return known?.lastState ? { lastState: known.lastState } : {};
  return {
    lastState: {
      terminated: {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the agent looked for it',
        ...(known.state.running.startedAt ? { startedAt: known.state.running.startedAt } : {}),
        ...(known.containerID ? { containerID: known.containerID } : {}),
      },
    },
  };
}
