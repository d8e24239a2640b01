/** Finds what a request speaks of: a pod of this node, one of its containers, one attempt of it. Texts are the kubelet's. */
import { badRequest, type Pod, StatusError } from '@orbitkit/core';
import {
  containersOf,
  latestOf,
  type PodState,
  previousOf,
  readPodState,
  readySandbox,
  statusesOf,
} from '../pod-worker/pod-state.js';
import type { PodWorker } from '../pod-worker/pod-worker.js';
import type { ContainerStatus, Runtime, Sandbox } from '../runtime/contract.js';

export interface PodTarget {
  worker: PodWorker;
  pod: Pod;
  state: PodState;
}

/** @throws StatusError NotFound */
export async function podTarget(
  worker: PodWorker | undefined,
  runtime: Runtime,
  namespace: string,
  name: string,
): Promise<PodTarget> {
  if (!worker) throw new StatusError('NotFound', `pod "${name}" in namespace "${namespace}" is not on this node`);
  return { worker, pod: worker.pod, state: await readPodState(runtime, worker.uid) };
}

/** @throws StatusError NotFound, BadRequest */
export function runningContainer({ pod, state }: PodTarget, name: string): ContainerStatus {
  assertContainer(pod, name);
  const latest = latestOf(state, name);
  if (latest?.state === 'running') return latest;
  throw badRequest(
    `container ${name} of pod ${pod.metadata.name} is not running (${latest?.state ?? waitingReason(pod, name)})`,
  );
}

/** @throws StatusError NotFound, BadRequest */
export function loggedContainer({ pod, state }: PodTarget, name: string, previous: boolean): ContainerStatus {
  assertContainer(pod, name);
  const latest = latestOf(state, name);
  const last = previousOf(state, name);
  const found = previous ? last : latest?.state === 'created' ? last : latest;
  if (found) return found;
  throw badRequest(
    previous
      ? `previous terminated container "${name}" in pod "${pod.metadata.name}" not found`
      : `container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${waitingReason(pod, name)}`,
  );
}

/**
 * Whether a container whose log is followed may still write.
 * @param stateOf What its worker looked at last, which may be older than `logged`; undefined once the pod is gone.
 */
export function mayStillWrite(logged: ContainerStatus, stateOf: () => PodState | undefined): () => boolean {
  let known = false;
  return () => {
    const state = stateOf();
    if (!state) return false;
    const now = state.containers.find(({ id }) => id === logged.id);
    if (!now) return !known && logged.state === 'running';
    known = true;
    return now.state === 'running' || (now.state === 'created' && logged.state === 'running');
  };
}

/** @throws StatusError BadRequest */
export function sandboxOf({ pod, state }: PodTarget): Sandbox {
  const sandbox = readySandbox(state);
  if (!sandbox) throw badRequest(`pod ${pod.metadata.name} is not running: it has no sandbox that is ready`);
  return sandbox;
}

function assertContainer(pod: Pod, name: string): void {
  if (containersOf(pod).some(container => container.name === name)) return;
  throw new StatusError('NotFound', `container "${name}" not found in pod "${pod.metadata.name}"`);
}

function waitingReason(pod: Pod, name: string): string {
  return statusesOf(pod).find(status => status.name === name)?.state?.waiting?.reason ?? 'ContainerCreating';
}
