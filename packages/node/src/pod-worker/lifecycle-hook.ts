/**
 * postStart and preStop: a command in the container, an HTTP GET or a TCP connection to the pod, or a pause.
 *
 * Resolves when the hook succeeded; rejects with what went wrong. The signal bounds it.
 */
import type { Clock, corev1 } from '@orbitkit/core';
import { connectTo, httpGet, portOf, runCommand } from '../probes/actions.js';
import type { Capability, Runtime } from '../runtime/contract.js';

export interface HookTarget {
  container: corev1.Container;
  containerId: string;
  /** The pod's address, or the node's with host network. */
  address: string | undefined;
  runtime: Runtime;
  clock: Clock;
}

export async function runHook(
  handler: corev1.LifecycleHandler,
  target: HookTarget,
  signal: AbortSignal,
): Promise<void> {
  const { container, containerId, address, runtime, clock } = target;
  const capabilities: ReadonlySet<Capability> = runtime.capabilities;
  if (handler.exec) {
    const { exitCode, output } = await runCommand(runtime, containerId, handler.exec.command ?? [], signal);
    if (exitCode !== 0) throw new Error(`command ended with exit code ${exitCode}${output ? `: ${output}` : ''}`);
  } else if (handler.httpGet) {
    const { status } = await httpGet(handler.httpGet, container, address, capabilities, signal);
    if (status >= 400) throw new Error(`HTTP answer ${status}`);
  } else if (handler.tcpSocket) {
    const port = portOf(handler.tcpSocket.port, container, capabilities);
    await connectTo(handler.tcpSocket.host || address, port, signal);
  } else if (handler.sleep) {
    await clock.sleep(handler.sleep.seconds * 1000, signal);
  } else {
    throw new Error('the hook names no action (exec, httpGet, tcpSocket or sleep)');
  }
}
