/**
 * The simulated machine: pods, containers and images as plain records on an injected clock.
 *
 * It outlives the runtime objects that look at it, as a real machine outlives an agent. A container costs one record and
 * at most one timer, so that thousands of pods fit in one process. Nothing touches the disk but the logs of programs that
 * have output.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '@orbitkit/core';
import { type AddressAllocator, addressAllocator, parseRange } from '../../network/address-range.js';
import {
  type ContainerConfig,
  type ContainerStatus,
  RuntimeError,
  type Sandbox,
  type SandboxConfig,
} from '../contract.js';
import { type EventStream, eventStream } from '../event-stream.js';
import { formatLogLine } from '../log-format.js';
import type { SimulatedProgram } from './program.js';

export interface SimulatedContainer {
  config: ContainerConfig;
  status: ContainerStatus;
  program: SimulatedProgram;
  timers: { cancel(): void }[];
  /** Called when it ends: waiting stops, attached readers, running execs. */
  onEnd: Set<() => void>;
  /** Attached readers. */
  onOutput: Set<(stream: 'stdout' | 'stderr', text: string) => void>;
}

export interface SimulatedSandbox {
  config: SandboxConfig;
  status: Sandbox;
  containers: Map<string, SimulatedContainer>;
}

export interface Machine {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly sandboxes: Map<string, SimulatedSandbox>;
  readonly containers: Map<string, SimulatedContainer>;
  /** `<uid>/<attempt>` of every sandbox. */
  readonly attempts: Set<string>;
  newId(prefix: string): string;
  takeAddress(podCIDR: string | undefined): string;
  releaseAddress(address: string): void;
  start(container: SimulatedContainer): void;
  end(
    container: SimulatedContainer,
    how: { exitCode: number; signal?: number; reason?: string; message?: string },
  ): void;
  changed(container: SimulatedContainer): void;
}

const defaultPodCIDR = '10.0.0.0/8';

export function simulatedMachine(clock: Clock): Machine {
  const allocators = new Map<string, AddressAllocator>();
  let sequence = 0;

  const machine: Machine = {
    clock,
    events: eventStream(),
    sandboxes: new Map(),
    containers: new Map(),
    attempts: new Set(),
    newId(prefix) {
      sequence += 1;
      return `${prefix}-${sequence}`;
    },
    takeAddress(podCIDR) {
      const range = parseRange(podCIDR ?? defaultPodCIDR);
      let allocator = allocators.get(range.cidr);
      if (!allocator) {
        allocator = addressAllocator(range);
        allocators.set(range.cidr, allocator);
      }
      try {
        return allocator.take();
      } catch (error) {
        throw new RuntimeError('Unavailable', (error as Error).message, { cause: error });
      }
    },
    releaseAddress(address) {
      for (const allocator of allocators.values()) allocator.release(address);
    },
    start(container) {
      const { program, status } = container;
      status.state = 'running';
      status.startedAt = clock.now();
      for (const line of program.output ?? []) {
        if (typeof line === 'string') write(container, 'stdout', line);
        else
          container.timers.push(
            clock.setTimer(line.afterMs, () => write(container, line.stream ?? 'stdout', line.text)),
          );
      }
      if (program.runMs !== undefined) {
        const { exitCode = 0, reason } = program;
        container.timers.push(
          clock.setTimer(program.runMs, () => machine.end(container, { exitCode, ...(reason ? { reason } : {}) })),
        );
      }
      machine.changed(container);
    },
    end(container, { exitCode, signal, reason, message }) {
      const { status } = container;
      if (status.state !== 'running') return;
      for (const timer of container.timers.splice(0)) timer.cancel();
      status.state = 'exited';
      status.finishedAt = clock.now();
      status.exitCode = exitCode;
      status.reason = reason ?? (exitCode === 0 ? 'Completed' : 'Error');
      if (signal !== undefined) status.signal = signal;
      if (message !== undefined) status.message = message;
      for (const listener of [...container.onEnd]) listener();
      container.onEnd.clear();
      machine.changed(container);
    },
    changed: ({ status }) => machine.events.emit({ sandboxId: status.sandboxId, containerId: status.id }),
  };

  function write(container: SimulatedContainer, stream: 'stdout' | 'stderr', text: string): void {
    mkdirSync(dirname(container.status.logPath), { recursive: true });
    appendFileSync(container.status.logPath, formatLogLine(clock.now(), stream, text));
    for (const listener of container.onOutput) listener(stream, `${text}\n`);
  }
  return machine;
}

export function logPathOf(sandbox: SandboxConfig, container: ContainerConfig): string {
  return join(sandbox.logDirectory, container.name, `${container.attempt}.log`);
}
