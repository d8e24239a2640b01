/**
 * The sandboxes and containers of one node: the part of the runtime contract that the helper carries out.
 *
 * Every change is on disk before it is answered. Operations on one sandbox run one after the other; on different ones
 * side by side.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ContainerStats,
  type ContainerStatus,
  RuntimeError,
  type RuntimeEvent,
  type Sandbox,
  type SandboxConfig,
} from '../../contract.js';
import { processCensus } from '../isolation/census.js';
import type { Isolation } from '../isolation/isolation.js';
import { allProcesses, bootId, commandLineOf, processTable, signalProcess } from '../process-table.js';
import type { ContainerSpec } from '../protocol.js';
import { type Container, type ContainerContext, container } from './container.js';
import { type HostPorts, openHostPorts } from './host-ports.js';
import type { LogBounds } from './log-writer.js';
import { pipePool } from './output-pipe.js';
import type { Records, SandboxRecord } from './records.js';

/** Pipes not yet used, among the containers' directories. */
const spareName = 'spare-pipes';

export interface PodsOptions {
  isolation: Isolation;
  records: Records;
  /** The containers' own directories are made here. */
  workDirectory: string;
  logBounds: LogBounds;
  now(): number;
  emit(event: RuntimeEvent): void;
}

export interface Pods {
  /** Goes on with what is recorded. Call once, first. */
  adopt(): Promise<void>;
  runSandbox(config: SandboxConfig): Promise<Sandbox>;
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  listSandboxes(): Sandbox[];
  sandbox(id: string): SandboxRecord;
  createContainer(sandboxId: string, spec: ContainerSpec): Promise<string>;
  container(id: string): Container;
  stopContainer(id: string, graceMs: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(sandboxId?: string): ContainerStatus[];
  stats(): ContainerStats[];
  /** Something runs, or is ready to run something. */
  readonly busy: boolean;
  removeAll(): Promise<void>;
  /** Lets go of everything as it is. */
  release(): Promise<void>;
}

interface Held extends SandboxRecord {
  containers: Map<string, Container>;
  hostPorts?: HostPorts;
  /** The operation that runs; the next waits for it. */
  turn: Promise<unknown>;
}

const predecessorMs = 5_000;

/**
 * A helper that was killed while it started a program may have left a child that is not that program yet: it looks like the
 * helper itself, with the same command line, and becomes the program in a moment.
 */
async function predecessorsGone(): Promise<void> {
  const own = commandLineOf(process.pid).join('\0');
  const like = () => allProcesses().filter(({ pid }) => pid !== process.pid && commandLineOf(pid).join('\0') === own);
  for (let waited = 0; waited < predecessorMs && like().length > 0; waited += 5) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

export function pods(options: PodsOptions): Pods {
  const { isolation, records } = options;
  const boot = bootId();
  const sandboxes = new Map<string, Held>();
  const containers = new Map<string, Container>();
  const cpuSeen = new Map<string, number>();
  const lowPorts = isolation.capabilities.has('low-ports');

  const context: ContainerContext = {
    isolation,
    records,
    logBounds: options.logBounds,
    pipes: pipePool(join(options.workDirectory, spareName)),
    now: options.now,
    changed: ({ status }) => options.emit({ sandboxId: status.sandboxId, containerId: status.id }),
  };

  function held(id: string): Held {
    const sandbox = sandboxes.get(id);
    if (!sandbox) throw new RuntimeError('NotFound', `there is no sandbox ${id}`);
    return sandbox;
  }

  function inTurn<T>(sandbox: Held, run: () => Promise<T>): Promise<T> {
    const next = sandbox.turn.then(run, run);
    sandbox.turn = next.catch(() => {});
    return next;
  }

  function place(sandbox: Held, id: string, spec: ContainerSpec) {
    const directory = join(options.workDirectory, id);
    const { ip } = sandbox.status;
    return { id, sandboxId: sandbox.status.id, sandbox: sandbox.config, spec, directory, ...(ip ? { ip } : {}) };
  }

  async function stop(sandbox: Held): Promise<void> {
    if (sandbox.status.state !== 'ready') return;
    await Promise.all([...sandbox.containers.values()].map(container => container.kill()));
    await sandbox.hostPorts?.close();
    await isolation.removeSandbox(sandbox.status.id, sandbox.status.ip);
    sandbox.status.state = 'not-ready';
    delete sandbox.status.ip;
    save(sandbox);
    options.emit({ sandboxId: sandbox.status.id });
  }

  function save({ boot, config, status }: Held): void {
    records.saveSandbox({ boot, config, status });
  }

  /** Of a start that an earlier helper was killed in. */
  async function killStrays(id: string): Promise<void> {
    for (const { pid } of await isolation.processes(id, -1)) signalProcess(pid, 'SIGKILL');
  }

  async function remove(container: Container): Promise<void> {
    const { id, sandboxId } = container.status;
    await container.kill();
    if (container.record.phase === 'created') await killStrays(id);
    isolation.removeContainer(id);
    records.removeContainer(id);
    rmSync(join(options.workDirectory, id), { recursive: true, force: true });
    containers.delete(id);
    cpuSeen.delete(id);
    sandboxes.get(sandboxId)?.containers.delete(id);
    options.emit({ sandboxId, containerId: id });
  }

  async function adoptSandbox(record: SandboxRecord): Promise<void> {
    const sandbox: Held = { ...record, containers: new Map(), turn: Promise.resolve() };
    sandboxes.set(record.status.id, sandbox);
    if (record.status.state !== 'ready') return;
    const { id, ip } = record.status;
    if (record.boot === boot && isolation.adoptSandbox(id, record.config, ip)) {
      try {
        sandbox.hostPorts = await openHostPorts(record.config, ip, lowPorts);
      } catch {
        // Another program took the port meanwhile; the pod itself goes on.
      }
      return;
    }
    sandbox.status.state = 'not-ready';
    delete sandbox.status.ip;
    save(sandbox);
  }

  const self: Pods = {
    async adopt() {
      mkdirSync(options.workDirectory, { recursive: true, mode: 0o711 });
      for (const record of records.loadSandboxes()) await adoptSandbox(record);
      await predecessorsGone();
      const { marked } = await processCensus()();
      for (const record of records.loadContainers()) {
        const sandbox = sandboxes.get(record.status.sandboxId);
        if (!sandbox) {
          records.removeContainer(record.status.id);
          continue;
        }
        const found = container(record, place(sandbox, record.status.id, record.spec), context);
        sandbox.containers.set(record.status.id, found);
        containers.set(record.status.id, found);
        found.adopt(record.boot === boot, marked.get(record.status.id) ?? []);
      }
      for (const name of readdirSync(options.workDirectory)) {
        if (name !== spareName && !containers.has(name))
          rmSync(join(options.workDirectory, name), { recursive: true, force: true });
      }
      await isolation.sweep(new Set(sandboxes.keys()), new Set(containers.keys()));
    },

    async runSandbox(config) {
      const { name, namespace, uid, attempt, labels } = config;
      const id = randomBytes(8).toString('hex');
      for (const other of sandboxes.values()) {
        if (other.config.uid === uid && other.config.attempt === attempt) {
          throw new RuntimeError(
            'InvalidConfig',
            `pod ${namespace}/${name} has a sandbox with attempt ${attempt} already`,
          );
        }
      }
      const status: Sandbox = {
        id,
        name,
        namespace,
        uid,
        attempt,
        state: 'not-ready',
        createdAt: options.now(),
        labels,
      };
      const sandbox: Held = { boot, config, status, containers: new Map(), turn: Promise.resolve() };
      sandboxes.set(id, sandbox);
      return inTurn(sandbox, async () => {
        let ip: string | undefined;
        try {
          ({ ip } = await isolation.addSandbox(id, config));
          sandbox.hostPorts = await openHostPorts(config, ip, lowPorts);
        } catch (error) {
          sandboxes.delete(id);
          await isolation.removeSandbox(id, ip);
          throw error;
        }
        if (ip) status.ip = ip;
        status.state = 'ready';
        save(sandbox);
        options.emit({ sandboxId: id });
        return { ...status };
      });
    },
    async stopSandbox(id) {
      const sandbox = sandboxes.get(id);
      if (sandbox) await inTurn(sandbox, () => stop(sandbox));
    },
    async removeSandbox(id) {
      const sandbox = sandboxes.get(id);
      if (!sandbox) return;
      await inTurn(sandbox, async () => {
        if (!sandboxes.has(id)) return;
        await stop(sandbox);
        for (const container of [...sandbox.containers.values()]) await remove(container);
        sandboxes.delete(id);
        records.removeSandbox(id);
        options.emit({ sandboxId: id });
      });
    },
    listSandboxes: () => [...sandboxes.values()].map(({ status }) => ({ ...status })),
    sandbox: held,

    async createContainer(sandboxId, spec) {
      const sandbox = held(sandboxId);
      return inTurn(sandbox, async () => {
        const { config } = spec;
        if (sandbox.status.state !== 'ready') {
          throw new RuntimeError('InvalidConfig', `sandbox ${sandboxId} of pod ${sandbox.config.name} is not ready`);
        }
        for (const { status } of sandbox.containers.values()) {
          if (status.name === config.name && status.attempt === config.attempt) {
            throw new RuntimeError(
              'InvalidConfig',
              `container ${config.name} has an attempt ${config.attempt} already`,
            );
          }
        }
        const id = randomBytes(8).toString('hex');
        const status: ContainerStatus = {
          id,
          sandboxId,
          name: config.name,
          attempt: config.attempt,
          state: 'created',
          image: config.image,
          imageId: spec.imageId,
          createdAt: options.now(),
          logPath: join(sandbox.config.logDirectory, config.name, `${config.attempt}.log`),
          labels: config.labels,
        };
        const made = container({ boot, spec, status, phase: 'created' }, place(sandbox, id, spec), context);
        try {
          isolation.prepareContainer(made.placed);
        } catch (error) {
          isolation.removeContainer(id);
          rmSync(made.placed.directory, { recursive: true, force: true });
          throw error;
        }
        records.saveContainer(made.record);
        sandbox.containers.set(id, made);
        containers.set(id, made);
        context.changed(made);
        return id;
      });
    },
    container(id) {
      const found = containers.get(id);
      if (!found) throw new RuntimeError('NotFound', `there is no container ${id}`);
      return found;
    },
    async stopContainer(id, graceMs) {
      await containers.get(id)?.stop(graceMs);
    },
    async removeContainer(id) {
      const found = containers.get(id);
      if (found) await remove(found);
    },
    listContainers(sandboxId) {
      const from = sandboxId === undefined ? containers : sandboxes.get(sandboxId)?.containers;
      return [...(from?.values() ?? [])].map(({ status }) => ({ ...status }));
    },
    stats() {
      const table = processTable();
      const timestamp = options.now();
      const found: ContainerStats[] = [];
      for (const [id, { pid }] of containers) {
        if (pid === undefined) continue;
        const { cpuNanos, memoryBytes } = isolation.usage(id, pid, table);
        // A process that ends without being waited for takes its CPU time along; a counter does not go back.
        const monotonic = Math.max(cpuNanos, cpuSeen.get(id) ?? 0);
        cpuSeen.set(id, monotonic);
        found.push({ id, timestamp, cpuNanos: monotonic, memoryWorkingSetBytes: memoryBytes });
      }
      return found;
    },
    get busy() {
      return [...sandboxes.values()].some(({ status }) => status.state === 'ready');
    },
    async removeAll() {
      await Promise.all([...sandboxes.keys()].map(id => self.removeSandbox(id)));
    },
    async release() {
      for (const found of containers.values()) found.release();
      await Promise.all([...sandboxes.values()].map(({ hostPorts }) => hostPorts?.close()));
    },
  };
  return self;
}
