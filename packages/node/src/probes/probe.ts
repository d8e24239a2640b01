/**
 * One probe, once: is the container well?
 *
 * `success`, `failure` with what was seen, or `unknown` when the question could not be put (the container is not there, the
 * runtime is away): unknown changes nothing. The timeout counts as a failure. Words of the outputs: kubernetes `pkg/probe`.
 */
import type { Clock, corev1 } from '@orbitkit/core';
import { isRuntimeError, type Runtime } from '../runtime/contract.js';
import { connectTo, httpGet, portOf, runCommand } from './actions.js';

export type ProbeOutcome = { result: 'success' } | { result: 'failure' | 'unknown'; output: string };

export interface ProbeTarget {
  container: corev1.Container;
  containerId: string;
  address: string | undefined;
  runtime: Runtime;
  clock: Clock;
}

const failure = (output: string): ProbeOutcome => ({ result: 'failure', output });

/** Marks the abort that our own timeout caused. */
const timedOut = Symbol('timed out');

export async function runProbe(probe: corev1.Probe, target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds || 1) * 1000;
  const limit = new AbortController();
  const timer = target.clock.setTimer(timeoutMs, () => limit.abort(timedOut));
  try {
    return await ask(probe, target, AbortSignal.any([signal, limit.signal]));
  } catch (error) {
    if (limit.signal.reason === timedOut) return failure(`timed out after ${timeoutMs / 1000}s`);
    if (signal.aborted) return { result: 'unknown', output: 'stopped' };
    const message = error instanceof Error ? error.message : String(error);
    if (isRuntimeError(error) && error.reason !== 'StartFailed') return { result: 'unknown', output: message };
    return failure(message);
  } finally {
    timer.cancel();
  }
}

async function ask(probe: corev1.Probe, target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  const { container, containerId, address, runtime } = target;
  if (probe.exec) {
    const { exitCode, output } = await runCommand(runtime, containerId, probe.exec.command ?? [], signal);
    return exitCode === 0 ? { result: 'success' } : failure(output || `command ended with exit code ${exitCode}`);
  }
  if (probe.httpGet) {
    const { status } = await httpGet(probe.httpGet, container, address, runtime.capabilities, signal);
    return status >= 200 && status < 400
      ? { result: 'success' }
      : failure(`HTTP probe failed with statuscode: ${status}`);
  }
  if (probe.tcpSocket) {
    const port = portOf(probe.tcpSocket.port, container, runtime.capabilities);
    await connectTo(probe.tcpSocket.host || address, port, signal);
    return { result: 'success' };
  }
  return failure(
    probe.grpc
      ? 'gRPC probes are not supported by this node; use httpGet, tcpSocket or exec'
      : 'the probe names no action (exec, httpGet or tcpSocket)',
  );
}
