/**
 * Where a container's output goes: a named pipe that the container itself holds open for reading and writing.
 *
 * So the death of the helper does not break the pipe: the container goes on and fills it (64 KiB), then waits, and the next
 * helper opens it and reads on. Nothing is lost but what a container wrote and then ended while no helper was there.
 */
import { closeSync, constants, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { runCommand } from '../../../network/command.js';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;

export interface PipePool {
  /** Makes a pipe at each path. */
  take(paths: readonly string[]): Promise<void>;
}

const poolSize = 64;

/**
 * Named pipes made in advance: Node cannot make one, and starting `mkfifo` for each container costs as much as starting the
 * container.
 */
export function pipePool(directory: string): PipePool {
  let spare: string[] | undefined;
  let sequence = 0;
  let filling: Promise<void> | undefined;

  async function fill(): Promise<void> {
    if (!spare) {
      // What an earlier helper left is as good.
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      spare = readdirSync(directory).map(name => join(directory, name));
      return;
    }
    const made = Array.from({ length: poolSize }, () => {
      sequence += 1;
      return join(directory, `${process.pid}-${sequence}`);
    });
    await runCommand('mkfifo', ['-m', '600', ...made]);
    spare.push(...made);
  }

  return {
    async take(paths) {
      for (const path of paths) {
        let pipe = spare?.pop();
        while (!pipe) {
          filling ??= fill().finally(() => {
            filling = undefined;
          });
          await filling;
          pipe = spare?.pop();
        }
        renameSync(pipe, path);
      }
    },
  };
}

/** A descriptor for the container: never at its end, never broken. */
export function openForContainer(path: string): number {
  return openSync(path, O_RDWR);
}

/**
 * Both ends of a pipe that can end: the reading one for the container, the writing one to keep it open. With the death of whoever keeps it
 * the container sees the end of its input.
 */
export function openEnds(path: string): { reading: number; writing: number } {
  // Opening one end waits for the other, unless somebody has both.
  const both = openForContainer(path);
  try {
    const reading = openSync(path, O_RDONLY);
    return { reading, writing: openSync(path, O_WRONLY | O_NONBLOCK) };
  } finally {
    closeSync(both);
  }
}

export interface OutputReader {
  /** Resolves when nobody can write any more and everything was read. */
  readonly ended: Promise<void>;
  close(): void;
}

export function readPipe(path: string, onChunk: (chunk: Buffer) => void): OutputReader {
  const socket = new Socket({ fd: openSync(path, O_RDONLY | O_NONBLOCK), readable: true, writable: false });
  const ended = new Promise<void>(resolve => socket.on('close', () => resolve()));
  socket.on('data', onChunk);
  socket.on('error', () => {});
  return { ended, close: () => void socket.destroy() };
}

/** What the launch of a program reports, over a pipe that the helper's death does not break either. */
export interface ReportPipe {
  /** For the child. */
  readonly descriptor: number;
  /** Our copy of it is closed: call once the child has its own. */
  release(): void;
  /** All that was written, once nobody can write any more. */
  readonly text: Promise<string>;
}

export function reportPipe(path: string): ReportPipe {
  const descriptor = openForContainer(path);
  let text = '';
  const reader = readPipe(path, chunk => {
    text += chunk;
  });
  return {
    descriptor,
    release: () => closeSync(descriptor),
    text: reader.ended.then(() => text),
  };
}

/** The writing end for input; undefined when nobody reads. */
export function writePipe(path: string): Socket | undefined {
  try {
    const socket = new Socket({ fd: openSync(path, O_WRONLY | O_NONBLOCK), readable: false, writable: true });
    socket.on('error', () => {});
    return socket;
  } catch {
    return undefined;
  }
}

export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) closeSync(descriptor);
}
