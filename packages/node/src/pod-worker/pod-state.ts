/**
 * What the runtime knows of one pod, newest first, and how to read it.
 *
 * The restart count stands on the container as a label, so that it goes on after the agent's own restart; the attempt that the
 * runtime sees is the same number.
 */
import { createHash } from 'node:crypto';
import type { corev1, Pod } from '@orbitkit/core';
import { labels } from '../agent/labels.js';
import type { ContainerStatus, Runtime, Sandbox } from '../runtime/contract.js';

export interface PodState {
  /** Newest first. */
  sandboxes: readonly Sandbox[];
  /** Of all its sandboxes, newest first. */
  containers: readonly ContainerStatus[];
}

export const emptyPodState: PodState = { sandboxes: [], containers: [] };

export function podStateOf(sandboxes: readonly Sandbox[], containers: readonly ContainerStatus[]): PodState {
  return {
    sandboxes: [...sandboxes].sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt),
    containers: [...containers].sort((a, b) => restartCountOf(b) - restartCountOf(a) || b.createdAt - a.createdAt),
  };
}

/** A fresh list of one pod. */
export async function readPodState(runtime: Runtime, uid: string): Promise<PodState> {
  const sandboxes = (await runtime.listSandboxes()).filter(sandbox => sandbox.uid === uid);
  const containers = await Promise.all(sandboxes.map(({ id }) => runtime.listContainers(id)));
  return podStateOf(sandboxes, containers.flat());
}

export function restartCountOf(container: ContainerStatus): number {
  const count = Number(container.labels[labels.restartCount]);
  return Number.isInteger(count) && count >= 0 ? count : container.attempt;
}

/** The sandbox that containers may be started in. */
export const readySandbox = (state: PodState): Sandbox | undefined =>
  state.sandboxes[0]?.state === 'ready' ? state.sandboxes[0] : undefined;

export const latestOf = (state: PodState, name: string): ContainerStatus | undefined =>
  state.containers.find(container => container.name === name);

/** The newest one that has ended and is not the latest. */
export function previousOf(state: PodState, name: string): ContainerStatus | undefined {
  const latest = latestOf(state, name);
  return state.containers.find(other => other.name === name && other !== latest && other.state === 'exited');
}

/** An init container that runs beside the others and is restarted by itself. */
export const isSidecar = (container: corev1.Container): boolean => container.restartPolicy === 'Always';

/** Containers for a look inside: added while the pod runs, started once, never again. */
export const ephemeralOf = (pod: Pod): corev1.Container[] =>
  (pod.spec.ephemeralContainers ?? []) as readonly Omit<
    corev1.EphemeralContainer,
    'restartPolicy'
  >[] as corev1.Container[];

export const containersOf = (pod: Pod): corev1.Container[] => [
  ...(pod.spec.initContainers ?? []),
  ...pod.spec.containers,
  ...ephemeralOf(pod),
];

/** What the API remembers of a container. */
export const statusesOf = ({ status }: Pod): corev1.ContainerStatus[] => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
  ...(status?.ephemeralContainerStatuses ?? []),
];

/** Name and image: the only fields of a running container that may change (upstream's choice since 1.31). */
export function specHashOf(container: corev1.Container): string {
  return createHash('sha256')
    .update(JSON.stringify([container.name, container.image ?? '']))
    .digest('hex')
    .slice(0, 16);
}

export const graceSecondsOf = (pod: Pod): number =>
  Math.max(1, pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30);
