/**
 * The helper's socket: who may call (the owner, by the socket's mode), and what each call does.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { isRuntimeError, RuntimeError, type RuntimeEvent, type SandboxConfig } from '../../contract.js';
import type { Isolation } from '../isolation/isolation.js';
import {
  type CallName,
  type Calls,
  type FrameChannel,
  type FromHelper,
  frameChannel,
  protocolVersion,
  type Request,
  type StreamInput,
  streamCalls,
} from '../protocol.js';
import { dialers } from './dialer.js';
import type { Pods } from './pods.js';
import { openAttach, openDial, openExec, type Stream } from './streams.js';

export interface HelperServerOptions {
  pods: Pods;
  isolation: Isolation;
  /** `shutdown` takes everything back, `handOver` leaves it, `release` ends when nothing runs. */
  onEnd(how: 'shutdown' | 'handOver' | 'release'): void;
  /** The number of connections changed. */
  onConnections(count: number): void;
}

export interface HelperServer {
  listen(path: string): Promise<void>;
  emit(event: RuntimeEvent): void;
  readonly connections: number;
  close(): Promise<void>;
}

export function helperServer(options: HelperServerOptions): HelperServer {
  const { pods, isolation } = options;
  const sockets = new Set<Socket>();
  const listeners = new Set<FrameChannel>();
  const dialing = dialers<SandboxConfig>((id, config, command) => isolation.launchInNetwork(id, config, command));

  const handlers: { [N in CallName]?: (args: Calls[N]['args']) => Promise<Calls[N]['result']> | Calls[N]['result'] } = {
    hello: () => ({
      protocol: protocolVersion,
      pid: process.pid,
      mode: isolation.mode,
      capabilities: [...isolation.capabilities],
    }),
    runSandbox: ({ config }) => pods.runSandbox(config),
    stopSandbox: ({ id }) => {
      dialing.end(id);
      return done(pods.stopSandbox(id));
    },
    removeSandbox: ({ id }) => {
      dialing.end(id);
      return done(pods.removeSandbox(id));
    },
    listSandboxes: () => pods.listSandboxes(),
    createContainer: ({ sandboxId, spec }) => pods.createContainer(sandboxId, spec),
    startContainer: ({ id }) => done(pods.container(id).start()),
    stopContainer: ({ id, graceMs }) => done(pods.stopContainer(id, graceMs)),
    removeContainer: ({ id }) => done(pods.removeContainer(id)),
    listContainers: ({ sandboxId }) => pods.listContainers(sandboxId),
    containerStatus: ({ id }) => ({ ...pods.container(id).status }),
    stats: () => pods.stats(),
    release: () => {
      // The caller is connected still; anybody else needs the helper.
      const idle = !pods.busy && sockets.size <= 1;
      if (idle) options.onEnd('release');
      return idle;
    },
    shutdown: async () => {
      await pods.removeAll();
      await isolation.teardown();
      options.onEnd('shutdown');
      return null;
    },
    handOver: () => {
      options.onEnd('handOver');
      return null;
    },
  };

  async function open(request: Request, channel: FrameChannel): Promise<Stream> {
    switch (request.call) {
      case 'exec':
        return openExec(pods, isolation, request.args as Calls['exec']['args'], channel);
      case 'attach':
        return openAttach(pods, request.args as Calls['attach']['args'], channel);
      default:
        return openDial(pods, dialing, request.args as Calls['dial']['args'], channel);
    }
  }

  async function answer(
    request: Request,
    run: () => Promise<unknown>,
    reply: (frame: FromHelper) => void,
  ): Promise<void> {
    const { id } = request;
    try {
      reply({ id, result: (await run()) ?? null });
    } catch (error) {
      const reason = isRuntimeError(error) ? error.reason : 'Unavailable';
      reply({ id, error: { reason, message: error instanceof Error ? error.message : String(error) } });
    }
  }

  function accept(socket: Socket): void {
    sockets.add(socket);
    options.onConnections(sockets.size);
    let greeted = false;
    let stream: Promise<Stream> | undefined;

    const channel = frameChannel(socket, {
      onFrame(frame) {
        if (stream) {
          void stream.then(open => open.onInput(frame as StreamInput)).catch(() => {});
          return;
        }
        const request = frame as Request;
        if (!greeted) {
          if (request.call !== 'hello') throw new Error('the first call must be hello');
          greeted = true;
          // Of another version, it may only ask us to hand over.
        }
        if (streamCalls.has(request.call)) {
          listeners.delete(channel);
          const opened = open(request, channel);
          stream = opened;
          void answer(
            request,
            () => opened.then(() => null),
            reply => channel.send(reply),
          ).then(() => opened.catch(() => channel.close()));
          return;
        }
        if (request.call === 'hello') listeners.add(channel);
        const handler = handlers[request.call] as ((args: unknown) => unknown) | undefined;
        void answer(
          request,
          async () => {
            if (!handler) throw new RuntimeError('Unsupported', `the helper does not know the call ${request.call}`);
            return handler(request.args);
          },
          reply => channel.send(reply),
        );
      },
      onClose() {
        sockets.delete(socket);
        listeners.delete(channel);
        options.onConnections(sockets.size);
        void stream?.then(open => open.onClose()).catch(() => {});
      },
    });
  }

  const server: Server = createServer(accept);
  return {
    listen(path) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        const before = process.umask(0o177);
        server.listen(path, () => {
          chmodSync(path, 0o600);
          resolve();
        });
        process.umask(before);
      });
    },
    emit(event) {
      for (const channel of listeners) channel.send({ event });
    },
    get connections() {
      return sockets.size;
    },
    close() {
      return new Promise(resolve => {
        server.close(() => resolve());
        // What was answered goes out first.
        for (const socket of sockets) socket.destroySoon();
      });
    },
  };
}

async function done(promise: Promise<void>): Promise<null> {
  await promise;
  return null;
}
