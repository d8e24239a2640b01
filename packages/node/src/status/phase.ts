/**
 * The pod's phase from its container statuses. Rules: kubernetes `pkg/kubelet` getPhase.
 *
 * Pending until every container has run once; Running while one runs or will run again; Succeeded or Failed when all have ended
 * and none comes back. A pod that is being taken down ends with what its containers ended with.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { isSidecar } from '../pod-worker/pod-state.js';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

export interface PhaseInput {
  pod: Pod;
  init: readonly corev1.ContainerStatus[];
  apps: readonly corev1.ContainerStatus[];
  /** Nothing is restarted any more. */
  ending: boolean;
  /** A container that has ended will run again, whatever the policy says: its image changed. */
  restarting: boolean;
}

export function phaseOf({ pod, init, apps, ending, restarting }: PhaseInput): Phase {
  const policy = ending ? 'Never' : restarting ? 'Always' : (pod.spec.restartPolicy ?? 'Always');
  const ran = apps.filter(({ state, lastState }) => state?.running || state?.terminated || lastState?.terminated);
  if (!isInitialized(pod, init) && ran.length === 0) {
    const failed = init.some(({ name, state }) => {
      const spec = pod.spec.initContainers?.find(container => container.name === name);
      return spec && !isSidecar(spec) && state?.terminated && state.terminated.exitCode !== 0;
    });
    return policy === 'Never' && failed ? 'Failed' : ending ? 'Failed' : 'Pending';
  }
  if (apps.some(({ state }) => state?.running)) return ran.length < apps.length ? 'Pending' : 'Running';
  if (ran.length < apps.length) return ending ? 'Failed' : 'Pending';
  const ends = apps.map(({ state, lastState }) => (state?.terminated ?? lastState?.terminated)!.exitCode);
  if (policy === 'Always') return 'Running';
  if (ends.every(code => code === 0)) return 'Succeeded';
  // OnFailure: what failed comes back.
  return policy === 'Never' ? 'Failed' : 'Running';
}

/** Init containers have ended well, sidecars have started. */
export function isInitialized(pod: Pod, init: readonly corev1.ContainerStatus[]): boolean {
  return (pod.spec.initContainers ?? []).every(spec => {
    const status = init.find(({ name }) => name === spec.name);
    return isSidecar(spec) ? status?.started === true : status?.state?.terminated?.exitCode === 0;
  });
}
