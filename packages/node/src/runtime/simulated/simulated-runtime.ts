/**
 * A runtime without processes: every clause of the contract, in memory, on an injected clock.
 *
 * The agent's tests and the simulator run thousands of nodes on it in one process. What containers do is scripted
 * (`SimulatedProgram`); failures are injected with `failNext` and `setUnavailable`; with a manual clock nothing happens
 * until time is moved. It isolates perfectly, so it has every capability unless told otherwise.
 */
import { Duplex } from 'node:stream';
import { type Clock, systemClock } from '@orbitkit/core';
import {
  type Capability,
  type ContainerStatus,
  type ExecRequest,
  everyCapability,
  type ImageStatus,
  type Runtime,
  RuntimeError,
  type Sandbox,
} from '../contract.js';
import { eventStream } from '../event-stream.js';
import {
  logPathOf,
  type Machine,
  type SimulatedContainer,
  type SimulatedSandbox,
  simulatedMachine,
} from './machine.js';
import type { ProgramFor, SimulatedProgram } from './program.js';

/** How long things take, and what is scripted. Everything has a default. */
export interface SimulatedRuntimeOptions {
  /** Default: the system's clock. */
  clock?: Clock;
  /** How long a sandbox takes to come up, a container to start, an image to pull. Defaults 0. */
  sandboxMs?: number;
  /** As `sandboxMs`, of a container. */
  startMs?: number;
  /** As `sandboxMs`, of an image. */
  pullMs?: number;
  /** What a container does, asked once at its creation. Default: the empty program, which runs until stopped. */
  program?: ProgramFor;
  /** Whether an image can be pulled; a string is the reason why not. Default: every image can. */
  pullable?: (image: string) => true | string;
  /** Images present from the start. Others must be pulled first. */
  images?: readonly string[];
  /** Default: all of them. */
  capabilities?: Iterable<Capability>;
}

type Operation = {
  [K in keyof Runtime]: Runtime[K] extends (...args: any[]) => Promise<any> ? K : never;
}[keyof Runtime];

/** A runtime with the handles by which a test makes things happen. */
export interface SimulatedRuntime extends Runtime {
  /** Ends a running container now, as if its program had. */
  exit(containerId: string, exitCode: number, reason?: string): void;
  /** The next `times` (1) calls of this operation reject with the error, and change nothing. */
  failNext(operation: Operation, error: Error, times?: number): void;
  /** Every operation rejects with `Unavailable` and this message until called with undefined. Containers go on. */
  setUnavailable(message: string | undefined): void;
  /** Another runtime object over the same machine: what an agent finds after its restart. */
  reopen(): SimulatedRuntime;
}

/** A new simulated machine, empty; `reopen()` gives further runtimes over the same one. */
export function simulatedRuntime(options: SimulatedRuntimeOptions = {}): SimulatedRuntime {
  const images = new Map<string, ImageStatus>();
  for (const image of options.images ?? []) images.set(image, imageNamed(image));
  return open(simulatedMachine(options.clock ?? systemClock), images, options);
}

function imageNamed(image: string): ImageStatus {
  return { id: `simulated:${image}`, references: [image], sizeBytes: 0 };
}

function open(machine: Machine, images: Map<string, ImageStatus>, options: SimulatedRuntimeOptions): SimulatedRuntime {
  const { clock } = machine;
  const failures = new Map<Operation, { error: Error; times: number }>();
  const events = eventStream();
  const lifetime = new AbortController();
  let unavailable: string | undefined;
  let forwarding: Promise<void> | undefined;

  /** Passes the machine's events on to the readers of this object, from the first reader on. */
  async function forwardEvents(): Promise<void> {
    for await (const event of machine.events.subscribe(lifetime.signal)) events.emit(event);
  }

  function enter(operation: Operation): void {
    if (unavailable !== undefined) throw new RuntimeError('Unavailable', unavailable);
    if (lifetime.signal.aborted) throw new RuntimeError('Unavailable', 'this runtime is closed');
    const failure = failures.get(operation);
    if (!failure) return;
    failure.times -= 1;
    if (failure.times <= 0) failures.delete(operation);
    throw failure.error;
  }

  function sandboxOf(id: string): SimulatedSandbox {
    const sandbox = machine.sandboxes.get(id);
    if (!sandbox) throw new RuntimeError('NotFound', `there is no sandbox ${id}`);
    return sandbox;
  }

  function containerOf(id: string): SimulatedContainer {
    const container = machine.containers.get(id);
    if (!container) throw new RuntimeError('NotFound', `there is no container ${id}`);
    return container;
  }

  function runningOf(id: string): SimulatedContainer {
    const container = containerOf(id);
    if (container.status.state !== 'running') {
      throw new RuntimeError('NotRunning', `container ${container.config.name} (${id}) is ${container.status.state}`);
    }
    return container;
  }

  const kill = (container: SimulatedContainer) => machine.end(container, { exitCode: 137, signal: 9 });
  const take = async (ms: number | undefined, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    if (ms) await clock.sleep(ms, signal);
  };

  /** Resolves when the container ends; rejects when the signal aborts first. */
  function ended(container: SimulatedContainer, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = () => {
        container.onEnd.delete(done);
        reject(signal!.reason);
      };
      if (container.status.state !== 'running') return resolve();
      if (signal?.aborted) return reject(signal.reason);
      container.onEnd.add(done);
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  function stop(sandboxId: string): void {
    const sandbox = machine.sandboxes.get(sandboxId);
    if (sandbox?.status.state !== 'ready') return;
    for (const container of sandbox.containers.values()) kill(container);
    sandbox.status.state = 'not-ready';
    if (sandbox.status.ip) machine.releaseAddress(sandbox.status.ip);
    delete sandbox.status.ip;
    machine.events.emit({ sandboxId });
  }

  const runtime: SimulatedRuntime = {
    name: 'simulated',
    capabilities: new Set(options.capabilities ?? everyCapability),
    async version() {
      enter('version');
      return { name: 'simulated', version: '1' };
    },

    async runSandbox(config, signal) {
      enter('runSandbox');
      await take(options.sandboxMs, signal);
      const key = `${config.uid}/${config.attempt}`;
      if (machine.attempts.has(key)) {
        throw new RuntimeError(
          'InvalidConfig',
          `pod ${config.namespace}/${config.name} has a sandbox with attempt ${config.attempt}`,
        );
      }
      const { name, namespace, uid, attempt, labels } = config;
      const status: Sandbox = {
        id: machine.newId('sandbox'),
        name,
        namespace,
        uid,
        attempt,
        state: 'ready',
        createdAt: clock.now(),
        labels: { ...labels },
      };
      if (!config.hostNetwork) status.ip = machine.takeAddress(config.podCIDR);
      machine.attempts.add(key);
      machine.sandboxes.set(status.id, { config, status, containers: new Map() });
      machine.events.emit({ sandboxId: status.id });
      return { ...status };
    },
    async stopSandbox(id) {
      enter('stopSandbox');
      stop(id);
    },
    async removeSandbox(id) {
      enter('removeSandbox');
      const sandbox = machine.sandboxes.get(id);
      if (!sandbox) return;
      stop(id);
      for (const containerId of sandbox.containers.keys()) machine.containers.delete(containerId);
      machine.sandboxes.delete(id);
      machine.attempts.delete(`${sandbox.status.uid}/${sandbox.status.attempt}`);
      machine.events.emit({ sandboxId: id });
    },
    async listSandboxes() {
      enter('listSandboxes');
      return [...machine.sandboxes.values()].map(({ status }) => ({ ...status }));
    },

    async createContainer(sandboxId, config, signal) {
      enter('createContainer');
      signal?.throwIfAborted();
      const sandbox = sandboxOf(sandboxId);
      if (sandbox.status.state !== 'ready')
        throw new RuntimeError('InvalidConfig', `sandbox ${sandboxId} is not ready`);
      const image = images.get(config.image);
      if (!image) throw new RuntimeError('ImageNotPresent', `image ${config.image} is not present; pull it first`);
      for (const { config: other } of sandbox.containers.values()) {
        if (other.name === config.name && other.attempt === config.attempt) {
          throw new RuntimeError(
            'InvalidConfig',
            `container ${config.name} has an attempt ${config.attempt} in this sandbox`,
          );
        }
      }
      const status: ContainerStatus = {
        id: machine.newId('container'),
        sandboxId,
        name: config.name,
        attempt: config.attempt,
        state: 'created',
        image: config.image,
        imageId: image.id,
        createdAt: clock.now(),
        logPath: logPathOf(sandbox.config, config),
        labels: { ...config.labels },
      };
      const program: SimulatedProgram = options.program?.(config, { ...sandbox.status }) ?? {};
      const container: SimulatedContainer = {
        config,
        status,
        program,
        timers: [],
        onEnd: new Set(),
        onOutput: new Set(),
      };
      sandbox.containers.set(status.id, container);
      machine.containers.set(status.id, container);
      machine.changed(container);
      return status.id;
    },
    async startContainer(id) {
      enter('startContainer');
      const container = containerOf(id);
      if (container.status.state === 'running') return;
      if (container.status.state === 'exited') throw new RuntimeError('StartFailed', `container ${id} has already run`);
      await take(options.startMs);
      if (!machine.containers.has(id) || container.status.state !== 'created') {
        throw new RuntimeError('StartFailed', `container ${id} was taken away while it started`);
      }
      const { startError } = container.program;
      if (startError !== undefined) {
        Object.assign(container.status, {
          state: 'exited',
          exitCode: 128,
          reason: 'StartError',
          message: startError,
          finishedAt: clock.now(),
        });
        machine.changed(container);
        throw new RuntimeError('StartFailed', startError);
      }
      machine.start(container);
    },
    async stopContainer(id, graceMs) {
      enter('stopContainer');
      const container = machine.containers.get(id);
      if (container?.status.state !== 'running') return;
      if (!container.program.ignoresTerm) return machine.end(container, { exitCode: 0 });
      const timer = clock.setTimer(graceMs, () => kill(container));
      await ended(container);
      timer.cancel();
    },
    async removeContainer(id) {
      enter('removeContainer');
      const container = machine.containers.get(id);
      if (!container) return;
      kill(container);
      machine.containers.delete(id);
      machine.sandboxes.get(container.status.sandboxId)?.containers.delete(id);
      machine.changed(container);
    },
    async listContainers(sandboxId) {
      enter('listContainers');
      const from = sandboxId === undefined ? machine.containers : machine.sandboxes.get(sandboxId)?.containers;
      return [...(from?.values() ?? [])].map(({ status }) => ({ ...status }));
    },
    async containerStatus(id) {
      enter('containerStatus');
      return { ...containerOf(id).status };
    },

    async exec(containerId, request) {
      enter('exec');
      const container = runningOf(containerId);
      const result = (await container.program.exec?.(request.command)) ?? {};
      if (result.startError !== undefined) throw new RuntimeError('StartFailed', result.startError);
      if (result.stdout) await request.onStdout(Buffer.from(result.stdout));
      if (result.stderr) await request.onStderr(Buffer.from(result.stderr));
      if (result.echo) for await (const chunk of request.stdin ?? []) await request.onStdout(chunk);
      if (result.runMs !== undefined) {
        const end = new AbortController();
        const signal = request.signal ? AbortSignal.any([request.signal, end.signal]) : end.signal;
        try {
          await Promise.race([clock.sleep(result.runMs, signal), ended(container, signal)]);
        } finally {
          end.abort();
        }
        if (container.status.state !== 'running') return 137;
      }
      return result.exitCode ?? 0;
    },
    async attach(containerId, request) {
      enter('attach');
      if (!runtime.capabilities.has('attach')) throw new RuntimeError('Unsupported', 'this simulation has no attach');
      const container = runningOf(containerId);
      const onOutput = (stream: 'stdout' | 'stderr', text: string) =>
        (stream === 'stdout' ? request.onStdout : request.onStderr)(Buffer.from(text));
      container.onOutput.add(onOutput);
      try {
        await attached(container, request);
      } finally {
        container.onOutput.delete(onOutput);
      }
    },
    async portForward(sandboxId, port) {
      enter('portForward');
      if (!runtime.capabilities.has('port-forward'))
        throw new RuntimeError('Unsupported', 'this simulation forwards no ports');
      for (const { status, program } of sandboxOf(sandboxId).containers.values()) {
        const answer = status.state === 'running' ? program.ports?.[port] : undefined;
        if (answer) return answering(answer);
      }
      throw new RuntimeError('ConnectionRefused', `nothing listens on port ${port} in sandbox ${sandboxId}`);
    },

    async imageStatus(image) {
      enter('imageStatus');
      return images.get(image);
    },
    async pullImage(image, pull = {}) {
      enter('pullImage');
      await take(options.pullMs, pull.signal);
      const verdict = options.pullable?.(image) ?? true;
      if (verdict !== true) throw new RuntimeError('ImagePullFailed', verdict);
      const status = imageNamed(image);
      images.set(image, status);
      return status;
    },
    async listImages() {
      enter('listImages');
      return [...images.values()];
    },

    async stats() {
      enter('stats');
      const timestamp = clock.now();
      return [...machine.containers.values()]
        .filter(({ status }) => status.state === 'running')
        .map(({ status, program: { usage = {} } }) => ({
          id: status.id,
          timestamp,
          cpuNanos: Math.round((timestamp - status.startedAt!) * 1_000 * (usage.cpuMillis ?? 0)),
          memoryWorkingSetBytes: usage.memoryBytes ?? 0,
        }));
    },
    events(signal) {
      forwarding ??= forwardEvents();
      return events.subscribe(signal);
    },
    async close() {
      lifetime.abort();
      events.close();
      await forwarding;
    },

    exit(containerId, exitCode, reason) {
      machine.end(containerOf(containerId), { exitCode, ...(reason ? { reason } : {}) });
    },
    failNext(operation, error, times = 1) {
      failures.set(operation, { error, times });
    },
    setUnavailable(message) {
      unavailable = message;
    },
    reopen: () => open(machine, images, options),
  };

  /** Until the container ends or the signal aborts, which ends an attach and not the container. */
  async function attached(container: SimulatedContainer, request: Omit<ExecRequest, 'command'>): Promise<void> {
    void passInput(container, request);
    try {
      await ended(container, request.signal);
    } catch (error) {
      if (!request.signal?.aborted) throw error;
    }
  }
  async function passInput(container: SimulatedContainer, request: Omit<ExecRequest, 'command'>): Promise<void> {
    if (!container.config.stdin || !request.stdin) return;
    try {
      for await (const chunk of request.stdin) {
        if (container.status.state !== 'running' || request.signal?.aborted) return;
        if (container.program.echoes) {
          const text = Buffer.from(chunk).toString();
          for (const listener of container.onOutput) listener('stdout', text);
        }
      }
    } catch {
      // The reader's side broke: its input ends here, and the attachment ends with its signal.
    }
    // As `cat` does at the end of its input.
    if (container.config.stdinOnce && container.program.echoes)
      machine.end(container, { exitCode: container.program.exitCode ?? 0 });
  }
  return runtime;
}

function answering(answer: (request: Uint8Array) => Uint8Array | string): Duplex {
  return new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      this.push(answer(chunk));
      done();
    },
    final(done) {
      this.push(null);
      done();
    },
  });
}
