/**
 * What the runtime and its helper say to each other, over a unix socket of mode 0600.
 *
 * A frame is a length (four bytes, big endian) and that much JSON. The first request on a connection is `hello`; the helper
 * answers with its protocol version, and a runtime of another version asks it to hand over. A connection carries either
 * calls (`Request` by id, `Reply`, and events that nobody asked for), or one stream (exec, attach, dial): after its request
 * was answered, frames of `StreamInput` and `StreamOutput` flow until either side closes. Streams have connections of their
 * own, so that a slow reader holds up nobody else.
 */
import type { Duplex } from 'node:stream';
import type {
  Capability,
  ContainerConfig,
  ContainerStats,
  ContainerStatus,
  RuntimeErrorReason,
  RuntimeEvent,
  Sandbox,
  SandboxConfig,
} from '../contract.js';

/** Raised with every change that an older helper would misunderstand. */
export const protocolVersion = 1;

/** A frame larger than this is a fault of the sender: the connection is closed. */
const frameLimit = 16 * 2 ** 20;

/** A container as the helper starts it: the image is resolved to a program. */
export interface ContainerSpec {
  config: ContainerConfig;
  imageId: string;
  argv: readonly string[];
  /** Nothing is inherited: the helper adds what `helper/environment.ts` lists. */
  env: Readonly<Record<string, string>>;
  /** Default: the container's own directory. */
  workingDir?: string;
}

export interface HelperInfo {
  protocol: number;
  pid: number;
  mode: 'rootless' | 'root';
  capabilities: readonly Capability[];
}

/** Every call: its arguments and its result. */
export interface Calls {
  hello: { args: { protocol: number }; result: HelperInfo };
  runSandbox: { args: { config: SandboxConfig }; result: Sandbox };
  stopSandbox: { args: { id: string }; result: null };
  removeSandbox: { args: { id: string }; result: null };
  listSandboxes: { args: {}; result: Sandbox[] };
  createContainer: { args: { sandboxId: string; spec: ContainerSpec }; result: string };
  startContainer: { args: { id: string }; result: null };
  stopContainer: { args: { id: string; graceMs: number }; result: null };
  removeContainer: { args: { id: string }; result: null };
  listContainers: { args: { sandboxId?: string }; result: ContainerStatus[] };
  containerStatus: { args: { id: string }; result: ContainerStatus };
  stats: { args: {}; result: ContainerStats[] };
  /** The helper ends if nothing runs and nobody else is connected, without waiting for its idle bound. Answered with whether it does. */
  release: { args: {}; result: boolean };
  /** Ends every pod, takes back everything set up on the machine, and ends the helper. */
  shutdown: { args: {}; result: null };
  /** Ends the helper and leaves everything as it runs, for the next one to adopt. */
  handOver: { args: {}; result: null };
  exec: { args: { containerId: string; command: readonly string[]; tty: boolean; stdin: boolean }; result: null };
  attach: { args: { containerId: string; stdin?: boolean }; result: null };
  /** A connection to localhost inside the sandbox. */
  dial: { args: { sandboxId: string; port: number }; result: null };
}
export type CallName = keyof Calls;
export const streamCalls: ReadonlySet<CallName> = new Set(['exec', 'attach', 'dial']);

export interface Request<N extends CallName = CallName> {
  id: number;
  call: N;
  args: Calls[N]['args'];
}
export type Reply =
  | { id: number; result: unknown }
  | { id: number; error: { reason: RuntimeErrorReason; message: string } };
export type FromHelper = Reply | { event: RuntimeEvent };

/** Bytes are base64. An empty `stdout` says only that the helper is there. */
export type StreamInput = { stdin: string } | { stdinEnd: true } | { resize: { width: number; height: number } };
export type StreamOutput = { stdout: string } | { stderr: string } | { exit: number };

export interface FrameChannel {
  /** False when the other side reads too slowly: wait for `drained` before sending more. */
  send(frame: object): boolean;
  drained(): Promise<void>;
  /** Stops taking frames until `resume`; a few that have arrived may still come. */
  pause(): void;
  resume(): void;
  /** Ends it once everything sent is out. */
  close(): void;
}

/** Cuts a byte stream into frames. `onClose` is called once, with the error if there was one. */
export function frameChannel(
  socket: Duplex,
  handlers: { onFrame(frame: unknown): void; onClose(error?: Error): void },
): FrameChannel {
  let pending: Buffer[] = [];
  let length = 0;
  let closed = false;
  let failure: Error | undefined;

  function fail(error: Error): void {
    failure ??= error;
    socket.destroy();
  }

  function take(bytes: number): Buffer {
    const all = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
    pending = all.length > bytes ? [all.subarray(bytes)] : [];
    length -= bytes;
    return all.subarray(0, bytes);
  }

  let expected = -1;
  socket.on('data', (chunk: Buffer) => {
    pending.push(chunk);
    length += chunk.length;
    while (!closed) {
      if (expected < 0) {
        if (length < 4) return;
        expected = take(4).readUInt32BE();
        if (expected > frameLimit)
          return fail(new Error(`a frame of ${expected} bytes is over the limit of ${frameLimit}`));
      }
      if (length < expected) return;
      const body = take(expected);
      expected = -1;
      try {
        handlers.onFrame(JSON.parse(body.toString()));
      } catch (error) {
        return fail(error as Error);
      }
    }
  });
  socket.on('error', error => {
    failure ??= error;
  });
  socket.on('close', () => {
    closed = true;
    handlers.onClose(failure);
  });

  return {
    send(frame) {
      if (closed || socket.destroyed || socket.writableEnded) return true;
      const body = Buffer.from(JSON.stringify(frame));
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length);
      return socket.write(Buffer.concat([head, body]));
    },
    drained() {
      if (closed || !socket.writableNeedDrain) return Promise.resolve();
      return new Promise(resolve => {
        const done = () => {
          socket.off('drain', done);
          socket.off('close', done);
          resolve();
        };
        socket.on('drain', done);
        socket.on('close', done);
      });
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => void socket.end(),
  };
}
