/**
 * Exec, attach and dial: byte streams between a connection and a process.
 *
 * Output waits when the connection is full, and input when the process is. An exec ends with its connection: what it
 * started is killed. An attach ends with its connection too, and the container goes on.
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { RuntimeError } from '../../contract.js';
import type { Isolation } from '../isolation/isolation.js';
import { allProcesses, signalGroup, signalProcess } from '../process-table.js';
import type { Calls, FrameChannel, StreamInput, StreamOutput } from '../protocol.js';
import type { Container } from './container.js';
import type { Dialers } from './dialer.js';
import { environment } from './environment.js';
import { startProgram } from './launch.js';
import type { Pods } from './pods.js';
import { findProgram, onTerminal, resizeTerminal } from './terminal.js';

/** How long nothing may come after an exec's end until it is over: a descendant may hold its pipe. A client that is behind is waited for. */
const drainMs = 1_000;

/** One stream on a connection, once it was opened. */
export interface Stream {
  onInput(input: StreamInput): void;
  /** The connection is gone. */
  onClose(): void;
}

export type Channel = Pick<FrameChannel, 'drained' | 'pause' | 'resume' | 'close'> & {
  send(output: StreamOutput): boolean;
};

export async function openExec(
  pods: Pods,
  isolation: Isolation,
  args: Calls['exec']['args'],
  channel: Channel,
): Promise<Stream> {
  const container = running(pods.container(args.containerId));
  const { spec } = container.record;
  const [program = ''] = args.command;
  if (
    args.tty &&
    isolation.mode === 'rootless' &&
    !findProgram(program, spec.env['PATH'], container.placed.directory)
  ) {
    throw new RuntimeError('StartFailed', `${program}: no such program on this machine`);
  }
  const command = args.tty ? onTerminal(args.command) : args.command;
  const launch = isolation.launchBeside(container.placed, container.pid!, command);
  const env = { ...(args.tty && { TERM: 'xterm' }), ...environment(container.placed, isolation) };
  const { child, pid, exit } = await startProgram(launch, env, [args.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe']);
  const stream = processStream(child, pid, channel);
  void (async () => {
    const { code, signal } = await exit;
    await passedOn(stream);
    channel.send({ exit: code ?? 128 + (signal ? constants.signals[signal] : 0) });
    channel.close();
  })();
  return stream;
}

/** Resolves when all output was passed on, or when nothing has come for a while and nobody is behind. */
async function passedOn(stream: ProcessStream): Promise<void> {
  const drained = stream.drained.then(() => true);
  for (;;) {
    const before = stream.passed();
    // After the wait comes one round of reading: who was kept from running has not read what is there.
    const quiet = new Promise(resolve => setTimeout(resolve, drainMs)).then(() => new Promise(setImmediate));
    if ((await Promise.race([drained, quiet])) === true) return;
    if (stream.passed() === before && !stream.behind()) return;
  }
}

export async function openDial(
  pods: Pods,
  dialing: Dialers,
  args: Calls['dial']['args'],
  channel: Channel,
): Promise<Stream> {
  const { config, status } = pods.sandbox(args.sandboxId);
  if (status.state !== 'ready') throw new RuntimeError('NotRunning', `sandbox ${args.sandboxId} is not ready`);
  const socket = await dialing.connect(args.sandboxId, config, args.port);
  const pass = async () => {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      if (!channel.send({ stdout: (chunk as Buffer).toString('base64') })) await channel.drained();
    }
  };
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  const passed = pass().catch(() => {});
  // The end of what comes out; what goes in may go on.
  void passed.then(() => channel.send({ exit: 0 }));
  void Promise.all([passed, closed]).then(() => channel.close());
  return {
    onInput: input => passInput(socket, input, channel),
    onClose() {
      held.get(socket)?.();
      socket.destroy();
    },
  };
}

interface ProcessStream extends Stream {
  /** All output was passed on. */
  drained: Promise<unknown>;
  /** Chunks so far. */
  passed(): number;
  /** Output waits for the connection. */
  behind(): boolean;
}

function processStream(child: ChildProcess, pid: number, channel: Channel): ProcessStream {
  let passed = 0;
  let waiting = 0;
  const pass = async (readable: Readable, frame: (data: string) => StreamOutput) => {
    try {
      for await (const chunk of readable) {
        passed += 1;
        if (channel.send(frame((chunk as Buffer).toString('base64')))) continue;
        waiting += 1;
        await channel.drained().finally(() => {
          waiting -= 1;
        });
      }
    } catch {
      // The pipe broke with the process: what it said before was passed on.
    }
  };
  child.stdin?.on('error', () => {});
  return {
    passed: () => passed,
    behind: () => waiting > 0,
    drained: Promise.all([pass(child.stdout!, stdout => ({ stdout })), pass(child.stderr!, stderr => ({ stderr }))]),
    onInput(input) {
      if ('resize' in input) {
        const { width, height } = input.resize;
        resizeTerminal(pid, width, height).catch(error => console.error(`resize: ${(error as Error).message}`));
      } else if (child.stdin) passInput(child.stdin, input, channel);
    },
    onClose() {
      if (child.stdin) held.get(child.stdin)?.();
      if (child.exitCode !== null || child.signalCode !== null) return;
      // On a terminal the program is below `script`, in a session of its own.
      for (const info of allProcesses()) if (info.parent === pid) signalProcess(info.pid, 'SIGKILL');
      signalGroup(pid, 'SIGKILL');
    },
  };
}

function passInput(to: Writable, input: StreamInput, channel: Channel): void {
  if ('stdinEnd' in input) return void to.end();
  if (!('stdin' in input) || to.writableEnded || to.destroyed) return;
  if (to.write(Buffer.from(input.stdin, 'base64')) || held.has(to)) return;
  // A connection that nobody reads tells its end only to who writes: without this, a program that does not read outlives its caller.
  const beat = setInterval(() => channel.send({ stdout: '' }), heldBeatMs);
  const resume = () => {
    if (!held.delete(to)) return;
    clearInterval(beat);
    to.off('drain', resume);
    to.off('close', resume);
    channel.resume();
  };
  held.set(to, resume);
  channel.pause();
  to.on('drain', resume);
  to.on('close', resume);
}

/** Inputs whose program is behind, and how their connections go on. */
const held = new Map<Writable, () => void>();
const heldBeatMs = 500;

/** More than this unread, and an attached reader is let go: a container's output waits for no onlooker. */
const attachedLimit = 4 * 2 ** 20;

export async function openAttach(pods: Pods, args: Calls['attach']['args'], channel: Channel): Promise<Stream> {
  const container = running(pods.container(args.containerId));
  const input = args.stdin === false ? undefined : container.openInput();
  const endInput = () => {
    input?.end();
    if (input) container.endInput();
  };
  const stdinOnce = container.record.spec.config.stdinOnce === true;
  let waiting = 0;
  const onOutput = (stream: 'stdout' | 'stderr', chunk: Buffer) => {
    const data = chunk.toString('base64');
    if (channel.send(stream === 'stdout' ? { stdout: data } : { stderr: data })) return;
    waiting += chunk.length;
    if (waiting > attachedLimit) return channel.close();
    void channel.drained().then(() => {
      waiting = 0;
    });
  };
  container.outputs.add(onOutput);
  void container.ended().then(() => {
    channel.send({ exit: container.status.exitCode ?? 0 });
    channel.close();
  });
  return {
    onInput(frame) {
      // The end of one onlooker's input is not the end of the container's, unless it has `stdinOnce`.
      if (input && 'stdin' in frame) passInput(input, frame, channel);
      if ('stdinEnd' in frame && stdinOnce) endInput();
      if ('resize' in frame && container.pid !== undefined && container.record.spec.config.tty) {
        const { width, height } = frame.resize;
        resizeTerminal(container.pid, width, height).catch(error =>
          console.error(`resize: ${(error as Error).message}`),
        );
      }
    },
    onClose() {
      container.outputs.delete(onOutput);
      if (input) held.get(input)?.();
      if (stdinOnce) endInput();
      else input?.destroy();
    },
  };
}

function running(container: Container): Container {
  if (container.pid === undefined) {
    const { name, id, state } = container.status;
    throw new RuntimeError('NotRunning', `container ${name} (${id}) is ${state}, not running`);
  }
  return container;
}
