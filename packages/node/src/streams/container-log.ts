/**
 * Reads the log of one container attempt, CRI's format, as `kubectl logs` shows it.
 *
 * - `tailLines` counts whole lines; parts of a long line are one line. `sinceMs` compares each line's own time.
 * - Following ends when the container has ended and everything it wrote was read. A rotated log (another file under the path) is
 *   read to its end before the new one; a truncated one is read from its start.
 * - A line that is not finished yet is not shown; what does not parse is left out.
 * - Memory is bounded by one block and one line, whatever the size of the log.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Clock } from '@orbitkit/core';
import { parseLogLine } from './log-line.js';

export interface ContainerLogOptions {
  follow?: boolean;
  tailLines?: number;
  /** Milliseconds since 1970. */
  sinceMs?: number;
  timestamps?: boolean;
  limitBytes?: number;
  stream?: 'stdout' | 'stderr';
}

export interface LogSource {
  path: string;
  clock: Clock;
  signal: AbortSignal;
  /** Whether the container may still write. */
  isRunning(): boolean;
}

const blockBytes = 64 * 1024;
/** How soon a follower sees a new line. */
const pollMs = 100;
const newline = 0x0a;

export async function* containerLog(
  source: LogSource,
  options: ContainerLogOptions,
): AsyncGenerator<Buffer, void, void> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const chunk of lines(source, options)) {
    if (chunk.length >= left) {
      yield chunk.subarray(0, left);
      return;
    }
    left -= chunk.length;
    yield chunk;
  }
}

async function* lines(source: LogSource, options: ContainerLogOptions): AsyncGenerator<Buffer, void, void> {
  const { clock, signal } = source;
  let file = await openLog(source.path);
  let position = 0;
  let rest: Buffer = Buffer.alloc(0);
  const shown = printer(options);
  try {
    if (file && options.tailLines !== undefined) position = await tailStart(file, options.tailLines);
    while (!signal.aborted) {
      // Asked before reading: what it wrote before it ended is then read in this round.
      const running = source.isRunning();
      if (file) {
        for (;;) {
          const { bytesRead, buffer }: { bytesRead: number; buffer: Buffer } = await file.read(
            Buffer.allocUnsafe(blockBytes),
            0,
            blockBytes,
            position,
          );
          if (bytesRead === 0) break;
          position += bytesRead;
          const block =
            rest.length > 0 ? Buffer.concat([rest, buffer.subarray(0, bytesRead)]) : buffer.subarray(0, bytesRead);
          const end = block.lastIndexOf(newline) + 1;
          rest = block.subarray(end);
          const text = shown(block.subarray(0, end));
          if (text.length > 0) yield text;
          if (signal.aborted) return;
        }
      }
      const next = options.follow ? await replacement(source.path, file, position) : undefined;
      if (next) {
        await file?.close();
        file = next;
        position = 0;
        rest = Buffer.alloc(0);
        continue;
      }
      if (!options.follow || !running) return;
      await clock.sleep(pollMs, signal).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

const openLog = (path: string): Promise<FileHandle | undefined> =>
  open(path, 'r').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });

/** The file to go on with from its start: a new one under the path, or the same one made shorter. */
async function replacement(
  path: string,
  file: FileHandle | undefined,
  position: number,
): Promise<FileHandle | undefined> {
  const now = await stat(path).catch(() => undefined);
  if (!now) return undefined;
  if (file) {
    const held = await file.stat();
    if (held.ino === now.ino && held.dev === now.dev && now.size >= position) return undefined;
  }
  return openLog(path);
}

function printer({ sinceMs, timestamps, stream }: ContainerLogOptions): (block: Buffer) => Buffer {
  /** Streams whose line is unfinished: its next part gets no time of its own. */
  const open = new Set<string>();
  return block => {
    let text = '';
    for (const raw of block.toString('utf8').split('\n')) {
      const line = raw === '' ? undefined : parseLogLine(raw);
      if (!line || (stream && line.stream !== stream)) continue;
      if (sinceMs !== undefined && Date.parse(line.time) < sinceMs) continue;
      if (timestamps && !open.has(line.stream)) text += `${line.time} `;
      if (line.full) open.delete(line.stream);
      else open.add(line.stream);
      text += line.full ? `${line.text}\n` : line.text;
    }
    return Buffer.from(text, 'utf8');
  };
}

/** Where the last `count` whole lines begin, found from the end. */
async function tailStart(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  const isFull = async (start: number): Promise<boolean> => {
    const header = Buffer.alloc(96);
    const { bytesRead } = await file.read(header, 0, header.length, start);
    return parseLogLine(header.subarray(0, bytesRead).toString('utf8').split('\n')[0]!)?.full ?? false;
  };
  let found = 0;
  // The start of what is kept so far: the end of the last finished line at first.
  let start = size;
  let lineEnd: number | undefined;
  for (let blockEnd = size; blockEnd > 0; ) {
    const blockStart = Math.max(0, blockEnd - blockBytes);
    const block = Buffer.alloc(blockEnd - blockStart);
    await file.read(block, 0, block.length, blockStart);
    for (let i = block.length - 1; i >= 0; i--) {
      if (block[i] !== newline) continue;
      const lineStart = blockStart + i + 1;
      if (lineEnd === undefined) {
        start = lineStart;
      } else {
        if (await isFull(lineStart)) found += 1;
        if (found > count) return start;
        start = lineStart;
      }
      lineEnd = blockStart + i;
    }
    blockEnd = blockStart;
  }
  if (lineEnd === undefined) return size;
  if (await isFull(0)) found += 1;
  return found > count ? start : 0;
}
