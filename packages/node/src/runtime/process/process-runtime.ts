/**
 * The process runtime: containers are processes of this machine, with no image but a catalogue of names.
 *
 * It needs no daemon and, in its rootless mode, no rights. All pods live below one small helper process that the first
 * operation starts and that outlives this one: `close()` lets go, and the next runtime over the same `dataDir` finds every
 * pod, log and exit code. `shutdown()` ends the pods and takes everything back.
 *
 * It separates pods from each other as far as `capabilities` says. It is not a security boundary: programs run as the user
 * who runs it, and see that user's files.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isLoopback } from '../../network/address-range.js';
import { substitutePort } from '../../network/low-port.js';
import { connectTo } from '../../network/tcp-relay.js';
import { type Capability, type ContainerConfig, type Runtime, RuntimeError, type Sandbox } from '../contract.js';
import { eventStream } from '../event-stream.js';
import { type CatalogueEntry, catalogue, imageName } from './catalogue.js';
import { findProgram } from './helper/terminal.js';
import { type HelperConnection, helperConnection } from './helper-connection.js';
import { type ChosenMode, chooseMode, type Mode } from './mode.js';
import { programPath } from './programs.js';
import { type ContainerSpec, protocolVersion } from './protocol.js';
import { attachTo, dialSandbox, execIn } from './streams.js';

/** Only the directory has no default. */
export interface ProcessRuntimeOptions {
  /** The runtime keeps its state in `process-runtime` below it. One node per directory. */
  dataDir: string;
  /** Images of your own, by name. They win over the built-in ones. */
  catalogue?: Readonly<Record<string, CatalogueEntry>>;
  /**
   * Range of pod addresses for sandboxes that name none. Default: a /24 picked by the directory, in 127/8 without root, in
   * 10/8 with it.
   */
  podCIDR?: string;
  /** Default `auto`: as root where the machine allows it and the range is not in 127/8, else rootless. */
  mode?: Mode;
  /** Where the runtime's programs are when this package was bundled into another. Default: its own `dist`. */
  programDirectory?: string;
}

/** A runtime that also tells how it works here, and can end for good. */
export interface ProcessRuntime extends Runtime {
  readonly mode: 'rootless' | 'root';
  /** Why `auto` did not choose root; undefined when it did, or was not asked. */
  readonly rootlessBecause: string | undefined;
  /** The helper's process id. Starts it when it is not there. */
  helperPid(): Promise<number>;
  /** Ends every pod, takes back what was set up on the machine, removes the state, and ends the helper. */
  shutdown(): Promise<void>;
}

/** The runtime over this directory. Nothing is started before its first operation. */
export function processRuntime(options: ProcessRuntimeOptions): ProcessRuntime {
  const directory = join(resolve(options.dataDir), 'process-runtime');
  const images = catalogue(options.catalogue, options.programDirectory);
  const events = eventStream();
  let chosen: ChosenMode | undefined;
  let connection: HelperConnection | undefined;

  function choice(): ChosenMode {
    const wanted = options.mode ?? 'auto';
    const loopback = wanted === 'auto' && options.podCIDR !== undefined && isLoopback(options.podCIDR);
    chosen ??= chooseMode(loopback ? 'rootless' : wanted);
    return chosen;
  }

  function helper(): HelperConnection {
    connection ??= helperConnection({
      arguments: { directory, mode: choice().mode, podCIDR: options.podCIDR ?? defaultRange(directory, choice().mode) },
      program: programPath('helper/main', options.programDirectory),
      onEvent: event => events.emit(event),
    });
    return connection;
  }

  async function sandboxOf(id: string): Promise<Sandbox> {
    const found = (await helper().call('listSandboxes', {})).find(sandbox => sandbox.id === id);
    if (!found) throw new RuntimeError('NotFound', `there is no sandbox ${id}`);
    return found;
  }

  /** The machine's Python is often called `python3` only; its image has both names. */
  function path(config: ContainerConfig): string {
    const own = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
    if (!/^python3?$/.test(imageName(config.image)) || findProgram('python', own)) return own;
    const python = findProgram('python3', own);
    const shims = join(directory, 'shims');
    mkdirSync(shims, { recursive: true });
    try {
      if (python) symlinkSync(python, join(shims, 'python'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    return `${own}:${shims}`;
  }

  function specOf(config: ContainerConfig): ContainerSpec {
    const resolved = images.resolve(config);
    const env = {
      PATH: path(config),
      ...resolved.env,
      ...Object.fromEntries(config.env.map(({ name, value }) => [name, value])),
    };
    const workingDir = config.workingDir ?? resolved.workingDir;
    return { config, imageId: resolved.imageId, argv: resolved.argv, env, ...(workingDir ? { workingDir } : {}) };
  }

  const runtime: ProcessRuntime = {
    name: 'process',
    get mode() {
      return choice().mode;
    },
    get rootlessBecause() {
      return choice().because;
    },
    get capabilities(): ReadonlySet<Capability> {
      return choice().capabilities;
    },
    async version() {
      await helper().info();
      return { name: 'process', version: `${protocolVersion}` };
    },
    helperPid: async () => (await helper().info()).pid,

    runSandbox: (config, signal) => helper().call('runSandbox', { config }, signal),
    stopSandbox: async id => void (await helper().call('stopSandbox', { id })),
    removeSandbox: async id => void (await helper().call('removeSandbox', { id })),
    listSandboxes: () => helper().call('listSandboxes', {}),

    async createContainer(sandboxId, config, signal) {
      return helper().call('createContainer', { sandboxId, spec: specOf(config) }, signal);
    },
    startContainer: async id => void (await helper().call('startContainer', { id })),
    stopContainer: async (id, graceMs) => void (await helper().call('stopContainer', { id, graceMs })),
    removeContainer: async id => void (await helper().call('removeContainer', { id })),
    listContainers: sandboxId => helper().call('listContainers', sandboxId === undefined ? {} : { sandboxId }),
    containerStatus: id => helper().call('containerStatus', { id }),

    exec: (containerId, request) => execIn(helper(), containerId, request),
    attach: (containerId, request) => attachTo(helper(), containerId, request),
    async portForward(sandboxId, port, signal) {
      signal?.throwIfAborted();
      const sandbox = await sandboxOf(sandboxId);
      const { mode, capabilities } = choice();
      const host = sandbox.ip ?? '127.0.0.1';
      try {
        return await connectTo({ host, port: substitutePort(port, capabilities) });
      } catch (error) {
        // A server on the pod's own localhost can be reached from inside only.
        if (mode === 'root') return dialSandbox(helper(), sandboxId, port);
        throw new RuntimeError(
          'ConnectionRefused',
          `nothing listens on ${host}:${substitutePort(port, capabilities)} of pod ${sandbox.namespace}/${sandbox.name}: ${(error as Error).message}`,
          { cause: error },
        );
      }
    },

    imageStatus: async (image, { command } = {}) => images.status(image, command),
    pullImage: async (image, { command } = {}) => images.pull(image, command),
    listImages: async () => images.list(),

    stats: () => helper().call('stats', {}),
    events: signal => {
      // Events need a connection; what went wrong with it shows in the next call.
      helper()
        .info()
        .catch(() => {});
      return events.subscribe(signal);
    },
    async close() {
      events.close();
      await connection?.callIfThere('release', {}).catch(() => {});
      await connection?.close();
    },
    async shutdown() {
      await helper().call('shutdown', {});
      await runtime.close();
    },
  };
  return runtime;
}

/** Spread by the directory, so that nodes which name no range seldom meet. */
function defaultRange(directory: string, mode: 'rootless' | 'root'): string {
  const [a = 0, b = 0] = createHash('sha256').update(directory).digest();
  return mode === 'root' ? `10.${200 + (a % 50)}.${b}.0/24` : `127.${192 + (a % 62)}.${b}.0/24`;
}
