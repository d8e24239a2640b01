/**
 * What a simulated container does: the script in place of a program.
 *
 * Everything is optional; the empty program starts at once, runs until it is told to stop, ends with 0 at SIGTERM, says
 * nothing and serves nothing.
 */
import type { ContainerConfig, Sandbox } from '../contract.js';

/** What a container does. Milliseconds of the runtime's clock. */
export interface SimulatedProgram {
  /** Ends by itself this long after its start. Default: it runs until stopped. */
  runMs?: number;
  /** The code with which it ends by itself. Default 0. */
  exitCode?: number;
  /** Why, where the code alone does not say: `OOMKilled`. */
  reason?: string;
  /** Goes on at SIGTERM, so that it takes SIGKILL to end it. */
  ignoresTerm?: boolean;
  /** `startContainer` fails with this text. */
  startError?: string;
  /** Lines that it writes, the moment it starts or later. */
  output?: readonly (string | { afterMs: number; stream?: 'stdout' | 'stderr'; text: string })[];
  /** Writes what comes in through `attach` back, and ends with `stdinOnce` when that ends. */
  echoes?: boolean;
  /** What answers `exec`. Default: exit code 0, no output. */
  exec?(command: readonly string[]): SimulatedExec | Promise<SimulatedExec>;
  /** Ports that accept; each answers every chunk with what the function returns. */
  ports?: Readonly<Record<number, (request: Uint8Array) => Uint8Array | string>>;
  /** What it holds while it runs. Default none. */
  usage?: { cpuMillis?: number; memoryBytes?: number };
}

/** What a command in a container does. */
export interface SimulatedExec {
  exitCode?: number;
  stdout?: string;
  stderr?: string;
  /** Writes its input back and ends at its end. */
  echo?: boolean;
  /** How long it takes. Default 0. */
  runMs?: number;
  /** The program does not exist: `exec` rejects with StartFailed. */
  startError?: string;
}

export type ProgramFor = (container: ContainerConfig, sandbox: Sandbox) => SimulatedProgram;
