/**
 * The runtime's side of the helper: finds it or starts it, calls it, and finds it again when it was lost.
 *
 * A lost connection fails the calls under way with `Unavailable`; the next call looks for the helper anew. Whoever owns the
 * directory owns the helper: a directory or socket of another user is refused, so that nobody can be made to run something
 * for someone else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { RuntimeError, type RuntimeEvent } from '../contract.js';
import { type HelperArguments, helperLogName, socketName } from './helper-arguments.js';
import {
  type CallName,
  type Calls,
  type FrameChannel,
  type FromHelper,
  frameChannel,
  type HelperInfo,
  protocolVersion,
  type StreamInput,
  type StreamOutput,
} from './protocol.js';

const startMs = 15_000;
const retryMs = 10;

export interface HelperConnectionOptions {
  arguments: HelperArguments;
  program: string;
  onEvent(event: RuntimeEvent): void;
}

export interface HelperStream {
  send(input: StreamInput): boolean;
  drained(): Promise<void>;
  pause(): void;
  resume(): void;
  close(): void;
}

export interface HelperConnection {
  info(): Promise<HelperInfo>;
  call<N extends CallName>(call: N, args: Calls[N]['args'], signal?: AbortSignal): Promise<Calls[N]['result']>;
  /** As `call`, without starting a helper that is not there: undefined then. */
  callIfThere<N extends CallName>(call: N, args: Calls[N]['args']): Promise<Calls[N]['result'] | undefined>;
  /** Opens a stream; rejects when the helper refuses it. */
  stream<N extends 'exec' | 'attach' | 'dial'>(
    call: N,
    args: Calls[N]['args'],
    handlers: { onOutput(output: StreamOutput): void; onClose(): void },
  ): Promise<HelperStream>;
  close(): Promise<void>;
}

interface Session {
  info: HelperInfo;
  call(call: CallName, args: unknown): Promise<unknown>;
  socket: Socket;
}

export function helperConnection(options: HelperConnectionOptions): HelperConnection {
  const { directory } = options.arguments;
  let session: Promise<Session> | undefined;
  let closed = false;

  function refuseStrangers(): void {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    const { uid } = statSync(directory);
    if (uid !== process.getuid?.()) {
      throw new RuntimeError(
        'Unavailable',
        `${directory} belongs to user ${uid}, not to this one; choose another data directory`,
      );
    }
  }

  /** Through a descriptor of the directory: the path of a unix socket may have 107 bytes only. */
  function connectSocket(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const folder = openSync(directory, 'r');
      const socket = connect(`/proc/self/fd/${folder}/${socketName}`);
      const failed = (error: Error) => {
        closeSync(folder);
        reject(error);
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        closeSync(folder);
        socket.off('error', failed);
        resolve(socket);
      });
    });
  }

  function startHelper(): ChildProcess {
    const log = openSync(join(directory, helperLogName), 'a', 0o600);
    try {
      const child = spawn(process.execPath, [options.program, JSON.stringify(options.arguments)], {
        detached: true,
        cwd: '/',
        stdio: ['ignore', log, log],
        env: {
          PATH: process.env['PATH'] ?? '/usr/bin:/bin',
          HOME: process.env['HOME'] ?? '/',
          LANG: process.env['LANG'] ?? 'C.UTF-8',
        },
      });
      child.on('error', () => {});
      child.unref();
      return child;
    } finally {
      closeSync(log);
    }
  }

  /** Connects; starts the helper as often as it is not there, for it may just be ending. */
  async function reach(start: boolean): Promise<Socket> {
    refuseStrangers();
    const end = Date.now() + startMs;
    let helper: ChildProcess | undefined;
    for (;;) {
      try {
        return await connectSocket();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (!start || (code !== 'ENOENT' && code !== 'ECONNREFUSED')) throw unavailable(error);
      }
      if (helper && helper.exitCode !== null && helper.exitCode !== 0)
        throw unavailable(new Error(`it ended with ${helper.exitCode}`));
      if (Date.now() > end) throw unavailable(new Error(`it did not answer within ${startMs} ms`));
      if (!helper || helper.exitCode !== null || helper.signalCode !== null) helper = startHelper();
      await new Promise(resolve => setTimeout(resolve, retryMs));
    }
  }

  function unavailable(error: unknown): RuntimeError {
    let said = '';
    try {
      said = readFileSync(join(directory, helperLogName), 'utf8').trimEnd().split('\n').slice(-3).join(' | ');
    } catch {
      // No log yet.
    }
    const text = `the process runtime's helper in ${directory} cannot be reached: ${(error as Error).message}`;
    return new RuntimeError('Unavailable', said ? `${text}; it said: ${said}` : text, { cause: error });
  }

  /** A connection after its `hello`. */
  function greet(socket: Socket): {
    channel: FrameChannel;
    call: Session['call'];
    handOn(frames: (frame: unknown) => void): void;
    onClosed: Promise<void>;
  } {
    const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
    let sequence = 0;
    let frames: ((frame: unknown) => void) | undefined;
    let resolveClosed = () => {};
    const onClosed = new Promise<void>(resolve => {
      resolveClosed = resolve;
    });
    const channel = frameChannel(socket, {
      onFrame(frame) {
        const message = frame as FromHelper;
        if ('event' in message) return options.onEvent(message.event);
        if (!('id' in message)) return frames?.(frame);
        const call = waiting.get(message.id);
        waiting.delete(message.id);
        if ('error' in message) call?.reject(new RuntimeError(message.error.reason, message.error.message));
        else call?.resolve(message.result);
      },
      onClose(error) {
        const lost = new RuntimeError(
          'Unavailable',
          `the connection to the process runtime's helper was lost${error ? `: ${error.message}` : ''}`,
        );
        for (const { reject } of waiting.values()) reject(lost);
        waiting.clear();
        resolveClosed();
      },
    });
    return {
      channel,
      onClosed,
      handOn(receiver) {
        frames = receiver;
      },
      call: (call, args) =>
        new Promise((resolve, reject) => {
          if (socket.destroyed)
            return reject(new RuntimeError('Unavailable', "the connection to the process runtime's helper is gone"));
          sequence += 1;
          waiting.set(sequence, { resolve, reject });
          channel.send({ id: sequence, call, args });
        }),
    };
  }

  async function open(start: boolean): Promise<Session> {
    for (;;) {
      const socket = await reach(start);
      const { call, onClosed } = greet(socket);
      const info = (await call('hello', { protocol: protocolVersion })) as HelperInfo;
      if (info.protocol !== protocolVersion) {
        await call('handOver', {});
        await onClosed;
        continue;
      }
      if (info.mode !== options.arguments.mode) {
        socket.destroy();
        throw new RuntimeError(
          'Unavailable',
          `the helper in ${directory} runs its pods in mode ${info.mode}; end them before using mode ${options.arguments.mode}`,
        );
      }
      void onClosed.then(() => {
        session = undefined;
        if (!closed) options.onEvent({});
      });
      if (closed) socket.destroy();
      return { info, call, socket };
    }
  }

  async function current(start = true): Promise<Session> {
    if (closed) throw new RuntimeError('Unavailable', 'this runtime is closed');
    if (!session) {
      const opening = open(start);
      session = opening;
      opening.catch(() => {
        if (session === opening) session = undefined;
      });
    }
    return session;
  }

  return {
    info: async () => (await current()).info,
    async call(call, args, signal) {
      signal?.throwIfAborted();
      const result = (await current()).call(call, args) as Promise<any>;
      if (!signal) return result;
      return new Promise((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
      });
    },
    async callIfThere(call, args) {
      let found: Session;
      try {
        found = await current(false);
      } catch {
        return undefined;
      }
      return found.call(call, args) as Promise<any>;
    },
    async stream(call, args, { onOutput, onClose }) {
      await current();
      const socket = await connectSocket().catch(error => Promise.reject(unavailable(error)));
      const connection = greet(socket);
      connection.handOn(frame => onOutput(frame as StreamOutput));
      try {
        await connection.call('hello', { protocol: protocolVersion });
        await connection.call(call, args);
      } catch (error) {
        socket.destroy();
        throw error;
      }
      void connection.onClosed.then(onClose);
      const { channel } = connection;
      return {
        send: input => channel.send(input),
        drained: () => channel.drained(),
        pause: () => channel.pause(),
        resume: () => channel.resume(),
        close: () => void socket.destroy(),
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      const open = await session?.catch(() => undefined);
      open?.socket.destroySoon();
    },
  };
}
