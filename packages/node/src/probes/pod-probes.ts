/**
 * The probes of one pod: a prober for each probe of each running container, and what they say together.
 *
 * A container without a startup probe has started; one without a readiness probe is ready. Liveness and readiness wait for the
 * startup probe. `sync` is called whenever the pod's containers may have changed; it starts and stops probers to fit.
 */
import type { Clock, corev1 } from '@orbitkit/core';
import type { ContainerStatus, Runtime } from '../runtime/contract.js';
import type { ProbeOutcome } from './probe.js';
import { runProbe } from './probe.js';
import { type Prober, type ProbeType, prober } from './prober.js';

export interface PodProbes {
  sync(running: readonly { spec: corev1.Container; status: ContainerStatus }[], address: string | undefined): void;
  /** The pod is being stopped: readiness goes on, nothing is restarted any more. */
  stopRestarting(): void;
  stop(): void;
  isReady(containerId: string): boolean;
  hasStarted(containerId: string): boolean;
  /** The probe that has given up on the container. */
  verdict(containerId: string): 'liveness' | 'startup' | undefined;
}

export interface PodProbesOptions {
  runtime: Runtime;
  clock: Clock;
  onChange(): void;
  /** Each failed probe, with upstream's words. */
  onUnhealthy(container: corev1.Container, message: string): void;
}

interface Probed {
  probers: Map<ProbeType, Prober>;
}

const fieldOf = { liveness: 'livenessProbe', readiness: 'readinessProbe', startup: 'startupProbe' } as const;
const types: readonly ProbeType[] = ['startup', 'readiness', 'liveness'];

export function podProbes(options: PodProbesOptions): PodProbes {
  const { runtime, clock, onChange, onUnhealthy } = options;
  const probed = new Map<string, Probed>();
  let address: string | undefined;
  let restarting = true;

  const resultOf = (containerId: string, type: ProbeType) => probed.get(containerId)?.probers.get(type)?.result;
  const hasStarted = (containerId: string): boolean => {
    const result = resultOf(containerId, 'startup');
    return result === undefined ? probed.has(containerId) : result === 'success';
  };

  function start(spec: corev1.Container, status: ContainerStatus): void {
    const probers = new Map<ProbeType, Prober>();
    probed.set(status.id, { probers });
    for (const type of types) {
      const probe = spec[fieldOf[type]];
      if (!probe || (!restarting && type !== 'readiness')) continue;
      const ask = (signal: AbortSignal): Promise<ProbeOutcome> =>
        runProbe(probe, { container: spec, containerId: status.id, address, runtime, clock }, signal);
      const made = prober({
        type,
        probe,
        clock,
        startedAt: status.startedAt ?? clock.now(),
        mayAsk: () => type === 'startup' || hasStarted(status.id),
        ask,
        onFailure: output => {
          const name = `${type[0]!.toUpperCase()}${type.slice(1)}`;
          onUnhealthy(spec, `${name} probe failed: ${output}`);
        },
        onChange: () => {
          if (type === 'startup') for (const [other, its] of probers) if (other !== 'startup') its.hurry();
          onChange();
        },
      });
      probers.set(type, made);
    }
  }

  function end(containerId: string): void {
    for (const its of probed.get(containerId)?.probers.values() ?? []) its.stop();
    probed.delete(containerId);
  }

  return {
    sync(running, podAddress) {
      address = podAddress;
      const ids = new Set(running.map(({ status }) => status.id));
      for (const id of probed.keys()) if (!ids.has(id)) end(id);
      for (const { spec, status } of running) if (!probed.has(status.id)) start(spec, status);
    },
    stopRestarting() {
      restarting = false;
      for (const { probers } of probed.values()) {
        for (const [type, its] of probers) if (type !== 'readiness') its.stop();
      }
    },
    stop() {
      for (const id of [...probed.keys()]) end(id);
    },
    hasStarted,
    isReady: id => hasStarted(id) && (resultOf(id, 'readiness') ?? 'success') === 'success',
    verdict(id) {
      if (!restarting) return undefined;
      if (resultOf(id, 'startup') === 'failure') return 'startup';
      return resultOf(id, 'liveness') === 'failure' ? 'liveness' : undefined;
    },
  };
}
