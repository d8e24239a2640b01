/**
 * A pod's whole status, put together: pure, so that writing it twice is writing it once.
 *
 * What others own is kept: qosClass, nominatedNodeName, foreign conditions. A phase that has ended does not come back.
 */
import { type corev1, formatTime, type Pod } from '@orbitkit/core';
import { ephemeralOf, isSidecar, latestOf, type PodState, readySandbox } from '../pod-worker/pod-state.js';
import type { ContainerStatus } from '../runtime/contract.js';
import { conditionsOf } from './conditions.js';
import { containerStatusOf, type Waiting } from './container-status.js';
import { isInitialized, type Phase, phaseOf } from './phase.js';

export interface PodStatusInput {
  pod: Pod;
  state: PodState;
  now: number;
  runtimeName: string;
  hostIPs: readonly string[];
  /** What keeps a container from running, by name; undefined for nothing known. */
  waiting(name: string): Waiting | undefined;
  /** An ended container that comes back. */
  restarts(container: ContainerStatus): boolean;
  isReady(containerId: string): boolean;
  hasStarted(containerId: string): boolean;
  messageOf(container: ContainerStatus): string | undefined;
  /** Nothing is restarted any more. */
  ending: boolean;
  /** Set by the node's own decision: refused, past its deadline. */
  verdict?: { phase: Phase; reason: string; message: string };
  blocked?: string;
  limitations: readonly string[];
}

export function podStatusOf(input: PodStatusInput): corev1.PodStatus {
  const { pod, state, verdict } = input;
  const known = pod.status ?? {};
  const ended = known.phase === 'Succeeded' || known.phase === 'Failed' ? known.phase : undefined;
  const sandbox = readySandbox(state);
  const statusesOf = (
    specs: readonly corev1.Container[],
    before: readonly corev1.ContainerStatus[] | undefined,
    kind: 'init' | 'app' | 'ephemeral',
  ) =>
    specs.map((spec, index) => {
      const latest = latestOf(state, spec.name);
      return containerStatusOf({
        spec,
        state,
        runtimeName: input.runtimeName,
        known: before?.find(({ name }) => name === spec.name),
        ending: input.ending || ended !== undefined,
        waiting: input.waiting(spec.name) ?? defaultWaiting(kind === 'init' ? index : undefined),
        restarts:
          latest !== undefined &&
          kind !== 'ephemeral' &&
          !input.ending &&
          (kind === 'init' && !isSidecar(spec) && latest.exitCode === 0 ? false : input.restarts(latest)),
        isReady: input.isReady,
        hasStarted: input.hasStarted,
        messageOf: input.messageOf,
      });
    });
  const init = statusesOf(pod.spec.initContainers ?? [], known.initContainerStatuses, 'init');
  const initialized = isInitialized(pod, init);
  const apps = statusesOf(pod.spec.containers, known.containerStatuses, 'app').map(status =>
    !initialized && status.state?.waiting?.reason === 'ContainerCreating'
      ? { ...status, state: { waiting: { ...status.state.waiting, reason: 'PodInitializing' } } }
      : status,
  );
  const restarting = pod.spec.containers.some(({ name }) => {
    const latest = latestOf(state, name);
    return latest?.state === 'exited' && input.restarts(latest);
  });
  const ephemeral = statusesOf(ephemeralOf(pod), known.ephemeralContainerStatuses, 'ephemeral').map(
    ({ started: _, ...status }) => ({ ...status, ready: false }),
  );
  const phase = verdict?.phase ?? ended ?? phaseOf({ pod, init, apps, ending: input.ending, restarting });
  const conditions = conditionsOf(
    {
      pod,
      phase,
      init,
      apps,
      sandboxReady: sandbox !== undefined,
      limitations: input.limitations,
      now: input.now,
      ...(input.blocked ? { blocked: input.blocked } : {}),
    },
    known.conditions,
  );
  const podIPs = podIPsOf(input, sandbox?.ip);
  const {
    reason,
    message,
    initContainerStatuses: _init,
    containerStatuses: _apps,
    ephemeralContainerStatuses: _ephemeral,
    ...rest
  } = known;
  const explained = verdict ?? (ended && reason ? { reason, message } : undefined);
  return {
    ...rest,
    phase,
    conditions,
    ...(explained ? { reason: explained.reason!, ...(explained.message ? { message: explained.message } : {}) } : {}),
    hostIP: input.hostIPs[0]!,
    hostIPs: input.hostIPs.map(ip => ({ ip })),
    ...(podIPs.length > 0 ? { podIP: podIPs[0]!, podIPs: podIPs.map(ip => ({ ip })) } : {}),
    startTime: known.startTime ?? formatTime(input.now),
    ...(init.length > 0 ? { initContainerStatuses: init } : {}),
    containerStatuses: apps,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: ephemeral } : {}),
  };
}

function defaultWaiting(initIndex: number | undefined): Waiting {
  return { reason: initIndex !== undefined && initIndex > 0 ? 'PodInitializing' : 'ContainerCreating' };
}

/** An address that was, stays in the status of a pod that has ended: it tells where it was. */
function podIPsOf({ pod, hostIPs }: PodStatusInput, ip: string | undefined): readonly string[] {
  if (pod.spec.hostNetwork) return hostIPs;
  if (ip) return [ip];
  return pod.status?.podIP ? [pod.status.podIP] : [];
}
