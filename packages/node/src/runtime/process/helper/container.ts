/**
 * One container: its program from start to end, its output into its log, and whoever is attached.
 *
 * States: created → starting → running → exited; all but `starting` are on disk before they are told. The end is told once the program has
 * ended, what was left of its process group is killed and its output is in the log. A container found running by another
 * helper than the one that started it (`adopt`) is watched by its pid and start time; its exit code cannot be learnt then,
 * which is said: 255, `ContainerStatusUnknown` (what kubelet says of containers it lost).
 */
import { mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type ContainerStatus, RuntimeError } from '../../contract.js';
import type { LogStream } from '../../log-format.js';
import type { Isolation, PlacedContainer } from '../isolation/isolation.js';
import {
  isRunning,
  type ProcessIdentity,
  type ProcessInfo,
  processInfo,
  signalGroup,
  signalProcess,
} from '../process-table.js';
import { environment } from './environment.js';
import { startProgram } from './launch.js';
import { type LogBounds, type LogWriter, logWriter } from './log-writer.js';
import {
  closeAll,
  type OutputReader,
  openEnds,
  openForContainer,
  type PipePool,
  readPipe,
  reportPipe,
  writePipe,
} from './output-pipe.js';
import type { ContainerRecord, Records } from './records.js';
import { onTerminal } from './terminal.js';

/** How often an adopted process is looked for. */
const watchMs = 200;
/** How long output may still come after the end, from a descendant that holds the pipe. */
const drainMs = 500;
/** After SIGKILL a process that does not end hangs in the kernel. */
const killMs = 10_000;

export interface ContainerContext {
  isolation: Isolation;
  records: Records;
  logBounds: LogBounds;
  pipes: PipePool;
  now(): number;
  changed(container: Container): void;
}

export interface Container {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus;
  readonly placed: PlacedContainer;
  /** The running program; undefined before and after. */
  readonly pid: number | undefined;
  readonly outputs: Set<(stream: LogStream, chunk: Buffer) => void>;
  /** Resolves when it has ended; at once when it does not run. */
  ended(): Promise<void>;
  start(): Promise<void>;
  stop(graceMs: number): Promise<void>;
  kill(): Promise<void>;
  /** The writing end of its input; undefined without `stdin`, or when the input has ended. */
  openInput(): Socket | undefined;
  /** With `stdinOnce`: the program sees the end of its input once every writing end is closed. */
  endInput(): void;
  /** Goes on with what an earlier helper recorded. */
  adopt(sameBoot: boolean, marked: readonly ProcessInfo[]): void;
  /** Lets go of it as it is. */
  release(): void;
}

export function container(record: ContainerRecord, placed: PlacedContainer, context: ContainerContext): Container {
  const { isolation, records } = context;
  const { status, spec } = record;
  const { config } = spec;
  const outputs: Container['outputs'] = new Set();
  const pipe = (name: string) => join(placed.directory, `.${name}`);
  let readers: OutputReader[] = [];
  let log: LogWriter | undefined;
  let starting: Promise<void> | undefined;
  let watch: NodeJS.Timeout | undefined;
  /** With `stdinOnce`: keeps the input open until the first who attaches has ended theirs. */
  let heldInput: number | undefined;
  let resolveEnded = () => {};
  let ended = Promise.resolve();

  const pid = () => (record.phase === 'running' ? record.process?.pid : undefined);

  function save(phase: ContainerRecord['phase']): void {
    record.phase = phase;
    status.state = phase === 'starting' ? 'created' : phase;
    records.saveContainer(record);
  }

  function openOutput(): void {
    log = logWriter(status.logPath, context.logBounds);
    readers = (config.tty ? (['stdout'] as const) : (['stdout', 'stderr'] as const)).map(stream =>
      readPipe(pipe(stream), chunk => {
        try {
          log?.write(stream, chunk, context.now());
        } catch (error) {
          // A full disk must not end the helper, which keeps everyone else's output; it is in the helper's own log.
          console.error(`log ${status.logPath}: ${(error as Error).message}; ${chunk.length} bytes were not written`);
        }
        for (const listener of outputs) listener(stream, chunk);
      }),
    );
  }

  function closeHeldInput(): void {
    if (heldInput !== undefined) closeAll([heldInput]);
    heldInput = undefined;
  }

  function closeOutput(): void {
    for (const reader of readers) reader.close();
    readers = [];
    log?.close();
    log = undefined;
  }

  function began(process: ProcessIdentity): void {
    record.process = process;
    status.pid = process.pid;
    status.startedAt = Math.max(context.now(), status.createdAt);
    ended = new Promise(resolve => {
      resolveEnded = resolve;
    });
    save('running');
    context.changed(self);
  }

  async function start(): Promise<void> {
    const pipes = [
      'stdout',
      'report',
      ...(config.tty ? [] : ['stderr']),
      ...(config.stdin || config.tty ? ['stdin'] : []),
    ];
    const descriptors: number[] = [];
    const open = (name: string) => {
      const descriptor = openForContainer(pipe(name));
      descriptors.push(descriptor);
      return descriptor;
    };
    try {
      await context.pipes.take(pipes.map(pipe));
      record.phase = 'starting';
      let input: number | 'ignore' = 'ignore';
      if (config.stdin && config.stdinOnce) {
        const ends = openEnds(pipe('stdin'));
        descriptors.push(ends.reading);
        input = ends.reading;
        heldInput = ends.writing;
      } else if (pipes.includes('stdin')) input = open('stdin');
      const output = open('stdout');
      const errors = config.tty ? output : open('stderr');
      openOutput();
      const argv = config.tty ? onTerminal(spec.argv) : spec.argv;
      const launch = isolation.launch({ ...placed, spec: { ...spec, argv } });
      const { pid, exit } = await startProgram(
        launch,
        environment(placed, isolation),
        [input, output, errors],
        launch.reports ? reportPipe(pipe('report')) : undefined,
      );
      began({ pid, startTime: processInfo(pid)?.startTime ?? '' });
      void exit.then(({ code, signal }) => finish(code ?? 128 + (signal ? constants.signals[signal] : 0), signal));
    } catch (error) {
      closeOutput();
      closeHeldInput();
      isolation.removeContainer(status.id);
      status.exitCode = 128;
      status.reason = 'StartError';
      status.message = (error as Error).message;
      status.finishedAt = context.now();
      save('exited');
      context.changed(self);
      if (error instanceof RuntimeError) throw error;
      throw new RuntimeError('StartFailed', (error as Error).message, { cause: error });
    } finally {
      closeAll(descriptors);
    }
  }

  async function finish(exitCode: number | undefined, signal: NodeJS.Signals | null): Promise<void> {
    const main = record.process!.pid;
    clearInterval(watch);
    closeHeldInput();
    await killRest(main);
    const outOfMemory = exitCode !== 0 && isolation.ranOutOfMemory(status.id);
    // A helper that was kept from running finds the bound reached before it has read anything: one round of reading comes in any case.
    const lastRound = delay(drainMs).then(() => new Promise(setImmediate));
    await Promise.race([Promise.all(readers.map(reader => reader.ended)), lastRound]);
    closeOutput();
    isolation.removeContainer(status.id);
    delete status.pid;
    status.finishedAt = Math.max(context.now(), status.startedAt ?? 0);
    status.exitCode = exitCode ?? 255;
    if (signal) status.signal = constants.signals[signal];
    if (exitCode === undefined) {
      status.reason = 'ContainerStatusUnknown';
      status.message = 'the container ended while no helper was there to learn its exit code';
    } else status.reason = outOfMemory ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error';
    try {
      save('exited');
    } catch (error) {
      record.phase = status.state = 'exited';
      console.error(`record of container ${status.id}: ${(error as Error).message}`);
    }
    resolveEnded();
    context.changed(self);
  }

  /** Everything that the container started ends with its main program. A signal takes a moment to be obeyed. */
  async function killRest(main: number): Promise<void> {
    signalGroup(main, 'SIGKILL');
    const rest = (await isolation.processes(status.id, main)).filter(({ pid }) => pid !== main);
    for (const { pid } of rest) signalProcess(pid, 'SIGKILL');
    for (let waited = 0; waited < drainMs && rest.some(isRunning); waited += 5) await delay(5);
  }

  async function kill(): Promise<void> {
    const main = pid();
    if (main === undefined) return;
    if (isRunning(record.process!)) signalGroup(main, 'SIGKILL');
    const stuck = await Promise.race([ended.then(() => false), delay(killMs).then(() => true)]);
    if (stuck && pid() !== undefined) {
      throw new RuntimeError(
        'Unavailable',
        `container ${config.name}: process ${main} does not end after SIGKILL; the kernel holds it`,
      );
    }
  }

  async function terminate(main: number): Promise<void> {
    // On a terminal the program is below `script`, which ends with its exit code once it has ended.
    const below = config.tty ? (await isolation.processes(status.id, main)).filter(({ pid }) => pid !== main) : [];
    for (const { pid } of below) signalProcess(pid, 'SIGTERM');
    if (below.length === 0) signalGroup(main, 'SIGTERM');
  }

  const self: Container = {
    record,
    status,
    placed,
    get pid() {
      return pid();
    },
    outputs,
    ended: () => ended,
    async start() {
      if (record.phase === 'running') return;
      if (record.phase === 'exited') throw new RuntimeError('StartFailed', `container ${config.name} has already run`);
      starting ??= start();
      await starting;
    },
    async stop(graceMs) {
      await starting?.catch(() => {});
      const main = pid();
      if (main === undefined) return;
      if (graceMs > 0 && isRunning(record.process!)) {
        await terminate(main);
        const timer = new AbortController();
        const inTime = await Promise.race([ended.then(() => true), delay(graceMs, timer.signal).then(() => false)]);
        timer.abort();
        if (inTime) return;
      }
      await kill();
    },
    async kill() {
      await starting?.catch(() => {});
      await kill();
    },
    openInput: () =>
      config.stdin && (!config.stdinOnce || heldInput !== undefined) ? writePipe(pipe('stdin')) : undefined,
    endInput: closeHeldInput,
    adopt(sameBoot, marked) {
      if (record.phase === 'exited') return;
      if (record.phase === 'created') {
        // The helper may have died between the spawn and its note: the mark in the environment tells.
        const found = sameBoot ? marked.find(({ pid, session }) => pid === session) : undefined;
        if (!found) return;
        began({ pid: found.pid, startTime: found.startTime });
      } else {
        ended = new Promise(resolve => {
          resolveEnded = resolve;
        });
      }
      const identity = record.process!;
      if (!sameBoot || !isRunning(identity)) return void finish(undefined, null);
      openOutput();
      watch = setInterval(() => {
        if (isRunning(identity)) return;
        clearInterval(watch);
        void finish(undefined, null);
      }, watchMs);
    },
    release() {
      clearInterval(watch);
      closeHeldInput();
      closeOutput();
    },
  };
  mkdirSync(placed.directory, { recursive: true, mode: 0o700 });
  return self;
}

function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
