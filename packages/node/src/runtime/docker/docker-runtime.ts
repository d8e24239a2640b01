/**
 * The runtime contract on a Docker daemon.
 *
 * A pod is a small container that does nothing but hold the network; its containers share that. Pods get addresses of the daemon's
 * default bridge (`podCIDR` does not bind it: one bridge per machine), have a localhost of their own, mounts, limits and low ports.
 * Everything carries the owner's label, so several agents on one daemon leave each other's pods alone. Nothing is kept in this
 * process that a restart would miss.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import Docker from 'dockerode';
import {
  type Capability,
  type ContainerStats,
  type ImageStatus,
  isRuntimeError,
  type Runtime,
  RuntimeError,
  type Sandbox,
  type SandboxConfig,
} from '../contract.js';
import { eventStream } from '../event-stream.js';
import { containerSpec, sandboxSpec } from './create-options.js';
import { daemonVersion } from './daemon-version.js';
import { statusOf, translated } from './errors.js';
import { copyLog, type LogCopy } from './log-copier.js';
import { containerOf, labels, sandboxOf } from './naming.js';
import { ensurePauseImage } from './pause-image.js';
import { podLocalhost } from './pod-localhost.js';
import { readOutput, runExec, writeInput } from './streams.js';

/** Only the directory has no default. */
export interface DockerRuntimeOptions {
  /** The node's own directory; with `owner` absent its path names the owner. */
  dataDir: string;
  /** Tells this agent's pods from others' on the same daemon. */
  owner?: string;
  /** Default: `$DOCKER_HOST`, or /var/run/docker.sock. */
  docker?: Docker.DockerOptions;
  /** A network of the daemon for pods. Default: its default bridge. */
  network?: string;
}

const capabilities: readonly Capability[] = [
  'private-localhost',
  'mount-paths',
  'cpu-limits',
  'memory-limits',
  'private-ports',
  'low-ports',
  'root-filesystem',
  'attach',
  'port-forward',
];

/** The runtime on a daemon; it is not asked before the first operation. @throws Error when `$DOCKER_HOST` is no address. */
export function dockerRuntime(options: DockerRuntimeOptions): Runtime {
  const docker = new Docker(options.docker);
  const owner = options.owner ?? createHash('sha256').update(resolve(options.dataDir)).digest('hex').slice(0, 12);
  const copies = new Map<string, LogCopy>();
  const copied = new Set<string>();
  const closing = new AbortController();
  const localhost = podLocalhost();
  const hints = eventStream();
  let listening = false;

  async function inspect(id: string, role: 'sandbox' | 'container'): Promise<Docker.ContainerInspectInfo> {
    let found: Docker.ContainerInspectInfo;
    try {
      found = await docker.getContainer(id).inspect();
    } catch (error) {
      throw translated(error, 'Unavailable', `${role} ${id}`);
    }
    if (found.Config.Labels?.[labels.owner] !== owner || found.Config.Labels[labels.role] !== role) {
      throw new RuntimeError('NotFound', `${role} ${id} is not of this runtime`);
    }
    return found;
  }

  /** Every container of ours in this role; those that vanish meanwhile are left out. */
  async function all(role: 'sandbox' | 'container', sandboxId?: string): Promise<Docker.ContainerInspectInfo[]> {
    const label = [
      `${labels.owner}=${owner}`,
      `${labels.role}=${role}`,
      ...(sandboxId ? [`${labels.sandbox}=${sandboxId}`] : []),
    ];
    let listed: Docker.ContainerInfo[];
    try {
      listed = await docker.listContainers({ all: true, filters: JSON.stringify({ label }) });
    } catch (error) {
      throw translated(error, 'Unavailable', 'listing containers');
    }
    const found = await Promise.all(
      listed.map(({ Id }) =>
        docker
          .getContainer(Id)
          .inspect()
          .catch(error => (statusOf(error) === 404 ? undefined : Promise.reject(error))),
      ),
    );
    return found.filter(each => each !== undefined);
  }

  /** The copy of this container's log runs, or is complete. */
  async function ensureCopy(info: Docker.ContainerInspectInfo): Promise<void> {
    if (closing.signal.aborted || info.State.Status === 'created' || copies.has(info.Id) || copied.has(info.Id)) return;
    const copy = await copyLog(docker, info.Id, info.Config.Labels[labels.log] ?? '', info.Config.Tty).catch(
      () => undefined,
    );
    if (!copy) return;
    copies.set(info.Id, copy);
    const ended = !info.State.Running;
    void copy.done.then(() => {
      copies.delete(info.Id);
      if (ended) copied.add(info.Id);
    });
  }

  async function stop(id: string, graceMs: number): Promise<void> {
    try {
      const running = docker.getContainer(id);
      // The daemon counts whole seconds; a shorter grace is kept by a kill of our own.
      if (graceMs % 1_000 === 0) await running.stop({ t: graceMs / 1_000 });
      else {
        const timer = setTimeout(() => void running.kill({ signal: 'SIGKILL' }).catch(() => {}), graceMs);
        await running.stop({ t: Math.ceil(graceMs / 1_000) }).finally(() => clearTimeout(timer));
      }
    } catch (error) {
      if (statusOf(error) === 304 || statusOf(error) === 404) return;
      throw translated(error, 'Unavailable', `stopping ${id}`);
    }
  }

  async function removeContainer(id: string): Promise<void> {
    let info: Docker.ContainerInspectInfo;
    try {
      info = await inspect(id, 'container');
    } catch (error) {
      if (isRuntimeError(error, 'NotFound')) return;
      throw error;
    }
    await stop(id, 0);
    await ensureCopy(info);
    // What the container wrote stays, also when it goes at once.
    await Promise.race([copies.get(id)?.done, new Promise(done => setTimeout(done, 5_000).unref())]);
    await copies.get(id)?.stop();
    await removeFromDaemon(id);
    copied.delete(id);
  }

  async function removeFromDaemon(id: string): Promise<void> {
    try {
      await docker.getContainer(id).remove({ force: true, v: true });
    } catch (error) {
      // 409: another call removes it already.
      if (statusOf(error) !== 404 && statusOf(error) !== 409) throw translated(error, 'Unavailable', `removing ${id}`);
    }
  }

  /** Follows the daemon's events while anyone reads hints; a broken connection is made again. */
  async function listen(): Promise<void> {
    if (listening) return;
    listening = true;
    while (!closing.signal.aborted) {
      try {
        const filters = JSON.stringify({ type: ['container'], label: [`${labels.owner}=${owner}`] });
        const stream = (await docker.getEvents({ filters } as never)) as unknown as Readable;
        const end = () => stream.destroy();
        closing.signal.addEventListener('abort', end, { once: true });
        let rest = '';
        for await (const chunk of stream) {
          const lines = (rest + String(chunk)).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            if (!line) continue;
            const { id, Actor } = JSON.parse(line) as { id: string; Actor: { Attributes: Record<string, string> } };
            const sandboxId = Actor.Attributes[labels.sandbox];
            hints.emit(sandboxId ? { sandboxId, containerId: id } : { sandboxId: id });
          }
        }
      } catch {
        // Told by the next call that needs the daemon.
      }
      if (!closing.signal.aborted) {
        hints.emit({});
        await new Promise(done => setTimeout(done, 1_000).unref());
      }
    }
  }

  const imageStatus = async (image: string): Promise<ImageStatus | undefined> => {
    try {
      const { Id, RepoTags, RepoDigests, Size } = await docker.getImage(image).inspect();
      return { id: Id, references: [...(RepoTags ?? []), ...(RepoDigests ?? [])], sizeBytes: Size };
    } catch (error) {
      if (statusOf(error) === 404 || statusOf(error) === 400) return undefined;
      throw translated(error, 'Unavailable', `image ${image}`);
    }
  };

  return {
    name: 'docker',
    capabilities: new Set(capabilities),
    async version() {
      return { name: 'docker', version: await daemonVersion(docker) };
    },

    async runSandbox(config: SandboxConfig): Promise<Sandbox> {
      try {
        await ensurePauseImage(docker);
        const created = await docker.createContainer(sandboxSpec(owner, options.network ?? 'bridge', config));
        try {
          await created.start();
        } catch (error) {
          await created.remove({ force: true }).catch(() => {});
          throw error;
        }
        return sandboxOf(await created.inspect());
      } catch (error) {
        if (statusOf(error) === 409)
          throw new RuntimeError(
            'InvalidConfig',
            `pod ${config.uid} has a sandbox of attempt ${config.attempt} already`,
            { cause: error },
          );
        throw translated(error, 'StartFailed', `sandbox of ${config.namespace}/${config.name}`);
      }
    },
    async stopSandbox(id) {
      localhost.end(id);
      await Promise.all((await all('container', id)).filter(each => each.State.Running).map(each => stop(each.Id, 0)));
      await stop(id, 0);
    },
    async removeSandbox(id) {
      localhost.end(id);
      for (const each of await all('container', id)) await removeContainer(each.Id);
      await removeFromDaemon(id);
    },
    listSandboxes: async () => (await all('sandbox')).map(sandboxOf),

    async createContainer(sandboxId, config) {
      const sandbox = await inspect(sandboxId, 'sandbox');
      if (!sandbox.State.Running)
        throw new RuntimeError('InvalidConfig', `sandbox ${sandboxId} is stopped; its pod needs another attempt`);
      if (!(await imageStatus(config.image)))
        throw new RuntimeError('ImageNotPresent', `image ${config.image} is not present; pull it first`);
      const logPath = `${sandbox.Config.Labels[labels.logDirectory]}/${config.name}/${config.attempt}.log`;
      try {
        return (await docker.createContainer(containerSpec(owner, sandbox, config, logPath))).id;
      } catch (error) {
        if (statusOf(error) === 409)
          throw new RuntimeError(
            'InvalidConfig',
            `container ${config.name} exists with attempt ${config.attempt} already`,
            { cause: error },
          );
        throw translated(error, 'InvalidConfig', `container ${config.name}`);
      }
    },
    async startContainer(id) {
      const before = await inspect(id, 'container');
      if (before.State.Running) return;
      if (containerOf(before).state === 'exited')
        throw new RuntimeError('StartFailed', `container ${id} has run already; another attempt is another container`);
      try {
        await docker.getContainer(id).start();
      } catch (error) {
        throw translated(error, 'StartFailed', `container ${containerOf(before).name}`);
      }
      await ensureCopy(await inspect(id, 'container'));
    },
    stopContainer: stop,
    removeContainer,
    async listContainers(sandboxId) {
      const found = await all('container', sandboxId);
      for (const each of found) await ensureCopy(each);
      return found.map(containerOf);
    },
    containerStatus: async id => containerOf(await inspect(id, 'container')),

    async exec(id, request) {
      if (!(await inspect(id, 'container')).State.Running)
        throw new RuntimeError('NotRunning', `container ${id} does not run`);
      try {
        return await runExec(docker, id, request);
      } catch (error) {
        if (isRuntimeError(error) || request.signal?.aborted) throw error;
        throw translated(error, 'StartFailed', `exec in ${id}`);
      }
    },
    async attach(id, request) {
      const info = await inspect(id, 'container');
      if (!info.State.Running) throw new RuntimeError('NotRunning', `container ${id} does not run`);
      const stream = (await docker.getContainer(id).attach({
        stream: true,
        stdin: request.stdin !== undefined,
        stdout: true,
        stderr: true,
        hijack: true,
      })) as unknown as Duplex;
      const end = () => stream.destroy();
      // Given up while the daemon was asked: that event has passed.
      if (request.signal?.aborted) return void end();
      request.signal?.addEventListener('abort', end, { once: true });
      writeInput(stream, request.stdin).catch(() => {});
      const sizes = async () => {
        for await (const { width, height } of request.resize ?? []) {
          if (stream.destroyed) return;
          await docker
            .getContainer(id)
            .resize({ w: width, h: height })
            .catch(() => {});
        }
      };
      if (info.Config.Tty) sizes().catch(() => {});
      try {
        await readOutput(stream, { ...request, tty: info.Config.Tty });
      } catch (error) {
        if (!request.signal?.aborted) throw error;
      } finally {
        request.signal?.removeEventListener('abort', end);
        stream.destroy();
      }
    },
    async portForward(sandboxId, port, signal) {
      const info = await inspect(sandboxId, 'sandbox');
      const { ip, state, namespace, name } = sandboxOf(info);
      if (state !== 'ready') throw new RuntimeError('NotRunning', `sandbox ${sandboxId} does not run`);
      const socket = connect({ host: ip ?? '127.0.0.1', port, ...(signal ? { signal } : {}) });
      const refusal = await new Promise<Error | undefined>(resolve => {
        socket.once('connect', () => resolve(undefined));
        socket.once('error', resolve);
      });
      if (refusal === undefined) return socket;
      signal?.throwIfAborted();
      // A server on the pod's own localhost can be reached from inside only.
      const within = await localhost.connect({ id: info.Id, namespace, name, pid: info.State.Pid }, port);
      if (within) return within;
      throw new RuntimeError('ConnectionRefused', `port ${port} of the pod: ${refusal.message}`, { cause: refusal });
    },

    imageStatus: image => imageStatus(image),
    async pullImage(image, { signal } = {}) {
      // What was imported or built here has no registry to come from.
      const present = await imageStatus(image);
      const tagged = /[:@][^/]+$/.test(image) ? image : `${image}:latest`;
      try {
        const stream = (await docker.pull(tagged, { abortSignal: signal } as never)) as unknown as Readable;
        await new Promise<void>((done, fail) =>
          docker.modem.followProgress(stream as never, error => (error ? fail(error) : done())),
        );
      } catch (error) {
        if (present) return present;
        throw translated(
          error,
          'ImagePullFailed',
          `image ${image} cannot be pulled (load it with "docker load" or "docker import", or name a registry that answers)`,
        );
      }
      const pulled = await imageStatus(image);
      if (!pulled) throw new RuntimeError('ImagePullFailed', `image ${image} was pulled, and is not there`);
      return pulled;
    },
    async listImages() {
      try {
        return (await docker.listImages()).map(({ Id, RepoTags, RepoDigests, Size }) => ({
          id: Id,
          references: [...(RepoTags ?? []), ...(RepoDigests ?? [])],
          sizeBytes: Size,
        }));
      } catch (error) {
        throw translated(error, 'Unavailable', 'listing images');
      }
    },

    async stats() {
      const running = (await all('container')).filter(each => each.State.Running);
      const measured = await Promise.all(
        running.map(async ({ Id }): Promise<ContainerStats | undefined> => {
          try {
            const stats = (await docker
              .getContainer(Id)
              .stats({ stream: false, 'one-shot': true } as never)) as unknown as Docker.ContainerStats;
            const memory = stats.memory_stats as { usage?: number; stats?: Record<string, number> };
            const inactive = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0;
            return {
              id: Id,
              timestamp: Date.parse(String(stats.read)) || Date.now(),
              cpuNanos: stats.cpu_stats.cpu_usage.total_usage,
              memoryWorkingSetBytes: Math.max(0, (memory.usage ?? 0) - inactive),
            };
          } catch {
            return undefined;
          }
        }),
      );
      return measured.filter(each => each !== undefined);
    },
    events(signal) {
      const subscription = hints.subscribe(signal);
      void listen();
      return subscription;
    },
    async close() {
      closing.abort();
      localhost.close();
      hints.close();
      for (const copy of [...copies.values()]) await copy.stop();
    },
  };
}
