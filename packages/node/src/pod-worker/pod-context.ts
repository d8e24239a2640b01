/** One pod as the parts of its worker see it: what is wanted and what runs now, and how to speak and be woken. */
import type { corev1, Pod } from '@orbitkit/core';
import type { ImageReport } from '../images/image-puller.js';
import type { PayloadInput } from '../volumes/payload.js';
import type { PodHost } from './pod-host.js';
import { containersOf, type PodState, readySandbox } from './pod-state.js';
import type { Tasks } from './tasks.js';

export interface PodContext {
  readonly host: PodHost;
  readonly tasks: Tasks;
  readonly uid: string;
  /** As the API has it. */
  pod(): Pod;
  /** As the runtime was last looked at. */
  state(): PodState;
  event: ImageReport;
  wake(): void;
  /** Wakes the worker then, or earlier. */
  wakeIn(ms: number): void;
}

export const specOf = (context: PodContext, name: string): corev1.Container | undefined =>
  containersOf(context.pod()).find(container => container.name === name);

/** The pod's address, or the node's with host network. */
export function addressOf({ pod, host, state }: PodContext): string | undefined {
  return pod().spec.hostNetwork ? host.settings.address : readySandbox(state())?.ip;
}

export function payloadInputOf(context: PodContext, signal: AbortSignal): PayloadInput {
  const { settings, allocatable, references, tokens } = context.host;
  const address = addressOf(context);
  return {
    pod: context.pod(),
    place: { nodeName: settings.name, hostIPs: [settings.address], podIPs: address ? [address] : [] },
    allocatable,
    references,
    tokens,
    signal,
  };
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
